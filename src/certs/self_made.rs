//! A self-signed serving certificate that lives in memory only: nothing to install, nothing to leak.
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::{Duration, SystemTime},
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::{
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

use super::{Certificate, authority::valid, provider};

/// How long a certificate made in memory holds.
pub const VALIDITY: Duration = Duration::from_hours(30 * 24);

#[derive(Debug, thiserror::Error)]
pub enum SelfMadeError {
    #[error("{name:?} can be no name in a certificate: {because}")]
    Name { name: String, because: rcgen::Error },
    #[error("a certificate cannot be made: {0}")]
    Make(rcgen::Error),
    #[error("the certificate just made cannot be served: {0}")]
    Serve(rustls::Error),
}

/// Makes a certificate for this machine's loopback names and the `names` given.
pub fn self_made(names: &[String], now: SystemTime) -> Result<Certificate, SelfMadeError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(SelfMadeError::Make)?;
    let valid = valid(VALIDITY, now);

    let mut params = params(names)?;
    params.not_before = valid.start.into();
    params.not_after = valid.end.into();
    let signed = params.self_signed(&key).map_err(SelfMadeError::Make)?;

    let der = CertificateDer::from(signed);
    let private = PrivatePkcs8KeyDer::from(key.serialize_der());
    let certified = CertifiedKey::from_der(vec![der.clone()], private.into(), &provider())
        .map_err(SelfMadeError::Serve)?;
    Ok(Certificate::new(certified, valid.end, &[der]))
}

fn params(names: &[String]) -> Result<CertificateParams, SelfMadeError> {
    let loopback = [
        "localhost".to_owned(),
        Ipv4Addr::LOCALHOST.to_string(),
        Ipv6Addr::LOCALHOST.to_string(),
    ];
    let mut params = CertificateParams::default();
    for name in loopback.iter().chain(names) {
        let one = CertificateParams::new([name.clone()]).map_err(|because| {
            let name = name.clone();
            SelfMadeError::Name { name, because }
        })?;
        for san in one.subject_alt_names {
            if !params.subject_alt_names.contains(&san) {
                params.subject_alt_names.push(san);
            }
        }
    }
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "quiescent, made in memory");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

    use super::*;
    use crate::certs::certificate::unix_seconds;

    #[test]
    fn it_names_loopback_and_what_was_asked_for_once_each() {
        let names = ["quiescent.quiescent.svc".to_owned(), "localhost".to_owned()];
        let made = self_made(&names, SystemTime::now()).unwrap();
        let (_, parsed) = X509Certificate::from_der(&made.key.cert[0]).unwrap();
        let sans = parsed.subject_alternative_name().unwrap().unwrap();
        let dns = GeneralName::DNSName("quiescent.quiescent.svc");
        assert_eq!(sans.value.general_names.len(), 4);
        assert!(sans.value.general_names.contains(&dns));
        let v4 = GeneralName::IPAddress(&[127, 0, 0, 1]);
        assert!(sans.value.general_names.contains(&v4));
    }

    #[test]
    fn it_holds_thirty_days_and_says_so() {
        let now = SystemTime::now();
        let made = self_made(&[], now).unwrap();
        let (_, parsed) = X509Certificate::from_der(&made.key.cert[0]).unwrap();
        let until = parsed.validity().not_after.timestamp();
        assert_eq!(until, unix_seconds(now) + 30 * 24 * 3600);
        assert_eq!(until, unix_seconds(made.not_after()));
    }

    #[test]
    fn its_pem_and_fingerprint_are_those_of_the_served_certificate() {
        use rustls::pki_types::pem::PemObject as _;
        use sha2::{Digest, Sha256};

        let made = self_made(&[], SystemTime::now()).unwrap();
        let read = CertificateDer::from_pem_slice(made.ca_pem().as_bytes()).unwrap();
        assert_eq!(read, made.key.cert[0]);
        let first = Sha256::digest(&read)[0];
        assert!(made.fingerprint().starts_with(&format!("{first:02x}:")));
        assert_eq!(made.fingerprint().len(), 32 * 3 - 1);
    }

    #[test]
    fn a_name_that_cannot_be_one_is_named() {
        let error = self_made(&["bücher.example".to_owned()], SystemTime::now()).unwrap_err();
        assert!(error.to_string().contains("bücher.example"), "{error}");
    }
}
