//! What `lint --explain` tells: why a rule is one, what is wrong and right, and who says so.

use super::Rule;

/// The page of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub rule: Rule,
    pub title: &'static str,
    pub why: &'static str,
    /// Manifests; empty where no file can be wrong.
    pub wrong: &'static str,
    pub right: &'static str,
    /// What `--fix` does about it; empty where it does nothing.
    pub fix: &'static str,
    /// Velero's source, or what was measured.
    pub source: &'static str,
    /// What files do not tell, and the command that sees it.
    pub later: &'static str,
}

/// All pages, one behind the other: a heading and parts between lines that begin with `--`.
const PAGES: &str = include_str!("manual.txt");

/// The page of a rule.
#[must_use]
pub fn page(rule: Rule) -> Page {
    let heading = format!("== {} ", rule.code());
    let rest = PAGES
        .find(&heading)
        .map_or("", |start| &PAGES[start + heading.len()..]);
    let text = rest.split("\n== ").next().unwrap_or_default();
    let (title, text) = text.split_once('\n').unwrap_or((text, ""));
    let part = |name: &str| {
        let mark = format!("-- {name}\n");
        let rest = text.split(&mark).nth(1).unwrap_or_default();
        rest.split("\n-- ")
            .next()
            .unwrap_or_default()
            .trim_matches('\n')
    };
    Page {
        rule,
        title,
        why: text
            .split("-- ")
            .next()
            .unwrap_or_default()
            .trim_matches('\n'),
        wrong: part("wrong"),
        right: part("right"),
        fix: part("fix"),
        source: part("source"),
        later: part("later"),
    }
}
