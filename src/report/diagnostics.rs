//! Findings with the line they are about.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anstyle::AnsiColor;
use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Fix, Severity};

/// One finding: what, where, the line with a caret, and what to do. Of lines that are longer than this
/// many columns the part around the caret is shown.
#[must_use]
pub fn text(diagnostic: &Diagnostic, width: usize) -> String {
    let Diagnostic {
        code,
        severity,
        message,
        source,
        span: _,
        label,
        help,
        fix: _,
    } = diagnostic;
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let annotation = AnnotationKind::Primary
        .span(pointed_at(diagnostic))
        .label(label.as_deref());
    let snippet = Snippet::source(&source.text)
        .path(&source.name)
        .annotation(annotation);
    let mut group: Group<'_> = level.primary_title(message).id(*code).element(snippet);
    if let Some(help) = help {
        group = group.element(Level::HELP.message(help));
    }
    RENDERER.term_width(width).render(&[group])
}

/// What a line may have where nobody knows how wide it is shown.
pub const WIDTH: usize = 140;

/// In colours that can be read on a dark and on a light terminal: the bright ones cannot on both.
const RENDERER: Renderer = Renderer::styled()
    .error(AnsiColor::Red.on_default().bold())
    .warning(AnsiColor::Yellow.on_default().bold())
    .help(AnsiColor::Cyan.on_default().bold())
    .line_num(AnsiColor::Blue.on_default().bold())
    .context(AnsiColor::Blue.on_default().bold());

/// The first line of a span, so that a mapping is not underlined to its end, and never nothing.
fn pointed_at(diagnostic: &Diagnostic) -> std::ops::Range<usize> {
    let text = &diagnostic.source.text;
    let start = diagnostic.span.start.min(text.len());
    let end = diagnostic.span.end.clamp(start, text.len());
    let line = text.get(start..end).unwrap_or_default();
    let line = line.lines().next().unwrap_or_default();
    start..start + line.trim_end().len()
}

/// The same for programs.
#[must_use]
pub fn value(diagnostic: &Diagnostic) -> Value {
    let (line, column) = diagnostic.position();
    json!({
        "code": diagnostic.code,
        "severity": diagnostic.severity.as_str(),
        "message": diagnostic.message,
        "file": diagnostic.source.name,
        "line": line,
        "column": column,
        "help": diagnostic.help,
        "fixable": diagnostic.fix.as_ref().is_some_and(Fix::is_a_change),
    })
}

/// A workflow command, which GitHub shows beside the line.
#[must_use]
pub fn github(diagnostic: &Diagnostic) -> String {
    let (line, column) = diagnostic.position();
    let escaped = |text: &str| {
        let text = text.replace('%', "%25").replace('\r', "%0D");
        text.replace('\n', "%0A")
    };
    let file = escaped(&diagnostic.source.name);
    let file = file.replace(':', "%3A").replace(',', "%2C");
    let help = diagnostic.help.as_ref();
    let help = help.map_or_else(String::new, |help| format!("\nhelp: {help}"));
    format!(
        "::{} file={file},line={line},col={column},title={}::{}\n",
        diagnostic.severity.as_str(),
        diagnostic.code,
        escaped(&format!("{}{help}", diagnostic.message)),
    )
}

/// A SARIF 2.1.0 log, with the rules that are named in it. `title` knows what a rule is about.
#[must_use]
pub fn sarif(diagnostics: &[Diagnostic], title: impl Fn(&str) -> Option<&'static str>) -> Value {
    let mut codes: Vec<&str> = diagnostics.iter().map(|found| found.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let rule = |code: &&str| match title(code) {
        Some(title) => json!({"id": code, "shortDescription": {"text": title}}),
        None => json!({"id": code}),
    };
    let result = |found: &Diagnostic| {
        let (line, column) = found.position();
        let help = found.help.as_ref();
        let help = help.map_or_else(String::new, |help| format!("\nhelp: {help}"));
        json!({
            "ruleId": found.code,
            "level": found.severity.as_str(),
            "message": {"text": format!("{}{help}", found.message)},
            "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": found.source.name},
                "region": {"startLine": line, "startColumn": column},
            }}],
        })
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "quiescent",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": diagnostics.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// How many there are: `2 files, 1 error, 3 warnings`.
#[must_use]
pub fn summary(files: usize, diagnostics: &[Diagnostic]) -> String {
    let of = |severity| {
        diagnostics
            .iter()
            .filter(|found| found.severity == severity)
            .count()
    };
    let many = |count: usize, what: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {what}{plural}")
    };
    [
        many(files, "file"),
        many(of(Severity::Error), "error"),
        many(of(Severity::Warning), "warning"),
    ]
    .join(", ")
}
