//! An authority of our own and what it signs, as PEM: a Secret keeps both.
use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};

/// Callers' clocks may be behind ours.
const BACKDATED: Duration = Duration::from_hours(1);

/// A certificate and its key.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    #[error("the webhook's names {names:?} cannot stand in a certificate: {because}")]
    Names {
        names: Vec<String>,
        because: rcgen::Error,
    },
    #[error("the authority's certificate or key cannot be used: {0}")]
    Authority(rcgen::Error),
    #[error("a certificate cannot be made: {0}")]
    Make(rcgen::Error),
}

/// Makes an authority that signs for nobody but the webhook.
pub fn authority(life: Duration, now: SystemTime) -> Result<Pair, MakeError> {
    let key = key()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named("quiescent CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let valid = valid(life, now);
    params.not_before = valid.start.into();
    params.not_after = valid.end.into();
    let certificate = params.self_signed(&key).map_err(MakeError::Make)?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// Has an authority sign a certificate for a server with these DNS names.
///
/// A life beyond the authority's own helps nobody: it is trusted no longer than that.
pub fn leaf(
    authority: &Pair,
    names: &[String],
    life: Duration,
    now: SystemTime,
) -> Result<Pair, MakeError> {
    let signer = KeyPair::from_pem(&authority.key).map_err(MakeError::Authority)?;
    let issuer =
        Issuer::from_ca_cert_pem(&authority.certificate, signer).map_err(MakeError::Authority)?;
    let key = key()?;
    let mut params = CertificateParams::new(names).map_err(|because| MakeError::Names {
        names: names.to_vec(),
        because,
    })?;
    params.distinguished_name = named("quiescent");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let valid = valid(life, now);
    params.not_before = valid.start.into();
    params.not_after = valid.end.into();
    let certificate = params.signed_by(&key, &issuer).map_err(MakeError::Make)?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

fn key() -> Result<KeyPair, MakeError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(MakeError::Make)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// A short life must not lie behind us for the most part.
pub(super) fn valid(life: Duration, now: SystemTime) -> Range<SystemTime> {
    now - BACKDATED.min(life / 10)..now + life
}
