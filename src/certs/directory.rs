//! Reads a certificate from a directory as a Kubernetes Secret is mounted: `tls.crt`, `tls.key`,
//! and `ca.crt` where there is one.
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustls::{
    InconsistentKeys,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{CA, CHAIN, Certificate, KEY, certificate::unix_seconds, provider};

/// Where the certificate is read from, again and again by path.
///
/// Never by an open file: a mounted Secret changes by a symlink that is swapped.
#[derive(Clone, Debug)]
pub struct Directory(PathBuf);

/// What the files held at one moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Files {
    directory: PathBuf,
    chain: Vec<u8>,
    key: Vec<u8>,
    ca: Option<Vec<u8>>,
}

/// Why a directory gives no certificate. Each sentence names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "{} does not exist; the certificate directory must hold tls.crt (the chain) and tls.key, both PEM",
        path.display()
    )]
    Missing { path: PathBuf },
    #[error("{} cannot be read: {because}; check its owner and mode", path.display())]
    Unreadable { path: PathBuf, because: io::Error },
    #[error(
        "{} is no PEM file; it must have lines that begin with -----BEGIN",
        path.display()
    )]
    NotPem { path: PathBuf },
    #[error("{} is damaged: {flaw}; write it again", path.display())]
    Damaged { path: PathBuf, flaw: &'static str },
    #[error("{} has no certificate in it; put the server's chain there", path.display())]
    NoCertificate { path: PathBuf },
    #[error(
        "{} has no private key in it; put the key of the certificate there, PKCS#8, PKCS#1 or SEC1",
        path.display()
    )]
    NoKey { path: PathBuf },
    #[error(
        "{} has an encrypted key, which cannot be used without its password; decrypt it with: openssl pkey -in FILE",
        path.display()
    )]
    EncryptedKey { path: PathBuf },
    #[error("{} has a key that cannot be used: {because}", path.display())]
    UnusableKey {
        path: PathBuf,
        because: rustls::Error,
    },
    #[error("certificate {number} of {} cannot be read: {because}", path.display())]
    Unparsable {
        path: PathBuf,
        number: usize,
        because: String,
    },
    #[error(
        "{} does not fit the first certificate of {}; both must be of the same issue, the server's own certificate first",
        key.display(),
        chain.display()
    )]
    KeyMismatch { key: PathBuf, chain: PathBuf },
    #[error("certificate {number} of {} expired on {on}; renew it", path.display())]
    Expired {
        path: PathBuf,
        number: usize,
        on: String,
    },
}

impl Directory {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn files(&self) -> Result<Files, LoadError> {
        let ca = match read(self.0.join(CA)) {
            Ok(content) => Some(content),
            Err(LoadError::Missing { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Files {
            directory: self.0.clone(),
            chain: read(self.0.join(CHAIN))?,
            key: read(self.0.join(KEY))?,
            ca,
        })
    }

    /// Reads and judges the files: the certificate is fit to be served at `now`.
    pub fn certificate(&self, now: SystemTime) -> Result<Certificate, LoadError> {
        self.files()?.certificate(now)
    }
}

impl Files {
    pub fn certificate(&self, now: SystemTime) -> Result<Certificate, LoadError> {
        let chain_path = self.directory.join(CHAIN);
        let chain = certificates(&self.chain, &chain_path)?;
        let not_after = earliest_end(&chain, &chain_path, now)?;

        let key_path = self.directory.join(KEY);
        let key = private_key(&self.key, &key_path)?;

        let trust = match &self.ca {
            Some(ca) => certificates(ca, &self.directory.join(CA))?,
            // Without it: the topmost that we have, which Go accepts as a root of its own.
            None => chain.last().cloned().into_iter().collect(),
        };
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|because| {
            let mismatch = matches!(
                because,
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)
            );
            if mismatch {
                LoadError::KeyMismatch {
                    key: key_path,
                    chain: chain_path,
                }
            } else {
                LoadError::UnusableKey {
                    path: key_path,
                    because,
                }
            }
        })?;
        Ok(Certificate::new(certified, not_after, &trust))
    }
}

fn read(path: PathBuf) -> Result<Vec<u8>, LoadError> {
    fs::read(&path).map_err(|because| match because.kind() {
        io::ErrorKind::NotFound => LoadError::Missing { path },
        _ => LoadError::Unreadable { path, because },
    })
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let path = path.to_owned();
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match found {
        Err(error) => Err(damaged(&error, path)),
        Ok(none) if none.is_empty() && !has_pem(pem) => Err(LoadError::NotPem { path }),
        Ok(none) if none.is_empty() => Err(LoadError::NoCertificate { path }),
        Ok(chain) => Ok(chain),
    }
}

fn private_key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, LoadError> {
    const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    let path = path.to_owned();
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(if !has_pem(pem) {
            LoadError::NotPem { path }
        } else if contains(pem, ENCRYPTED) {
            LoadError::EncryptedKey { path }
        } else {
            LoadError::NoKey { path }
        }),
        Err(error) => Err(damaged(&error, path)),
    }
}

/// The library's own message quotes lines of the file, which may be those of a key.
pub(super) fn damaged(error: &pem::Error, path: PathBuf) -> LoadError {
    let flaw = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is broken",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::SectionTooLarge => "a section is too large",
        _ => "a section cannot be read",
    };
    LoadError::Damaged { path, flaw }
}

fn has_pem(text: &[u8]) -> bool {
    contains(text, b"-----BEGIN ")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// When the chain stops being valid, which is when the first of its certificates does.
fn earliest_end(
    chain: &[CertificateDer<'_>],
    path: &Path,
    now: SystemTime,
) -> Result<SystemTime, LoadError> {
    let mut earliest = i64::MAX;
    for (index, der) in chain.iter().enumerate() {
        let number = index + 1;
        let (_, parsed) =
            X509Certificate::from_der(der).map_err(|because| LoadError::Unparsable {
                path: path.to_owned(),
                number,
                because: because.to_string(),
            })?;
        let end = parsed.validity().not_after;
        if end.timestamp() < unix_seconds(now) {
            return Err(LoadError::Expired {
                path: path.to_owned(),
                number,
                on: end.to_string(),
            });
        }
        earliest = earliest.min(end.timestamp());
    }
    let seconds = u64::try_from(earliest).unwrap_or_default();
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
