//! `quiescent schema`: what a policy file may say, for editors.

use super::{Ended, output};
use crate::policy::file::HookPolicy;

/// The JSON Schema of a policy file, as it stands in the tree too.
#[must_use]
pub fn text() -> String {
    let schema = schemars::schema_for!(HookPolicy);
    output::json(schema.as_value())
}

pub fn run() -> anyhow::Result<Ended> {
    output::print_raw(&text())
}
