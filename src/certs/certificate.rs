//! A certificate that is ready to serve, with what people want to know about it.
use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{pki_types::CertificateDer, sign::CertifiedKey};
use sha2::{Digest, Sha256};

/// A chain with its key, and what callers must trust to accept it.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) not_after: SystemTime,
    pub(super) fingerprint: String,
    pub(super) trust: String,
}

impl Certificate {
    /// The chain must not be empty; its first certificate is the server's own.
    pub(super) fn new(
        key: CertifiedKey,
        not_after: SystemTime,
        trust: &[CertificateDer<'_>],
    ) -> Self {
        let own = key.cert.first().map_or(&[][..], AsRef::as_ref);
        Self {
            not_after,
            fingerprint: fingerprint(own),
            trust: trust.iter().map(pem).collect(),
            key: Arc::new(key),
        }
    }

    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Of the server's own certificate, as other tools print it: `3f:9a:…`.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What callers are shown, as PEM: the server's own certificate first.
    pub fn chain_pem(&self) -> String {
        self.key.cert.iter().map(pem).collect()
    }

    /// What a caller must trust, as PEM: the content of a `caBundle` before base64.
    pub fn ca_pem(&self) -> &str {
        &self.trust
    }
}

fn fingerprint(der: &[u8]) -> String {
    let mut text = String::with_capacity(Sha256::output_size() * 3);
    for byte in Sha256::digest(der) {
        if !text.is_empty() {
            text.push(':');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Written anew from the decoded certificate and never copied from a file: a file may hold the
/// private key beside it.
pub(super) fn pem(certificate: &CertificateDer<'_>) -> String {
    const LINE: usize = 64;
    let base64 = STANDARD.encode(certificate);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// Seconds since 1970, as certificates and metrics count them; 0 for what lies before.
pub(super) fn unix_seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
