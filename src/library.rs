//! The policies that are compiled into the program.

use std::{collections::BTreeMap, sync::Arc};

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
}

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
        },)*];
    };
}

folders! {
    "mariadb-dump": "mysql.sh" "post.sh" "pre.sh" "restore.sh";
    "mysql-dump": "mysql.sh" "post.sh" "pre.sh" "restore.sh";
    "postgresql-dump": "post.sh" "postgresql.sh" "pre.sh" "restore.sh";
    "postgresql-snapshot": "post.sh" "postgresql.sh" "pre.sh";
    "redis-dump": "post.sh" "pre.sh" "redis.sh" "restore.sh";
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
