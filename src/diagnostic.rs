//! What can be said about a file: a code, a place and what to do.
//!
//! Only data. `report` turns it into text for people, JSON for programs.

mod findings;

use std::{ops::Range, sync::Arc};

pub use findings::{Finding, Findings, Rule};

/// A text and the name under which people know it.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Error,
}

impl Severity {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable: people select, ignore and look up findings by it.
    pub code: &'static str,
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    pub source: Arc<Source>,
    /// The bytes of the source that are wrong.
    pub span: Range<usize>,
    /// What to say beside the caret.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Absent where no program can tell what to do.
    pub fix: Option<Fix>,
}

/// What does away with a finding, as far as a program can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Another text for the scalar with this span.
    Text { at: Range<usize>, text: String },
    /// One more entry, a text too, for the mapping with this span.
    Entry {
        into: Range<usize>,
        key: String,
        text: String,
    },
    /// Nothing, for this reason: somebody has to decide.
    Person(&'static str),
}

impl Fix {
    /// Whether it changes anything.
    #[must_use]
    pub const fn is_a_change(&self) -> bool {
        matches!(self, Self::Text { .. } | Self::Entry { .. })
    }
}

impl Diagnostic {
    /// Line and column of the first wrong character, both counted from 1.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        let text = &self.source.text;
        let start = self.span.start.min(text.len());
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

/// Whether any finding is one that must not be passed over.
#[must_use]
pub fn any_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics
        .iter()
        .any(|found| found.severity == Severity::Error)
}
