//! What the program says about itself while it runs: log lines and metrics.
pub mod log;
pub mod metrics;
