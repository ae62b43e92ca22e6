//! What was found in one file.

use std::{ops::Range, sync::Arc};

use super::{Rule, Spot};
use crate::{
    diagnostic::{Diagnostic, Source},
    yaml::Node,
};

/// The findings of one file.
pub struct Findings<'s> {
    source: &'s Arc<Source>,
    found: Vec<Diagnostic>,
}

/// A finding that may yet get more to say.
pub struct Finding<'f>(&'f mut Diagnostic);

impl Finding<'_> {
    pub fn help(self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    pub fn label(self, label: impl Into<String>) -> Self {
        self.0.label = Some(label.into());
        self
    }
}

impl<'s> Findings<'s> {
    pub const fn new(source: &'s Arc<Source>) -> Self {
        Self {
            source,
            found: Vec::new(),
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
        self.found.push(Diagnostic {
            code: rule.code(),
            severity: rule.severity(),
            message: message.into(),
            source: Arc::clone(self.source),
            span,
            label: None,
            help: None,
        });
        Finding(self.found.last_mut().expect("a finding was just pushed"))
    }

    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found
    }
}
