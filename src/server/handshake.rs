//! The TLS handshake of one connection, and in plain words why one failed.
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::{AlertDescription, ServerConfig, server::Acceptor};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    sync::Semaphore,
    task, time,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{failure::Failure, metrics::ServerMetrics};
use crate::telemetry::metrics::Counters;

/// The first byte of every TLS connection.
const HANDSHAKE_RECORD: u8 = 0x16;

/// What is taken from a socket at once: two of the largest records of TLS. rustls alone would take
/// 4 KiB, and a typical review in four system calls.
const READ: usize = 32 << 10;

/// A socket that is read in large pieces.
pub(super) type Socket = BufReader<TcpStream>;

/// For a caller to hear why its handshake failed.
const PATIENCE: Duration = Duration::from_secs(1);

/// So many handshakes are worked on before all other connections have their turn again.
const TURNS: usize = 4;

/// What a connection turned out to be.
pub(super) enum Opened {
    Tls(Box<TlsStream<Socket>>),
    /// Plain HTTP on the TLS port: whoever sends it gets a sentence rather than noise.
    PlainHttp(Socket),
}

/// Shakes hands with every caller of one listener.
pub(super) struct Handshakes {
    tls: Arc<ServerConfig>,
    turns: Semaphore,
    failures: Counters<Failure>,
    /// Whether the last caller failed for a reason that was told: once, not once per caller.
    told: AtomicBool,
}

impl Handshakes {
    pub(super) fn new(tls: Arc<ServerConfig>, metrics: &ServerMetrics) -> Self {
        Self {
            tls,
            turns: Semaphore::new(TURNS),
            failures: metrics.handshakes.clone(),
            told: AtomicBool::new(false),
        }
    }

    pub(super) async fn open(&self, stream: TcpStream) -> Result<Opened, Failure> {
        let mut stream = BufReader::with_capacity(READ, stream);
        let first = match stream.fill_buf().await {
            Ok([first, ..]) => *first,
            Ok([]) | Err(_) => return Err(Failure::Disconnected),
        };
        if first.is_ascii_uppercase() {
            return Ok(Opened::PlainHttp(stream));
        }
        if first != HANDSHAKE_RECORD {
            return Err(Failure::NotTls);
        }
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await;
        let hello = hello.map_err(|e| classify(&e))?;
        let opening = {
            let _turn = self.turns.acquire().await;
            // This does all the costly arithmetic: whoever has a turn never waits for a caller.
            let opening = hello.into_stream(Arc::clone(&self.tls));
            task::yield_now().await;
            opening
        };
        let stream = match opening.into_fallible().await {
            Ok(stream) => stream,
            Err((error, stream)) => {
                read_to_the_end(stream.get_ref()).await;
                return Err(classify(&error));
            }
        };
        self.told.store(false, Ordering::Relaxed);
        Ok(Opened::Tls(Box::new(stream)))
    }

    /// Counts a failure; speaks up where an operator can do something.
    pub(super) fn report(&self, failure: Failure) {
        self.failures.increment(failure);
        match advice(failure) {
            Some(advice) if !self.told.swap(true, Ordering::Relaxed) => tracing::warn!("{advice}"),
            _ => tracing::debug!(reason = ?failure, "TLS handshake failed"),
        }
    }
}

/// Whoever closes a connection with bytes unread resets it, and the caller never sees our alert.
async fn read_to_the_end(stream: &TcpStream) {
    let reading = async {
        let mut unread = [0; 1024];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut unread) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
            }
        }
    };
    let _ = time::timeout(PATIENCE, reading).await;
}

fn advice(failure: Failure) -> Option<&'static str> {
    match failure {
        Failure::CertificateRefused => Some(
            "a caller does not trust our certificate: does its caBundle match /ca.pem, and the name that it calls the certificate?",
        ),
        Failure::ClientCertificateMissing => Some(
            "a caller shows no certificate, and the client CA asks for one: does the API server's AdmissionConfiguration name one for this webhook?",
        ),
        Failure::ClientCertificateRefused => Some(
            "a caller's certificate is not accepted: is it signed by the client CA, for client authentication, and still valid?",
        ),
        Failure::Disconnected
        | Failure::Incompatible
        | Failure::PlainHttp
        | Failure::NotTls
        | Failure::TimedOut => None,
    }
}

fn classify(error: &io::Error) -> Failure {
    let tls = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>());
    match tls {
        None => Failure::Disconnected,
        Some(rustls::Error::AlertReceived(alert)) => match alert {
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA => Failure::CertificateRefused,
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity => Failure::Incompatible,
            _ => Failure::Disconnected,
        },
        Some(rustls::Error::NoCertificatesPresented) => Failure::ClientCertificateMissing,
        Some(rustls::Error::InvalidCertificate(_)) => Failure::ClientCertificateRefused,
        Some(rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol) => {
            Failure::Incompatible
        }
        Some(_) => Failure::NotTls,
    }
}
