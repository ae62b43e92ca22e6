//! The policies that are compiled into the program.

mod entry;
pub mod page;
mod proof;

use std::{collections::BTreeMap, sync::Arc};

pub use entry::{Entry, entries};
pub use proof::{Capture, Row};

use crate::{
    diagnostic::Source,
    policy::{Input, Place, ScriptFile, parse},
};

/// One folder of `policies/`.
#[derive(Clone, Copy, Debug)]
pub struct Folder {
    pub name: &'static str,
    pub policy: &'static str,
    pub scripts: &'static [(&'static str, &'static str)],
    /// What people must know beside what the policy says: Markdown under the [`HEADINGS`].
    pub about: &'static str,
    /// What the proof run found, as JSON.
    proof: &'static str,
}

/// What is said about each policy, in this order.
pub const HEADINGS: [&str; 5] = ["Blocks", "Needs", "Privileges", "Limits", "Restore by hand"];

macro_rules! folders {
    ($($name:literal: $($script:literal)*;)*) => {
        /// All folders, by name. A test holds this list against the tree.
        pub const FOLDERS: &[Folder] = &[$(Folder {
            name: $name,
            policy: include_str!(concat!("../policies/", $name, "/policy.yaml")),
            scripts: &[$((
                $script,
                include_str!(concat!("../policies/", $name, "/scripts/", $script)),
            ),)*],
            about: include_str!(concat!("../policies/", $name, "/about.md")),
            proof: include_str!(concat!("../policies/", $name, "/proof.json")),
        },)*];
    };
}

folders! {
    "cassandra-snapshot": "cassandra.sh" "post.sh" "pre.sh";
    "clickhouse-backup": "post.sh" "pre.sh";
    "cockroachdb-backup": "post.sh" "pre.sh";
    "consul-dump": "consul.sh" "post.sh" "pre.sh" "restore.sh";
    "elasticsearch-snapshot": "post.sh" "pre.sh";
    "etcd-dump": "check.sh" "etcd.sh" "init.sh" "post.sh" "pre.sh" "restore.sh";
    "etcd-dump-distroless": ;
    "etcd-snapshot": "check.sh" "etcd.sh" "post.sh" "pre.sh";
    "filesystem-freeze": "freeze.sh" "hold.sh" "post.sh" "pre.sh";
    "filesystem-sync": "post.sh" "pre.sh";
    "http-call": "hold.sh" "http.sh" "post.sh" "pre.sh";
    "influxdb-dump": "influxdb.sh" "post.sh" "pre.sh" "restore.sh";
    "maintenance-flag": "flag.sh" "hold.sh" "post.sh" "pre.sh" "restore.sh";
    "mariadb-backup": "check.sh" "init.sh" "mysql.sh" "physical.sh" "post.sh" "pre.sh" "restore.sh";
    "mariadb-dump": "check.sh" "mysql.sh" "post.sh" "pre.sh" "restore.sh";
    "mariadb-lock": "check.sh" "hold.sh" "mysql.sh";
    "mariadb-snapshot": "check.sh" "mysql.sh" "post.sh" "pre.sh";
    "mongodb-dump": "mongodb.sh" "post.sh" "pre.sh" "restore.sh";
    "mongodb-snapshot": "mongodb.sh" "post.sh" "pre.sh";
    "mysql-clone": "check.sh" "init.sh" "mysql.sh" "physical.sh" "post.sh" "pre.sh" "restore.sh";
    "mysql-dump": "check.sh" "mysql.sh" "post.sh" "pre.sh" "restore.sh";
    "mysql-snapshot": "check.sh" "mysql.sh" "post.sh" "pre.sh";
    "nats-copy": "nats.sh" "post.sh" "pre.sh" "talk.sh";
    "openldap-dump": "init.sh" "openldap.sh" "post.sh" "pre.sh" "restore.sh";
    "postgresql-basebackup": "check.sh" "init.sh" "post.sh" "postgresql.sh" "pre.sh" "restore.sh";
    "postgresql-dump": "check.sh" "post.sh" "postgresql.sh" "pre.sh" "restore.sh";
    "postgresql-snapshot": "check.sh" "post.sh" "postgresql.sh" "pre.sh";
    "process-stop": "hold.sh" "post.sh" "pre.sh" "process.sh";
    "rabbitmq-copy": "post.sh" "pre.sh";
    "redis-dump": "check.sh" "post.sh" "pre.sh" "redis.sh" "restore.sh";
    "redis-snapshot": "check.sh" "hold.sh" "post.sh" "pre.sh" "redis.sh";
    "sqlite-dump": "init.sh" "post.sh" "pre.sh" "restore.sh" "sqlite.sh";
    "sqlserver-backup": "post.sh" "pre.sh";
    "vault-snapshot": "post.sh" "pre.sh";
    "zookeeper-copy": "post.sh" "pre.sh" "talk.sh" "zookeeper.sh";
}

/// The library as policies.
///
/// # Panics
/// When a policy of the library has an error, which its tests rule out.
#[must_use]
pub fn policies() -> Vec<Place> {
    let mut places = Vec::with_capacity(FOLDERS.len());
    for folder in FOLDERS {
        let (found, diagnostics) = parse(&folder.input());
        assert!(
            !crate::diagnostic::any_error(&diagnostics),
            "the policy {:?} of the library must be sound: {diagnostics:?}",
            folder.name
        );
        places.extend(found);
    }
    places
}

/// Those of the library that take part without being named: a restore of them was proven.
#[must_use]
pub fn defaults() -> Vec<Place> {
    let mut places = policies();
    places.retain(|place| place.policy.about.proven.is_some());
    places
}

impl Folder {
    /// What the proof run found; nothing for a policy that it has not proven.
    ///
    /// # Panics
    /// When the file is not what the proof run writes, which the library's tests rule out.
    #[must_use]
    pub fn proof(&self) -> Vec<Row> {
        serde_json::from_str(self.proof).expect("proof.json must be a list of rows")
    }

    #[must_use]
    pub fn input(&self) -> Input {
        let scripts: BTreeMap<String, ScriptFile> = self
            .scripts
            .iter()
            .map(|(name, text)| ((*name).to_owned(), ScriptFile::Text((*text).to_owned())))
            .collect();
        Input {
            source: Arc::new(Source {
                name: format!("library/{}/policy.yaml", self.name),
                text: self.policy.to_owned(),
            }),
            scripts,
        }
    }
}
