//! What was mended in a file, and what was left to a person.

use std::fmt::Write as _;

use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use super::Style;
use crate::diagnostic::{Diagnostic, Fix};

/// A line for each finding: what was changed, or why nothing was.
#[must_use]
pub fn text(done: &[Diagnostic], left: &[(Diagnostic, String)]) -> String {
    let mut text = String::new();
    for found in done {
        let head = Style::Good.paint(format!("fixed[{}]", found.code));
        let _ = writeln!(text, "{head}: {}: {}", place(found), change(found));
    }
    for (found, why) in left {
        let head = Style::Careful.paint(format!("left[{}]", found.code));
        let _ = writeln!(text, "{head}: {}: {why}", place(found));
    }
    text
}

/// A line for a file that stays as it is.
#[must_use]
pub fn unwritten(why: &str) -> String {
    format!("{}: {why}\n", Style::Bad.paint("not fixed"))
}

#[must_use]
pub fn done(found: &[Diagnostic]) -> Value {
    let value =
        |it: &Diagnostic| json!({"code": it.code, "place": place(it), "change": change(it)});
    found.iter().map(value).collect()
}

#[must_use]
pub fn left(found: &[(Diagnostic, String)]) -> Value {
    let value = |(it, why): &(Diagnostic, String)| json!({"code": it.code, "place": place(it), "because": why});
    found.iter().map(value).collect()
}

fn place(found: &Diagnostic) -> String {
    format!("{}:{}", found.source.name, found.position().0)
}

/// What a fix does to its line.
fn change(found: &Diagnostic) -> String {
    match &found.fix {
        Some(Fix::Text { at, text }) => {
            let was = found.source.text.get(at.clone()).unwrap_or_default();
            let mut lines = was.trim().lines();
            let first = lines.next().unwrap_or_default();
            let more = if lines.next().is_some() { " …" } else { "" };
            format!("{first}{more} → {text}")
        }
        Some(Fix::Entry { key, text, .. }) => format!("+ {key}: {text}"),
        Some(Fix::Person(_)) | None => String::new(),
    }
}

/// How one text differs from another, as `diff -u` prints it; nothing where it does not.
#[must_use]
pub fn diff(name: &str, was: &str, is: &str) -> String {
    if was == is {
        return String::new();
    }
    let diff = TextDiff::from_lines(was, is);
    let mut text = Style::Strong.paint(format!("--- {name}\n+++ {name}")) + "\n";
    for hunk in diff.unified_diff().iter_hunks() {
        let _ = writeln!(text, "{}", Style::Faint.paint(hunk.header()));
        for change in hunk.iter_changes() {
            let (sign, style) = match change.tag() {
                ChangeTag::Equal => (' ', None),
                ChangeTag::Delete => ('-', Some(Style::Bad)),
                ChangeTag::Insert => ('+', Some(Style::Good)),
            };
            let line = format!("{sign}{}", change.value().trim_end_matches('\n'));
            let _ = match style {
                Some(style) => writeln!(text, "{}", style.paint(line)),
                None => writeln!(text, "{line}"),
            };
            if change.missing_newline() {
                text.push_str("\\ No newline at end of file\n");
            }
        }
    }
    text
}
