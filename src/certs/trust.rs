//! What whoever has a `caBundle` makes of a certificate that is shown: as the API server judges it.
use std::{collections::BTreeMap, time::Duration};

use rustls::{
    CertificateError, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

use super::provider;
use crate::doctor::{Shown, Source, Trust};

/// The certificates of a text, those that can be read.
pub fn chain_of(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem)
        .filter_map(Result::ok)
        .collect()
}

/// What is to be said of a chain, its own certificate first, to those who trust these bundles and
/// call it `host`; nothing where there is no certificate. `now` is in seconds since 1970.
pub fn looked_at(
    source: Source,
    chain: &[CertificateDer<'_>],
    bundles: &BTreeMap<String, Vec<u8>>,
    host: &str,
    now: i64,
) -> Option<Shown> {
    let (_, parsed) = X509Certificate::from_der(chain.first()?).ok()?;
    let extension = parsed.subject_alternative_name().ok().flatten();
    let names = extension.into_iter().flat_map(|it| &it.value.general_names);
    let names: Vec<String> = names
        .filter_map(|it| match it {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect();
    let trust = bundles.iter().map(|(entry, bundle)| {
        let trust = match trust(bundle, chain, host, now) {
            // Go takes a certificate that is itself in the bundle, which webpki does not.
            Trust::NotTrusted if chain_of(bundle).contains(&chain[0]) => {
                if names.iter().any(|name| name == host) {
                    Trust::Trusted
                } else {
                    Trust::WrongName
                }
            }
            trust => trust,
        };
        (entry.clone(), trust)
    });
    Some(Shown {
        source,
        from: parsed.validity().not_before.timestamp(),
        until: parsed.validity().not_after.timestamp(),
        trust: trust.collect(),
        names: names.clone(),
    })
}

fn trust(bundle: &[u8], chain: &[CertificateDer<'_>], host: &str, now: i64) -> Trust {
    if bundle.is_empty() {
        return Trust::NoBundle;
    }
    let authorities = chain_of(bundle);
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(authorities).0 == 0 {
        return Trust::UnreadableBundle;
    }
    let (Some((first, between)), Ok(name)) = (chain.split_first(), ServerName::try_from(host))
    else {
        return Trust::NotTrusted;
    };
    let seconds = Duration::from_secs(u64::try_from(now).unwrap_or_default());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider()).build();
    let Ok(verifier) = verifier else {
        return Trust::UnreadableBundle;
    };
    let now = UnixTime::since_unix_epoch(seconds);
    let verdict = verifier.verify_server_cert(first, between, &name, &[], now);
    match verdict {
        Ok(_) => Trust::Trusted,
        Err(rustls::Error::InvalidCertificate(why)) => match why {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Trust::WrongName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Trust::NotValidNow,
            _ => Trust::NotTrusted,
        },
        Err(_) => Trust::NotTrusted,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::certs::{authority, certificate::unix_seconds, leaf};

    const HOST: &str = "quiescent.quiescent.svc";

    #[test]
    fn a_bundle_trusts_what_its_authority_signed_for_the_name_and_while_it_lasts() {
        let (day, now) = (Duration::from_hours(24), SystemTime::now());
        let ours = authority(day, now).unwrap();
        let another = authority(day, now).unwrap();
        let signed = |name: &str| {
            let names = [name.to_owned()];
            chain_of(
                leaf(&ours, &names, day, now)
                    .unwrap()
                    .certificate
                    .as_bytes(),
            )
        };
        let check = |bundle: &str, chain: &[CertificateDer<'_>], later: i64| {
            let bundles = [("entry".to_owned(), bundle.as_bytes().to_vec())].into();
            let source = Source::Replica("a".to_owned());
            let now = unix_seconds(now) + later;
            let shown = looked_at(source, chain, &bundles, HOST, now).unwrap();
            shown.trust["entry"]
        };
        let ours = &ours.certificate;
        let good = signed(HOST);
        assert_eq!(check(ours, &good, 0), Trust::Trusted);
        let both = another.certificate.clone() + ours;
        assert_eq!(check(&both, &good, 0), Trust::Trusted);
        assert_eq!(check(&another.certificate, &good, 0), Trust::NotTrusted);
        assert_eq!(check(ours, &signed("other.svc"), 0), Trust::WrongName);
        assert_eq!(check(ours, &good, 2 * 24 * 60 * 60), Trust::NotValidNow);
        assert_eq!(check(ours, &good, -24 * 60 * 60), Trust::NotValidNow);
        assert_eq!(check("", &good, 0), Trust::NoBundle);
        assert_eq!(check("no certificate", &good, 0), Trust::UnreadableBundle);
        // One that stands for itself.
        let itself = chain_of(ours.as_bytes());
        assert_eq!(check(ours, &itself, 0), Trust::WrongName);
    }
}
