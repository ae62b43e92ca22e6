//! Reads what the webhook's Secret holds and what its entries trust, for [`rotation`] to decide on.
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use rcgen::{KeyPair, PublicKeyData as _};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    sign::CertifiedKey,
};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{
    CA, CHAIN, KEY,
    certificate::{pem, unix_seconds},
    provider,
};
use crate::rotation::{Bundle, Fingerprint, Held, Issuer, Kept};

/// The keys of the Secret's data that only we write.
pub const CA_KEY: &str = "ca.key";
pub const NEXT: &str = "next.crt";
pub const NEXT_KEY: &str = "next.key";

/// Reads a Secret. What cannot be used is as good as absent; `get` gives the data of a key.
pub fn kept<'a>(
    issuer: Issuer,
    names: &[String],
    get: impl Fn(&str) -> Option<&'a [u8]>,
    now: SystemTime,
) -> Kept {
    let authority = |certificate: &str, key: &str| {
        let pem = get(certificate)?;
        let first = CertificateDer::from_pem_slice(pem).ok()?;
        signs(&first, get(key)?).then(|| held(&first)).flatten()
    };
    let authorities = match issuer {
        Issuer::Ourselves => authority(CA, CA_KEY).into_iter().collect(),
        Issuer::Another => get(CA).map(all_held).unwrap_or_default(),
    };
    Kept {
        leaf: leaf(names, &get, now),
        authorities,
        next: authority(NEXT, NEXT_KEY),
    }
}

/// Reads a `caBundle`.
pub fn bundle(pem: &[u8]) -> Bundle {
    let held = all_held(pem);
    if held.is_empty() {
        Bundle::Unreadable
    } else {
        Bundle::Trusts(held)
    }
}

/// Of the certificates in these texts, those that are wanted, each once: the content of a `caBundle`.
pub fn trusting<'a>(
    texts: impl IntoIterator<Item = &'a [u8]>,
    wanted: impl Fn(&Fingerprint) -> bool,
) -> String {
    let certificates = texts
        .into_iter()
        .flat_map(|text| CertificateDer::pem_slice_iter(text).filter_map(Result::ok));
    let found: BTreeMap<Fingerprint, String> = certificates
        .map(|der| (fingerprint(&der), pem(&der)))
        .filter(|(id, _)| wanted(id))
        .collect();
    found.into_values().collect()
}

pub(super) fn fingerprint(der: &[u8]) -> Fingerprint {
    Sha256::digest(der).into()
}

/// The Secret's pair where it can be served: the key fits, and whoever trusts the authorities beside
/// it accepts it for every name.
fn leaf<'a>(
    names: &[String],
    get: impl Fn(&str) -> Option<&'a [u8]>,
    now: SystemTime,
) -> Option<Held> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(get(CHAIN)?)
        .collect::<Result<_, _>>()
        .ok()?;
    let key = PrivateKeyDer::from_pem_slice(get(KEY)?).ok()?;
    let (first, between) = chain.split_first()?;
    CertifiedKey::from_der(chain.clone(), key, &provider()).ok()?;

    let mut roots = RootCertStore::empty();
    roots
        .add_parsable_certificates(CertificateDer::pem_slice_iter(get(CA)?).filter_map(Result::ok));
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider())
        .build()
        .ok()?;
    let seconds = u64::try_from(unix_seconds(now)).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let accepted = names.iter().all(|name| {
        ServerName::try_from(name.as_str()).is_ok_and(|name| {
            let answer = verifier.verify_server_cert(first, between, &name, &[], now);
            answer.is_ok()
        })
    });
    accepted.then(|| held(first)).flatten()
}

/// Whether this is the key of that certificate.
fn signs(certificate: &CertificateDer<'_>, key: &[u8]) -> bool {
    let key = str::from_utf8(key)
        .ok()
        .and_then(|pem| KeyPair::from_pem(pem).ok());
    let parsed = X509Certificate::from_der(certificate).ok();
    key.zip(parsed)
        .is_some_and(|(key, (_, parsed))| parsed.public_key().raw == key.subject_public_key_info())
}

fn all_held(pem: &[u8]) -> Vec<Held> {
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    certificates.filter_map(|der| held(&der)).collect()
}

fn held(der: &CertificateDer<'_>) -> Option<Held> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    Some(Held {
        id: fingerprint(der),
        from: parsed.validity().not_before.timestamp(),
        until: parsed.validity().not_after.timestamp(),
    })
}

#[cfg(test)]
mod tests;
