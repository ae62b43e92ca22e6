//! Takes the snapshots that `crate::snapshot` decides about: looks at the cluster, runs the hooks, has the
//! storage cut, and writes on what came out what it is.

mod backups;
mod clock;
mod drive;
mod group;
mod hooks;
mod kept;
mod lock;
mod patience;
mod plan;
mod sight;
mod storage;
mod target;

pub use self::{
    backups::{BackedUp, backed_up},
    clock::Clock,
    drive::{Drive, Keep, Times, Unkept},
    group::{Group, Grouping},
    kept::Kept,
    lock::{Busy, Lock},
    plan::{Claim, Plan, Wanted},
    storage::forget,
    target::Target,
};
