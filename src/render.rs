//! Policies in other words: as objects that do without a webhook.

mod admission_policy;
pub mod snapshot_job;
pub mod velero;

pub use admission_policy::{ALWAYS, Backstop, Loss, Rendered, admission_policy};
