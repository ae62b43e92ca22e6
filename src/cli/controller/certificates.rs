//! Who makes the webhook's certificate, and how long it lasts.

use std::time::Duration;

use anyhow::bail;

use crate::{controller::CertificatePlan, rotation::Issuer, velero::Timeout};

/// What the controller does about the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Certificates {
    /// Makes and renews it, in a Secret of its own.
    Issue,
    /// Has the webhook's entries trust what somebody else makes, such as cert-manager.
    Follow,
    /// Nothing.
    Off,
}

#[derive(Debug, clap::Args)]
pub struct CertificateArgs {
    /// Who makes the webhook's certificate: this controller, somebody whom it follows, or nobody it knows of
    #[arg(
        long,
        value_name = "WHO",
        value_enum,
        default_value = "off",
        env = "QUIESCENT_CERTIFICATES"
    )]
    certificates: Certificates,
    /// The Secret with the certificate, in the namespace of the lease
    #[arg(
        long,
        value_name = "NAME",
        default_value = "quiescent-tls",
        env = "QUIESCENT_TLS_SECRET"
    )]
    tls_secret: String,
    /// The Service of the webhook, in the namespace of the lease
    #[arg(
        long,
        value_name = "NAME",
        default_value = "quiescent",
        env = "QUIESCENT_SERVICE"
    )]
    service: String,
    /// The MutatingWebhookConfiguration whose entries trust the certificate
    #[arg(
        long,
        value_name = "NAME",
        default_value = "quiescent",
        env = "QUIESCENT_WEBHOOK"
    )]
    webhook: String,
    /// How long a certificate of ours lasts; a new one comes after two thirds of it
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "2160h",
        env = "QUIESCENT_CERTIFICATE_LIFE"
    )]
    certificate_life: Timeout,
    /// How long an authority of ours lasts; a new one comes after two thirds of it
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "26280h",
        env = "QUIESCENT_AUTHORITY_LIFE"
    )]
    authority_life: Timeout,
    /// How long a new authority is trusted before it signs, so that every API server has heard of it
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "30s",
        env = "QUIESCENT_TRUST_DELAY"
    )]
    trust_delay: Timeout,
}

impl CertificateArgs {
    /// None where nothing is to be done.
    pub fn plan(self, namespace: &str) -> anyhow::Result<Option<CertificatePlan>> {
        let Self {
            certificates,
            tls_secret,
            service,
            webhook,
            certificate_life,
            authority_life,
            trust_delay,
        } = self;
        let issuer = match certificates {
            Certificates::Issue => Issuer::Ourselves,
            Certificates::Follow => Issuer::Another,
            Certificates::Off => return Ok(None),
        };
        if trust_delay < Timeout::from_seconds(0) {
            bail!("--trust-delay {trust_delay}: it takes a time, such as 30s");
        }
        let settle = trust_delay.to_std();
        // What is left of a life when its renewal begins must do for the renewal.
        let least = 6 * settle + Duration::from_secs(6);
        for (flag, life) in [
            ("--certificate-life", certificate_life),
            ("--authority-life", authority_life),
        ] {
            if !life.is_positive() || life.to_std() < least {
                bail!("{flag} {life}: it takes {least:?} at least, six times --trust-delay and 6s");
            }
        }
        if authority_life < certificate_life {
            bail!(
                "--authority-life {authority_life}: an authority must last as long as what it signs, {certificate_life}"
            );
        }
        Ok(Some(CertificatePlan {
            issuer,
            namespace: namespace.to_owned(),
            secret: tls_secret,
            service,
            webhook,
            life: certificate_life.to_std(),
            authority_life: authority_life.to_std(),
            settle,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(certificate: &str, authority: &str, delay: &str) -> String {
        let arguments = CertificateArgs {
            certificates: Certificates::Issue,
            tls_secret: "quiescent-tls".to_owned(),
            service: "quiescent".to_owned(),
            webhook: "quiescent".to_owned(),
            certificate_life: certificate.parse().unwrap(),
            authority_life: authority.parse().unwrap(),
            trust_delay: delay.parse().unwrap(),
        };
        match arguments.plan("quiescent") {
            Ok(_) => "fine".to_owned(),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn times_that_leave_no_room_for_a_renewal_are_refused() {
        assert_eq!(said("2160h", "26280h", "30s"), "fine");
        for (certificate, authority, delay, part) in [
            ("1m", "26280h", "30s", "--certificate-life 1m"),
            ("2160h", "1m", "30s", "--authority-life 1m"),
            ("2160h", "100h", "30s", "as long as what it signs"),
            ("2160h", "26280h", "-1s", "--trust-delay -1s"),
        ] {
            let said = said(certificate, authority, delay);
            assert!(said.contains(part), "{said}");
        }
    }
}
