//! Whether Velero's backups are followed, and who is notified of what went wrong.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use hyper::Uri;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    controller::{BackupPlan, Notifier, ResultMetrics},
    results::notice::Format,
};

#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// Follow the Backups and Restores in Velero's namespace, and say what became of their hooks; it needs
    /// the rights of deploy/components/watch-backups
    #[arg(long, env = "QUIESCENT_WATCH_BACKUPS")]
    watch_backups: bool,
    /// Who is notified when a hook failed or never ran, beside Events: an http or https address
    #[arg(
        long,
        value_name = "URL",
        requires = "watch_backups",
        env = "QUIESCENT_NOTIFY_URL",
        hide_env_values = true
    )]
    notify_url: Option<String>,
    /// What is sent there: alerts for /api/v2/alerts of Alertmanager, or one JSON object
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "alertmanager",
        env = "QUIESCENT_NOTIFY_FORMAT"
    )]
    notify_format: NotifyFormat,
    /// Authorities that its certificate may be signed by, as PEM; those of the system when absent
    #[arg(long, value_name = "FILE", env = "QUIESCENT_NOTIFY_CA")]
    notify_ca: Option<PathBuf>,
    /// A file with the token that it asks for, which may change
    #[arg(long, value_name = "FILE", env = "QUIESCENT_NOTIFY_TOKEN_FILE")]
    notify_token_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum NotifyFormat {
    Alertmanager,
    Json,
}

impl BackupArgs {
    /// None where they are not followed.
    pub fn plan(
        self,
        metrics: impl FnOnce() -> ResultMetrics,
    ) -> anyhow::Result<Option<BackupPlan>> {
        let Self {
            watch_backups,
            notify_url,
            notify_format,
            notify_ca,
            notify_token_file,
        } = self;
        if !watch_backups {
            return Ok(None);
        }
        let notifier = match notify_url {
            Some(url) => Some(Notifier {
                url: readable(url)?,
                format: match notify_format {
                    NotifyFormat::Alertmanager => Format::Alertmanager,
                    NotifyFormat::Json => Format::Json,
                },
                authorities: notify_ca.as_deref().map(authorities).transpose()?,
                token: notify_token_file,
            }),
            None => None,
        };
        Ok(Some(BackupPlan {
            notifier,
            metrics: metrics(),
        }))
    }
}

/// The address itself is not said: it may have a secret in it.
fn readable(url: String) -> anyhow::Result<String> {
    let read: Uri = url.parse().context("--notify-url: it is no address")?;
    let scheme = read.scheme_str();
    let authority = read.authority().map_or("", |it| it.as_str());
    if !matches!(scheme, Some("http" | "https")) || authority.is_empty() {
        bail!(
            "--notify-url: it takes an address such as http://alertmanager.monitoring:9093/api/v2/alerts"
        );
    }
    if authority.contains('@') {
        bail!("--notify-url: it takes no password, and --notify-token-file a token");
    }
    Ok(url)
}

fn authorities(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let failed = || format!("--notify-ca {}", path.display());
    let pem = fs::read(path).with_context(failed)?;
    let certificates = CertificateDer::pem_slice_iter(&pem).map(|it| Ok(it?.to_vec()));
    let certificates: Vec<Vec<u8>> = certificates
        .collect::<Result<_, rustls::pki_types::pem::Error>>()
        .with_context(failed)?;
    if certificates.is_empty() {
        bail!(
            "--notify-ca {}: there is no certificate in it",
            path.display()
        );
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn an_address_is_http_and_has_no_password() {
        for good in [
            "http://alertmanager.monitoring:9093/api/v2/alerts",
            "https://hooks.example.com/secret",
        ] {
            assert!(readable(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "alertmanager",
            "/api",
            "ftp://a/b",
            "http://u:secret@a/b",
            "",
        ] {
            let refused = readable(bad.to_owned()).unwrap_err().to_string();
            assert!(refused.starts_with("--notify-url"), "{refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
