//! Servers of several versions: this machine's own, and those that `tests/kit/servers/build` gets.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    harness::{Container, path},
    server::{client, unprivileged},
};
use crate::support;

/// The programs of one version of a server, and where its other files are.
#[derive(Clone, Debug, Default)]
pub struct Installation {
    /// The folder that its packages were unpacked in; this machine's own programs have none.
    pub root: Option<PathBuf>,
}

impl Installation {
    /// What the packages of this machine are.
    pub fn own() -> Self {
        Self::default()
    }

    /// The one of this name in `tests/kit/servers/roots`, where it was built.
    pub fn named(name: &str) -> Option<Self> {
        let root = fs::canonicalize(Path::new("/var/cache/quiescent-servers").join(name)).ok();
        support::require(
            root.is_some(),
            &format!("{name} (tests/kit/servers/build {name})"),
        )
        .then_some(Self { root })
    }

    /// Where its files are, for servers that must be told.
    pub fn root(&self) -> &Path {
        self.root.as_deref().unwrap_or(Path::new("/"))
    }

    /// Its programs first, then this machine's.
    pub fn path(&self) -> String {
        let Some(root) = &self.root else {
            return path();
        };
        let versions = fs::read_dir(root.join("usr/lib/postgresql")).into_iter();
        let versions = versions.flatten().map(|entry| entry.unwrap().path());
        let mut folders: Vec<String> = versions
            .map(|version| version.join("bin"))
            .chain(["usr/bin", "usr/sbin", "bin", "sbin"].map(|folder| root.join(folder)))
            .filter(|folder| folder.is_dir())
            .map(|folder| folder.display().to_string())
            .collect();
        folders.push(path());
        folders.join(":")
    }

    /// A command as the servers' user.
    pub fn unprivileged(&self, program: &str, home: &Path) -> Command {
        let mut command = unprivileged(program, home);
        command.env("PATH", self.path());
        command
    }

    /// A client, with nothing of our environment.
    pub fn client(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = client(program);
        command.env("PATH", self.path());
        command
    }

    /// A container of an image that has these programs.
    pub fn container(&self) -> Container {
        Container {
            path: self.path(),
            ..Container::default()
        }
    }
}
