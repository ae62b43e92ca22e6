//! Which policies a command asks, and what it says when something is wrong with them.

use std::path::PathBuf;

use crate::{
    diagnostic::any_error,
    policy::PolicySet,
    policy_files::{Fingerprint, Loaded, Sources},
    report::diagnostics,
};

/// What is wrong was said already, with its place.
#[derive(Debug, thiserror::Error)]
#[error("the policies have errors, nothing was done")]
pub struct BrokenPolicies;

#[derive(Clone, Debug, clap::Args)]
pub struct PolicyArgs {
    /// A policy file, or a folder with such files, in place of the compiled-in library; may be repeated
    #[arg(
        long,
        value_name = "PATH",
        env = "QUIESCENT_POLICIES",
        value_delimiter = ','
    )]
    pub policies: Vec<PathBuf>,
    /// Use the compiled-in library beside --policies
    #[arg(long, env = "QUIESCENT_LIBRARY")]
    pub library: bool,
}

impl PolicyArgs {
    pub fn sources(&self) -> Sources {
        let Self { policies, library } = self;
        Sources {
            paths: policies.clone(),
            library: *library || policies.is_empty(),
        }
    }

    /// The policies, or all that is wrong with them on standard error.
    pub fn load(&self) -> anyhow::Result<PolicySet> {
        Ok(self.load_to_watch()?.0)
    }

    /// The same, with what a watcher must know of their files.
    pub fn load_to_watch(&self) -> anyhow::Result<(PolicySet, Fingerprint)> {
        let Loaded {
            policies,
            diagnostics: found,
            fingerprint,
        } = self.sources().load()?;
        for diagnostic in &found {
            anstream::eprintln!("{}\n", diagnostics::text(diagnostic, diagnostics::WIDTH));
        }
        if any_error(&found) {
            return Err(BrokenPolicies.into());
        }
        Ok((policies, fingerprint))
    }
}
