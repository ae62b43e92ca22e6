//! Certificates for the tests of this layer and of those above it, and a directory as the kubelet writes it.
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// What one Secret holds.
#[derive(Clone, Default)]
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
    pub(crate) ca: Option<String>,
}

fn params(not_after: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = not_after.into();
    params
}

/// A self-signed pair that ends at `not_after`.
pub(crate) fn self_signed(not_after: SystemTime) -> Pair {
    let key = KeyPair::generate().unwrap();
    let certificate = params(not_after).self_signed(&key).unwrap();
    Pair {
        chain: certificate.pem(),
        key: key.serialize_pem(),
        ca: None,
    }
}

pub(crate) fn fresh() -> Pair {
    self_signed(SystemTime::now() + Duration::from_hours(24))
}

/// Leaf and intermediate in the chain, the root beside it, as cert-manager writes them.
pub(crate) fn with_intermediate() -> Pair {
    let tomorrow = SystemTime::now() + Duration::from_hours(24);
    let mut authority = params(tomorrow);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root =
        CertifiedIssuer::self_signed(authority.clone(), KeyPair::generate().unwrap()).unwrap();
    let intermediate =
        CertifiedIssuer::signed_by(authority, KeyPair::generate().unwrap(), &root).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = params(tomorrow).signed_by(&key, &intermediate).unwrap();
    Pair {
        chain: leaf.pem() + &intermediate.pem(),
        key: key.serialize_pem(),
        ca: Some(root.pem()),
    }
}

/// A Secret's volume: the files are symlinks through `..data`, which is swapped by a rename.
pub(crate) struct Volume {
    directory: TempDir,
    generation: u32,
}

impl Volume {
    pub(crate) fn of(pair: &Pair) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            symlink(format!("..data/{name}"), directory.path().join(name)).unwrap();
        }
        let mut volume = Self {
            directory,
            generation: 0,
        };
        volume.swap(pair);
        volume
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn swap(&mut self, pair: &Pair) {
        let before = self.generation();
        self.generation += 1;
        let now = self.generation();
        fs::create_dir(&now).unwrap();
        write(&now, pair);
        let link = self.path().join("..data_tmp");
        symlink(now.file_name().unwrap(), &link).unwrap();
        fs::rename(&link, self.path().join("..data")).unwrap();
        if before.exists() {
            fs::remove_dir_all(before).unwrap();
        }
    }

    fn generation(&self) -> PathBuf {
        self.path()
            .join(format!("..generation_{}", self.generation))
    }
}

/// Writes plain files, each that is not empty.
pub(crate) fn write(directory: &Path, pair: &Pair) {
    let Pair { chain, key, ca } = pair;
    let ca = ca.clone().unwrap_or_default();
    for (name, content) in [("tls.crt", chain), ("tls.key", key), ("ca.crt", &ca)] {
        if !content.is_empty() {
            fs::write(directory.join(name), content).unwrap();
        }
    }
}
