//! The serving certificate: made in memory or read from a directory, and swapped while serving.
mod authority;
mod certificate;
mod client_ca;
mod directory;
mod follow;
mod kept;
mod self_made;
mod shown;
mod trust;

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{
        NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    version::{TLS12, TLS13},
};

pub use self::{
    authority::{MakeError, Pair, authority, leaf},
    certificate::Certificate,
    client_ca::{ClientCaError, client_ca},
    directory::{Directory, Files, LoadError},
    follow::{CertificateMetrics, Follower, Poll, Served},
    kept::{CA_KEY, NEXT, NEXT_KEY, bundle, kept, trusting},
    self_made::{SelfMadeError, VALIDITY, self_made},
    shown::{chain, shown},
    trust::{chain_of, looked_at},
};

/// What a Secret with a certificate calls its parts, and so the files where it is mounted.
pub const CHAIN: &str = "tls.crt";
pub const KEY: &str = "tls.key";
pub const CA: &str = "ca.crt";

/// Where the admin port shows what callers of the webhook are shown.
pub const CHAIN_PAGE: &str = "/chain.pem";

/// The cryptography that everything of ours uses, passed explicitly.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Makes the same cryptography the default, for libraries that ask for the process's own.
///
/// Whether somebody was faster does not matter: only one provider is compiled in.
pub fn install_default_provider() {
    let _ = aws_lc_rs::default_provider().install_default();
}

/// TLS 1.2 and 1.3 with the certificate that `resolver` has at each handshake, for everybody or for
/// those whom `callers` accepts.
///
/// Without tickets and stored sessions: the callers keep their connections open, and a resumed
/// session would not see a new certificate.
pub fn server_config(
    resolver: Arc<dyn ResolvesServerCert>,
    callers: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(callers.unwrap_or_else(WebPkiClientVerifier::no_client_auth))
        .with_cert_resolver(resolver);
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
pub(crate) mod fixture;
