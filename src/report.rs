//! What was found out, in words for people and in JSON for programs.
//!
//! Text has colours in it; who prints it takes them out where nobody would see them.

pub mod diagnostics;
pub mod explanation;
pub mod fixes;
mod fold;
pub mod manual;
mod opening;
mod style;

pub use fold::{fold, paragraph};
pub use style::Style;
