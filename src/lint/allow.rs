//! Findings that somebody accepted, with a reason, in a comment of the file.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::Rule;
use crate::diagnostic::{Diagnostic, Source};

const MARK: &str = "# quiescent: allow";

/// What the comments of one file accept: codes by line, lines counted from 1.
#[derive(Debug, Default)]
pub struct Allowed {
    lines: BTreeMap<usize, Vec<String>>,
}

impl Allowed {
    /// Reads the comments, and finds those that do not count.
    pub fn read(source: &Arc<Source>, known: impl Fn(&str) -> bool) -> (Self, Vec<Diagnostic>) {
        let mut allowed = Self::default();
        let mut found = Vec::new();
        if !source.text.contains(MARK) {
            return (allowed, found);
        }
        let mut start = 0;
        for (index, line) in source.text.split_inclusive('\n').enumerate() {
            if let Some(column) = line.find(MARK) {
                let said = line[column + MARK.len()..].trim();
                let span = start + column..start + line.trim_end().len();
                match accepted(said, &known) {
                    Ok(codes) => {
                        // On a line of its own it is about the next one.
                        let alone = line[..column].trim().is_empty();
                        allowed
                            .lines
                            .entry(index + 1 + usize::from(alone))
                            .or_default()
                            .extend(codes);
                    }
                    Err(message) => found.push(broken(source, span, message)),
                }
            }
            start += line.len();
        }
        (allowed, found)
    }

    #[must_use]
    pub fn accepts(&self, diagnostic: &Diagnostic) -> bool {
        if self.lines.is_empty() {
            return false;
        }
        let (line, _) = diagnostic.position();
        self.lines
            .get(&line)
            .is_some_and(|codes| codes.iter().any(|code| code == diagnostic.code))
    }
}

fn accepted(said: &str, known: &impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let (codes, reason) = said.split_once("because").unwrap_or((said, ""));
    let codes: Vec<String> = codes
        .split([',', ' '])
        .filter(|code| !code.is_empty())
        .map(str::to_ascii_uppercase)
        .collect();
    if let Some(unknown) = codes.iter().find(|code| !known(code)) {
        return Err(format!("there is no code {unknown}"));
    }
    if codes.is_empty() || reason.trim().is_empty() {
        return Err("without a reason this accepts nothing".to_owned());
    }
    Ok(codes)
}

fn broken(source: &Arc<Source>, span: Range<usize>, message: String) -> Diagnostic {
    Diagnostic {
        code: Rule::Exception.code(),
        severity: Rule::Exception.severity(),
        message,
        source: Arc::clone(source),
        span,
        label: None,
        help: Some("write # quiescent: allow QV013 because …".to_owned()),
        fix: None,
    }
}
