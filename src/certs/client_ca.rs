//! Who may call at all, where that matters: whoever shows a certificate of these authorities.
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
    server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::{LoadError, directory::damaged, provider};

/// Why a file names no authorities. Each sentence names it and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClientCaError {
    #[error("the client CA {} cannot be read: {because}", path.display())]
    Unreadable { path: PathBuf, because: io::Error },
    #[error("the client CA {0}")]
    Damaged(LoadError),
    #[error("certificate {number} of the client CA {} cannot be used: {because}", path.display())]
    Unusable {
        path: PathBuf,
        number: usize,
        because: rustls::Error,
    },
    #[error(
        "the client CA {} cannot be used: {because}; put the certificates of the authorities there, as PEM",
        path.display()
    )]
    Empty {
        path: PathBuf,
        because: VerifierBuilderError,
    },
}

/// Reads the authorities that callers' certificates must be signed by, all of those in the file.
pub fn client_ca(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, ClientCaError> {
    let pem = fs::read(path).map_err(|because| ClientCaError::Unreadable {
        path: path.to_owned(),
        because,
    })?;
    let mut authorities = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        let certificate = certificate
            .map_err(|error| ClientCaError::Damaged(damaged(&error, path.to_owned())))?;
        let added = authorities.add(certificate);
        added.map_err(|because| ClientCaError::Unusable {
            path: path.to_owned(),
            number: index + 1,
            because,
        })?;
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider()).build();
    verifier.map_err(|because| ClientCaError::Empty {
        path: path.to_owned(),
        because,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::fixture;

    fn refused(content: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callers.crt");
        fs::write(&path, content).unwrap();
        let sentence = client_ca(&path).unwrap_err().to_string();
        assert!(sentence.contains("/callers.crt "), "{sentence}");
        sentence
    }

    #[test]
    fn several_authorities_may_stand_in_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callers.crt");
        let roots = [(); 2].map(|()| fixture::with_intermediate().ca.unwrap());
        fs::write(&path, roots.concat()).unwrap();
        assert_eq!(client_ca(&path).unwrap().root_hint_subjects().len(), 2);
    }

    #[test]
    fn a_file_without_authorities_is_named() {
        assert!(refused("").contains("put the certificates"));
        assert!(refused(&fixture::fresh().key).contains("put the certificates"));
        assert!(refused("-----BEGIN CERTIFICATE-----\nAAAA").contains("damaged"));
        let nothing = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(refused(nothing).contains("certificate 1 of"));
        let missing = client_ca(Path::new("/nowhere/callers.crt")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/callers.crt"));
    }
}
