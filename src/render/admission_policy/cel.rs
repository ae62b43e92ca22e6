//! Expressions of the Common Expression Language, as text. The API server wants literals of one type
//! in lists and maps, so values of a JSON object are `dyn`.

use serde_json::Value;

use crate::policy::glob;

pub fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

pub fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts = texts.into_iter().map(|text| quote(text.as_ref()));
    format!("[{}]", texts.collect::<Vec<_>>().join(", "))
}

/// All of these, in parentheses where there are several.
pub fn all(parts: Vec<String>) -> String {
    joined(parts, " && ", "true")
}

/// One of these at least.
pub fn any(parts: Vec<String>) -> String {
    joined(parts, " || ", "false")
}

fn joined(parts: Vec<String>, by: &str, none: &str) -> String {
    match <[String; 1]>::try_from(parts) {
        Ok([only]) => only,
        Err(parts) if parts.is_empty() => none.to_owned(),
        Err(parts) => format!("({})", parts.join(by)),
    }
}

/// Whether a text is what a pattern with `*` says.
pub fn glob(pattern: &str, text: &str) -> String {
    if pattern.bytes().all(|byte| byte == b'*') && !pattern.is_empty() {
        "true".to_owned()
    } else if glob::has_wildcard(pattern) {
        matches(&format!("^{}$", regex(pattern, ".*")), text)
    } else {
        format!("{text} == {}", quote(pattern))
    }
}

pub fn matches(regex: &str, text: &str) -> String {
    format!("{text}.matches({})", quote(regex))
}

/// A regular expression (RE2) of a pattern, with something for each `*`.
pub fn regex(pattern: &str, any: &str) -> String {
    let pieces = pattern.split('*').map(literally);
    pieces.collect::<Vec<_>>().join(any)
}

fn literally(text: &str) -> String {
    let mut regex = String::new();
    for character in text.chars() {
        if !character.is_ascii_alphanumeric() && !matches!(character, '-' | '_' | '/' | ':' | ' ') {
            regex.push('\\');
        }
        regex.push(character);
    }
    regex
}

/// A value as the patch has it.
pub fn value(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, field)| format!("{}: dyn({})", quote(key), self::value(field)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let items = items
                .iter()
                .map(|item| format!("dyn({})", self::value(item)));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
