//! The TLS handshake of one connection, and in plain words why one failed.
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{AlertDescription, ServerConfig};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{failure::Failure, metrics::ServerMetrics};
use crate::telemetry::metrics::Counters;

/// The first byte of every TLS connection.
const HANDSHAKE_RECORD: u8 = 0x16;

/// What is taken from a socket at once: two of the largest records of TLS. rustls alone would take
/// 4 KiB, and a typical review in four system calls.
const READ: usize = 32 << 10;

/// A socket that is read in large pieces.
pub(super) type Socket = BufReader<TcpStream>;

/// What a connection turned out to be.
pub(super) enum Opened {
    Tls(Box<TlsStream<Socket>>),
    /// Plain HTTP on the TLS port: whoever sends it gets a sentence rather than noise.
    PlainHttp(Socket),
}

/// Shakes hands with every caller of one listener.
pub(super) struct Handshakes {
    tls: TlsAcceptor,
    failures: Counters<Failure>,
    /// Whether the last caller refused our certificate: said once, not once per caller.
    refused: AtomicBool,
}

impl Handshakes {
    pub(super) fn new(tls: Arc<ServerConfig>, metrics: &ServerMetrics) -> Self {
        Self {
            tls: TlsAcceptor::from(tls),
            failures: metrics.handshakes.clone(),
            refused: AtomicBool::new(false),
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
        let stream = self.tls.accept(stream).await.map_err(|e| classify(&e))?;
        self.refused.store(false, Ordering::Relaxed);
        Ok(Opened::Tls(Box::new(stream)))
    }

    /// Counts a failure; speaks up where an operator can do something.
    pub(super) fn report(&self, failure: Failure) {
        self.failures.increment(failure);
        let refused = failure == Failure::CertificateRefused;
        if refused && !self.refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a caller does not trust our certificate: does its caBundle match /ca.pem, and the name that it calls the certificate?"
            );
        } else {
            tracing::debug!(reason = ?failure, "TLS handshake failed");
        }
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
        Some(rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol) => {
            Failure::Incompatible
        }
        Some(_) => Failure::NotTls,
    }
}
