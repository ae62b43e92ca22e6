//! Takes the snapshots that `crate::snapshot` decides about: looks at the cluster, runs the hooks, has the
//! storage cut, and writes on what came out what it is.

mod clock;
mod drive;
mod lock;
mod plan;
mod storage;
mod target;

pub use self::{
    clock::Clock,
    drive::{Drive, Times},
    lock::{Busy, Lock},
    plan::{Claim, Plan, Wanted},
    storage::forget,
    target::Target,
};
