//! The page of a rule, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Style, fold, paragraph};
use crate::diagnostic::Severity;

/// What is told about a rule.
#[derive(Clone, Debug)]
pub struct Page<'p> {
    pub code: &'p str,
    pub severity: Severity,
    pub title: &'p str,
    pub why: &'p str,
    pub wrong: &'p str,
    pub right: &'p str,
    pub fix: &'p str,
    pub source: &'p str,
    pub later: &'p str,
    /// What is known of engines, a line each.
    pub evidence: Vec<String>,
}

/// The page as text; for a terminal with so many columns, if it is one.
#[must_use]
pub fn text(page: &Page<'_>, terminal: Option<usize>) -> String {
    let Page {
        code,
        severity,
        title,
        why,
        wrong,
        right,
        fix,
        source,
        later,
        evidence,
    } = page;
    let prose = |text: &str, indent: usize| match terminal {
        Some(width) => paragraph(text, width.saturating_sub(indent)),
        None => text.to_owned(),
    };
    let evidence = evidence.iter().map(|row| {
        terminal.map_or_else(|| row.clone(), |width| fold(row, width.saturating_sub(2)))
    });
    let evidence = evidence.collect::<Vec<_>>().join("\n");
    let (why, fix, source, later) = (
        prose(why, 0),
        prose(fix, 2),
        prose(source, 2),
        prose(later, 2),
    );
    let style = match severity {
        Severity::Error => Style::Bad,
        Severity::Warning => Style::Careful,
    };
    let head = style.paint(format!("{}[{code}]", severity.as_str()));
    let mut text = format!("{head}: {}\n\n{why}\n", Style::Strong.paint(title));
    let parts = [
        ("wrong", *wrong),
        ("right", *right),
        ("--fix", &*fix),
        ("what is known", &*evidence),
        ("source", &*source),
        (
            "what files do not tell, and the command that is to see it",
            &*later,
        ),
    ];
    for (name, content) in parts.into_iter().filter(|(_, content)| !content.is_empty()) {
        let _ = writeln!(text, "\n{}", Style::Strong.paint(name));
        for line in content.lines() {
            let _ = writeln!(text, "{}", format!("  {line}").trim_end());
        }
    }
    text
}

#[must_use]
pub fn value(page: &Page<'_>) -> Value {
    json!({
        "code": page.code,
        "severity": page.severity.as_str(),
        "title": page.title,
        "why": page.why,
        "wrong": page.wrong,
        "right": page.right,
        "fix": page.fix,
        "source": page.source,
        "elsewhere": page.later,
        "evidence": page.evidence,
    })
}
