//! Takes the snapshots that `crate::snapshot` decides about: looks at the cluster, runs the hooks, has the
//! storage cut, and writes on what came out what it is.

mod clock;
mod drive;
mod group;
mod lock;
mod plan;
mod sight;
mod storage;
mod target;

pub use self::{
    clock::Clock,
    drive::{Drive, Times},
    group::{Group, Grouping},
    lock::{Busy, Lock},
    plan::{Claim, Plan, Wanted},
    storage::forget,
    target::Target,
};
