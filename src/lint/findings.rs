//! What was found in one file, at the places that lint knows.

use std::{ops::Range, sync::Arc};

use super::{Rule, Spot};
use crate::{
    diagnostic::{self, Diagnostic, Finding, Source},
    yaml::Node,
};

/// The findings of one file.
pub struct Findings<'s> {
    source: &'s Arc<Source>,
    found: diagnostic::Findings<'s>,
}

impl<'s> Findings<'s> {
    pub const fn new(source: &'s Arc<Source>) -> Self {
        Self {
            source,
            found: diagnostic::Findings::new(source),
        }
    }

    pub fn at(&mut self, rule: Rule, spot: &Spot<'_>, message: impl Into<String>) -> Finding<'_> {
        let span = spot.span(&self.source.text);
        self.push(rule, span, message)
    }

    pub fn on(&mut self, rule: Rule, node: &Node, message: impl Into<String>) -> Finding<'_> {
        self.push(rule, node.span.clone(), message)
    }

    pub fn push(
        &mut self,
        rule: Rule,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Finding<'_> {
        self.found.push(rule, span, message)
    }

    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found.into_diagnostics()
    }
}
