//! What was found about one file, as it is read.

use std::{ops::Range, sync::Arc};

use super::{Diagnostic, Fix, Severity, Source};

/// What a finding is a case of.
pub trait Rule: Copy {
    /// Stable: people select, ignore and look up findings by it.
    fn code(self) -> &'static str;
    fn severity(self) -> Severity;
}

/// The findings of one file.
pub struct Findings<'s> {
    source: &'s Arc<Source>,
    found: Vec<Diagnostic>,
}

/// A finding that may yet get more to say.
pub struct Finding<'f>(&'f mut Diagnostic);

impl Finding<'_> {
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.0.help = Some(help.into());
        self
    }

    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.0.label = Some(label.into());
        self
    }

    pub fn fix(&mut self, fix: Fix) -> &mut Self {
        self.0.fix = Some(fix);
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

    pub fn push(
        &mut self,
        rule: impl Rule,
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
            fix: None,
        });
        Finding(self.found.last_mut().expect("a finding was just pushed"))
    }

    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found
    }

    /// How many of them must not be passed over.
    pub fn errors(&self) -> usize {
        let errors = self.found.iter();
        errors
            .filter(|found| found.severity == Severity::Error)
            .count()
    }
}
