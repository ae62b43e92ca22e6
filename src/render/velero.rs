//! Policies as the hooks of Velero's Backup, Schedule and Restore, for pods that nobody may touch.
//!
//! Velero knows a pod by its namespace and labels alone. So the engine is asked about pods that somebody
//! has seen, and its answers are said in those words; where no pod was seen, a policy is said as far as
//! its match goes. What cannot be said is lost, and named: a hook never reaches a pod that the policy
//! does not mean.

mod found;
mod lost;
mod unseen;
mod volumes;

use std::collections::BTreeMap;

use crate::{
    pod::PodView,
    select::Facts,
    velero::spec::{HookSet, VolumeRule},
};

pub use found::found;
pub use lost::{Lost, Obstacle, Why};
pub use unseen::unseen;

/// Which of a policy's hooks are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Those of a Backup or of a Schedule.
    Backup,
    Restore,
}

/// A pod, or the template of one.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// As people call it: `Pod shop/pg-0`.
    pub title: &'a str,
    pub pod: &'a PodView<'a>,
    pub facts: Facts<'a>,
    /// By the names of its volumes, the positions of their claims among all.
    pub claims: &'a BTreeMap<String, usize>,
}

/// A claim of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub labels: BTreeMap<String, String>,
}

/// What a Backup, Schedule or Restore is to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendered {
    pub hooks: Vec<HookSet>,
    /// In their order; of those that fit, the first counts.
    pub volumes: Vec<VolumeRule>,
    pub lost: Vec<Lost>,
}
