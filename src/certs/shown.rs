//! Asks a server which certificate it shows, whoever signed it.
use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{kept::fingerprint, provider};
use crate::rotation::Fingerprint;

/// How long a server has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The fingerprint of the server's own certificate, which it has proven to hold the key of.
pub async fn shown(address: SocketAddr, name: &str) -> io::Result<Fingerprint> {
    let chain = chain(address, name).await?;
    Ok(fingerprint(&chain[0]))
}

/// All certificates that a server shows, its own first; there is one at least.
pub async fn chain(address: SocketAddr, name: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let provider = provider();
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    let handshake = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    };
    let stream = timeout(PATIENCE, handshake).await??;
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().filter(|it| !it.is_empty());
    let shown = shown.ok_or_else(|| io::Error::other("the server shows no certificate"))?;
    Ok(shown.iter().map(|it| it.clone().into_owned()).collect())
}

/// Accepts every certificate whose key the server has.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use prometheus_client::registry::Registry;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::certs::{Certificate, CertificateMetrics, Served, self_made, server_config};

    async fn serving(certificate: &Certificate) -> SocketAddr {
        let metrics = CertificateMetrics::register(&mut Registry::default());
        let served = Served::new(certificate.clone(), metrics);
        let config = server_config(served, None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = TlsAcceptor::from(config).accept(stream).await;
        });
        address
    }

    #[tokio::test]
    async fn a_server_shows_the_certificate_that_it_serves() {
        let certificate = self_made(&[], SystemTime::now()).unwrap();
        let address = serving(&certificate).await;
        let seen = shown(address, "any.name.at.all").await.unwrap();
        assert_eq!(seen, fingerprint(&certificate.key.cert[0]));
    }

    #[tokio::test]
    async fn a_server_that_does_not_speak_tls_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closed = tokio::spawn(async move { drop(listener.accept().await) });
        assert!(shown(address, "localhost").await.is_err());
        closed.await.unwrap();
    }
}
