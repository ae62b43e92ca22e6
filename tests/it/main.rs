//! What the program does as a whole, on the parts that it will meet: one binary, so that it links once.
#![expect(
    clippy::unwrap_used,
    reason = "a test that fails says so by panicking, its helpers too"
)]

mod apiserver;
mod architecture;
mod broken;
mod cases;
mod commands;
mod databases;
mod engine;
mod founding;
mod lint;
mod properties;
mod readme;
mod reviews;
mod stress;
mod support;
mod velero;
