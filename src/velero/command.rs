//! The text of a hook's command, read and written as Velero does.

use std::ops::Range;

use crate::json::unquote;

/// Reads a command annotation: a JSON array of strings, or else the whole text as one argument.
///
/// Follows Go's `encoding/json`: `null` is an empty string.
/// `None` for an empty text, which is no hook at all.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<String>> {
    if text.is_empty() {
        return None;
    }
    Some(array(text).unwrap_or_else(|| vec![text.to_owned()]))
}

/// Writes an argv as the compact JSON array that [`decode`] reads back.
#[must_use]
pub fn encode<S: AsRef<str>>(argv: &[S]) -> String {
    let values: Vec<&str> = argv.iter().map(AsRef::as_ref).collect();
    serde_json::Value::from(values).to_string()
}

/// The elements of a command that is a JSON array, each with its bytes in the text, quotes included.
///
/// # Errors
/// Where the text stops being an array of strings.
pub fn elements(text: &str) -> Result<Vec<(String, Range<usize>)>, usize> {
    let at = |rest: &str| text.len() - rest.len();
    // Velero looks at the first byte alone: a space before the bracket makes the text a program's name.
    let mut rest = blank(text.strip_prefix('[').ok_or(0_usize)?);
    let mut argv = Vec::new();
    let closed = |end: &str, argv| {
        let behind = blank(end);
        if behind.is_empty() {
            Ok(argv)
        } else {
            Err(at(behind))
        }
    };
    if let Some(end) = rest.strip_prefix(']') {
        return closed(end, argv);
    }
    loop {
        let (element, after) = element(rest).ok_or_else(|| at(rest))?;
        argv.push((element, at(rest)..at(after)));
        rest = blank(after);
        if let Some(end) = rest.strip_prefix(']') {
            return closed(end, argv);
        }
        rest = blank(rest.strip_prefix(',').ok_or_else(|| at(rest))?);
    }
}

fn array(text: &str) -> Option<Vec<String>> {
    let elements = elements(text).ok()?;
    Some(elements.into_iter().map(|(element, _)| element).collect())
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\r', '\n'])
}

fn element(text: &str) -> Option<(String, &str)> {
    match text.strip_prefix("null") {
        Some(rest) => Some((String::new(), rest)),
        None => unquote(text.strip_prefix('"')?),
    }
}
