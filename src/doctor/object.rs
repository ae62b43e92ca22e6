//! What every object says of itself, read from its JSON.

use serde_json::Value;

pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub fn named<'a>(objects: &'a [Value], wanted: &str) -> Option<&'a Value> {
    objects.iter().find(|it| name(it) == wanted)
}

pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub fn texts(value: &Value) -> impl Iterator<Item = &str> {
    list(value).filter_map(Value::as_str)
}

/// The containers of a Deployment's or DaemonSet's template.
pub fn containers(workload: &Value) -> impl Iterator<Item = &Value> {
    list(&workload["spec"]["template"]["spec"]["containers"])
}

/// Command and arguments of all containers of a template.
pub fn arguments(workload: &Value) -> impl Iterator<Item = &str> {
    containers(workload).flat_map(|it| texts(&it["command"]).chain(texts(&it["args"])))
}

/// What a flag is set to on a command line: `--name=value`, `--name value`, or `true` for it alone.
pub fn flag<'a>(workload: &'a Value, name: &str) -> Option<&'a str> {
    let mut arguments = arguments(workload).peekable();
    let mut found = None;
    while let Some(argument) = arguments.next() {
        let Some(rest) = argument
            .strip_prefix("--")
            .and_then(|it| it.strip_prefix(name))
        else {
            continue;
        };
        found = match rest.strip_prefix('=') {
            Some(value) => Some(value),
            None if rest.is_empty() => match arguments.peek() {
                Some(next) if !next.starts_with('-') => Some(*next),
                _ => Some("true"),
            },
            None => found,
        };
    }
    found
}

/// What a setting of our own commands is, by its flag or by its variable.
pub fn setting<'a>(workload: &'a Value, name: &str) -> Option<&'a str> {
    let variable = format!("QUIESCENT_{}", name.to_uppercase().replace('-', "_"));
    let by_variable = || {
        let mut all = containers(workload).flat_map(|it| list(&it["env"]));
        all.find(|it| it["name"] == variable)?["value"].as_str()
    };
    flag(workload, name).or_else(by_variable)
}

/// A few names, and how many more there are.
pub fn some<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 3;
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names.len().min(SHOWN);
    let text = names[..shown].join(", ");
    match names.len() - shown {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// A number with its word.
pub fn count(number: usize, word: &str) -> String {
    match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    }
}
