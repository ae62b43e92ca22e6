//! A caller as the API server is one: HTTP/1.1 over TLS, a connection that is kept while both sides
//! want it, and no second try for a review of which one byte was written.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{fixture::Pair, process::Process};

/// One connection at a time, made when it is needed.
pub struct Caller {
    tls: Arc<ClientConfig>,
    kept: Option<Connection>,
}

struct Connection {
    to: SocketAddr,
    sender: http1::SendRequest<Full<Bytes>>,
}

pub struct Answer {
    pub status: StatusCode,
    pub retry_after: bool,
    /// Whether the connection is to be used again.
    pub kept: bool,
    pub body: Bytes,
}

/// A review without an answer, and who owes it.
#[derive(Debug)]
pub struct Lost {
    pub by: SocketAddr,
    pub why: Why,
}

#[derive(Debug)]
pub enum Why {
    Connect(io::Error),
    Handshake(io::Error),
    /// It was sent.
    Broken(hyper::Error),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, why } = self;
        match why {
            Why::Connect(because) => write!(f, "no connection to {by}: {because}"),
            Why::Handshake(because) => write!(f, "no handshake with {by}: {because}"),
            Why::Broken(because) => write!(f, "not answered by {by}: {because:?}"),
        }
    }
}

impl Caller {
    pub fn new(tls: &Arc<ClientConfig>) -> Self {
        Self {
            tls: Arc::clone(tls),
            kept: None,
        }
    }

    /// Sends a review over the connection that is kept, or over a new one to `address`.
    pub async fn send(&mut self, address: SocketAddr, body: Bytes) -> Result<Answer, Lost> {
        self.ask(address, review("/mutate", body)).await
    }

    pub async fn ask(
        &mut self,
        address: SocketAddr,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answer, Lost> {
        loop {
            let used = self.kept.is_some();
            let mut connection = match self.kept.take() {
                Some(kept) => kept,
                None => self.connect(address).await?,
            };
            let by = connection.to;
            let broken = |because| Lost {
                by,
                why: Why::Broken(because),
            };
            match connection.sender.try_send_request(request).await {
                Ok(response) => {
                    let answer = answer(response).await.map_err(broken)?;
                    if answer.kept && connection.sender.ready().await.is_ok() {
                        self.kept = Some(connection);
                    }
                    return Ok(answer);
                }
                // Not one byte of it was written, so it goes over another connection.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if used => request = unsent,
                    _ => return Err(broken(failed.into_error())),
                },
            }
        }
    }

    /// Closes the connection that is kept.
    pub fn leave(&mut self) {
        self.kept = None;
    }

    async fn connect(&self, to: SocketAddr) -> Result<Connection, Lost> {
        let opened = open(&self.tls, to).await;
        let sender = opened.map_err(|why| Lost { by: to, why })?;
        Ok(Connection { to, sender })
    }
}

async fn open(
    tls: &Arc<ClientConfig>,
    to: SocketAddr,
) -> Result<http1::SendRequest<Full<Bytes>>, Why> {
    let stream = TcpStream::connect(to).await.map_err(Why::Connect)?;
    let stream = shake_hands(tls, stream).await.map_err(Why::Handshake)?;
    let opened = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = opened.map_err(Why::Broken)?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn answer(response: Response<Incoming>) -> hyper::Result<Answer> {
    let headers = response.headers();
    let closes = headers
        .get(header::CONNECTION)
        .is_some_and(|it| it == "close");
    Ok(Answer {
        status: response.status(),
        retry_after: headers.contains_key(header::RETRY_AFTER),
        kept: !closes,
        body: response.into_body().collect().await?.to_bytes(),
    })
}

pub fn review(path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::post(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .unwrap()
}

pub async fn shake_hands(
    tls: &Arc<ClientConfig>,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(tls))
        .connect(name, stream)
        .await
}

/// Trusts these authorities, each one or more certificates as PEM.
pub fn trusting(authorities: &[&str]) -> Arc<ClientConfig> {
    let mut config = verifying(authorities).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The same, with a certificate of its own.
pub fn showing(pair: &Pair, authorities: &[&str]) -> Arc<ClientConfig> {
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let verifying = verifying(authorities);
    let config = verifying.with_client_auth_cert(certificates(&pair.chain), key);
    Arc::new(config.unwrap())
}

fn verifying(authorities: &[&str]) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    for pem in authorities {
        for root in certificates(pem) {
            roots.add(root).unwrap();
        }
    }
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

pub fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes());
    found.collect::<Result<_, _>>().unwrap()
}

/// Trusts what the process shows as its caBundle.
pub async fn trusting_that_of(process: &Process) -> Arc<ClientConfig> {
    trusting(&[&process.get("/ca.pem").await.1])
}
