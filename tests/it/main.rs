//! What the program does as a whole, on the parts that it will meet: one binary, so that it links once.
#![expect(
    clippy::unwrap_used,
    reason = "a test that fails says so by panicking, its helpers too"
)]

mod allocations;
mod apiserver;
mod architecture;
mod audit;
mod bodies;
mod broken;
mod calls;
mod cases;
mod cluster;
mod commands;
mod coordinator;
mod databases;
mod deploy;
mod doctor;
mod engine;
mod fixes;
mod founding;
mod help;
mod library;
mod lint;
mod mistakes;
mod monitoring;
mod opening;
mod properties;
mod readme;
mod recognised;
mod render;
mod reviews;
mod snapshots;
mod stress;
mod support;
mod velero;
