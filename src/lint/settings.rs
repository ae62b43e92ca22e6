//! The settings of a hook beside its command: container, on-error and the durations.

use super::{
    Rule,
    findings::Findings,
    hook::Hook,
    pod::{Container, Pod},
};
use crate::{
    diagnostic::Fix,
    velero::{HookPhase, LONGEST_TIMEOUT, Timeout, parse_bool},
    yaml::{Node, Value},
};

/// Judges what every hook has. `pod` is unknown for those of a Backup or Restore.
pub fn judge(hook: &Hook<'_>, pod: Option<&Pod<'_>>, findings: &mut Findings<'_>) {
    container(hook, pod, findings);
    on_error(hook, findings);
    if let Some(timeout) = hook.timeout {
        let field = match (hook.prefix, hook.phase) {
            (_, HookPhase::Pre | HookPhase::Post) => "timeout",
            (Some(_), HookPhase::PostRestore) => "exec-timeout",
            (None, HookPhase::PostRestore) => "execTimeout",
        };
        duration(hook, timeout, field, "30s", findings);
    }
    if hook.phase == HookPhase::PostRestore {
        wait(hook, findings);
        if let Some(ready) = hook.wait_for_ready {
            for_ready(hook, ready, findings);
        }
    }
}

fn key(hook: &Hook<'_>, annotation: &str, field: &str) -> String {
    match hook.prefix {
        Some(prefix) => format!("{prefix}/{annotation}"),
        None => field.to_owned(),
    }
}

/// Writes a setting that is missing.
fn entry(hook: &Hook<'_>, key: &str, text: &str) -> Fix {
    hook.settings.map_or(
        Fix::Person("the hook has no settings of its own"),
        |settings| Fix::Entry {
            into: settings.span.clone(),
            key: key.to_owned(),
            text: text.to_owned(),
        },
    )
}

fn container(hook: &Hook<'_>, pod: Option<&Pod<'_>>, findings: &mut Findings<'_>) {
    let Some(name) = hook.container_name() else {
        let containers = pod.map(Pod::containers).unwrap_or_default();
        let first = containers.first().map(|it| it.name);
        let key = key(hook, "container", "container");
        let fix = match containers.as_slice() {
            [only] => entry(hook, &key, only.name),
            [] => Fix::Person("which container is meant shows in the pods alone"),
            _ => Fix::Person("the pod has several containers: name the one that is meant"),
        };
        let message = match first {
            Some(first) => format!(
                "without a name Velero takes the first container, today {first:?}; a sidecar that is put in front takes its place"
            ),
            None => {
                "without a name Velero takes the first container, which may be a sidecar".to_owned()
            }
        };
        findings
            .at(Rule::FirstContainer, &hook.command, message)
            .help(format!("add {key}: {}", first.unwrap_or("<name>")))
            .fix(fix);
        return;
    };
    let (Some(pod), Some(node)) = (pod, hook.container) else {
        return;
    };
    let there: Vec<&str> = pod.containers().iter().map(|it| it.name).collect();
    if there.contains(&name) {
        return;
    }
    let init = pod.init_containers().into_iter().find(|it| it.name == name);
    let restore = hook.phase == HookPhase::PostRestore;
    let message = match init {
        Some(init) if init.is_native_sidecar() && !restore => {
            format!("{name:?} is a native sidecar: Velero up to 1.18 says `no such container`")
        }
        Some(_) if !restore => {
            format!("{name:?} is an init container, which does not run when a backup is made")
        }
        _ if restore => format!(
            "the pod has no container {name:?}: Velero up to 1.18 waits for it for ever and starts no other restore"
        ),
        _ => format!("the pod has no container {name:?}: the hook fails with `no such container`"),
    };
    let help = if there.is_empty() {
        "this template has no containers at all".to_owned()
    } else {
        format!("write {}", there.join(" or "))
    };
    findings.on(Rule::NoContainer, node, message).help(help);
}

fn on_error(hook: &Hook<'_>, findings: &mut Findings<'_>) {
    let key = key(hook, "on-error", "onError");
    match (hook.on_error, hook.phase) {
        (None, HookPhase::PostRestore) => {}
        (None, HookPhase::Pre | HookPhase::Post) => {
            let meant = if hook.phase == HookPhase::Pre {
                "Fail"
            } else {
                "Continue"
            };
            findings
                .at(
                    Rule::OnError,
                    &hook.command,
                    "on-error is not written: Velero logs Fail and behaves as Continue",
                )
                .help(format!("add {key}: {meant}"))
                .fix(entry(hook, &key, meant));
        }
        (Some(node), _) => {
            let said = node.as_str().unwrap_or_default();
            if !matches!(said, "Fail" | "Continue") {
                let meant = if said.to_ascii_lowercase().starts_with('f') {
                    "Fail"
                } else {
                    "Continue"
                };
                let message = match hook.prefix {
                    Some(_) => format!(
                        "Velero does not know {said:?}, says nothing and behaves as Continue"
                    ),
                    None => format!("the API server refuses {said:?}"),
                };
                let fix = if said.trim().eq_ignore_ascii_case(meant) {
                    text(node, meant)
                } else {
                    Fix::Person(
                        "only you know whether a pod whose hook failed is to be left out (Fail)",
                    )
                };
                findings
                    .on(Rule::OnError, node, message)
                    .help(format!("write {meant}"))
                    .fix(fix);
            }
        }
    }
}

/// What a duration says, when it is one. `instead` is what Velero takes otherwise.
fn duration(
    hook: &Hook<'_>,
    node: &Node,
    field: &str,
    instead: &str,
    findings: &mut Findings<'_>,
) -> Option<Timeout> {
    let said = match &node.value {
        Value::String(said) => said.clone(),
        Value::Number(number) => {
            // Those of an object are judged with all its other durations.
            if hook.prefix.is_some() {
                findings
                    .on(
                        Rule::BadTimeout,
                        node,
                        format!("the {field} {number} is a number: the API server takes nothing but strings here"),
                    )
                    .help(format!("write {number}s"))
                    .fix(repair(node, &number.to_string(), true));
            }
            return None;
        }
        _ => return None,
    };
    match said.parse::<Timeout>() {
        Err(error) => {
            if hook.prefix.is_some() {
                findings
                    .on(
                        Rule::BadTimeout,
                        node,
                        format!(
                            "Velero cannot read the {field} {said:?} and silently uses {instead}"
                        ),
                    )
                    .label(reason(&error))
                    .help(format!("write {}", repaired(&said)))
                    .fix(repair(node, &said, true));
            }
            None
        }
        Ok(time) if !time.is_positive() && field.starts_with("wait") => Some(time),
        Ok(time) if !time.is_positive() => {
            findings
                .on(Rule::BadTimeout, node, format!("a {field} of {said:?} is none: Velero up to 1.18.2 waits without an end, later ones use {instead}"))
                .help("write 30s or more")
                .fix(Fix::Person("only you know how long it may take"));
            None
        }
        Ok(time) => {
            if time > LONGEST_TIMEOUT {
                findings
                    .on(Rule::LongTimeout, node, format!("Velero cuts a {field} of {time} to {LONGEST_TIMEOUT}, which is also all the time that a backup has for its uploads"))
                    .help(format!("write {LONGEST_TIMEOUT} or less"));
            }
            Some(time)
        }
    }
}

fn reason(error: &crate::velero::TimeoutError) -> &'static str {
    use crate::velero::TimeoutError as Error;
    match error {
        Error::MissingUnit(_) => "no unit",
        Error::UnknownUnit { .. } => "no unit that Go knows",
        Error::Invalid(_) => "no duration",
    }
}

/// What was most likely meant.
pub fn repaired(said: &str) -> String {
    match meant(said) {
        Some(Meant::Written(text)) => text,
        Some(Meant::Bare(number)) if number >= 60 && number.is_multiple_of(60) => {
            format!("{number}s or {}m", number / 60)
        }
        Some(Meant::Bare(number)) => format!("{number}s"),
        None => "a number and a unit: 30s, 5m, 1h30m".to_owned(),
    }
}

/// Writes a duration as it was meant, where that is beyond doubt. A number without a unit is one of
/// seconds in a hook: all of Kubernetes counts so. But never fewer than the hook has today.
pub fn repair(node: &Node, said: &str, of_hook: bool) -> Fix {
    let fix = |said: String| match said.parse::<Timeout>() {
        Ok(time) if of_hook && time > LONGEST_TIMEOUT => {
            Fix::Person("no hook has more than 4h, and only you know how long it takes")
        }
        Ok(_) => text(node, &said),
        Err(_) => Fix::Person("what was meant is not clear"),
    };
    match meant(said) {
        Some(Meant::Written(said)) => fix(said),
        Some(Meant::Bare(number)) if of_hook && number >= DEFAULT_SECONDS => {
            fix(format!("{number}s"))
        }
        Some(Meant::Bare(_)) if of_hook => Fix::Person(
            "so few seconds are less than the 30 that it has today: minutes may be meant",
        ),
        Some(Meant::Bare(_)) => Fix::Person("the unit is not clear"),
        None => Fix::Person("what was meant is not clear"),
    }
}

fn text(node: &Node, text: &str) -> Fix {
    Fix::Text {
        at: node.span.clone(),
        text: text.to_owned(),
    }
}

/// What somebody meant who wrote no duration.
enum Meant {
    /// A number with a unit, in another way than Go's.
    Written(String),
    Bare(u64),
}

fn meant(said: &str) -> Option<Meant> {
    let said = said.trim();
    let unit = said.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = said[..said.len() - unit.len()].parse().ok()?;
    let written = match unit.trim().to_ascii_lowercase().as_str() {
        "" => return Some(Meant::Bare(number)),
        "s" | "sec" | "secs" | "second" | "seconds" => format!("{number}s"),
        "m" | "min" | "mins" | "minute" | "minutes" => format!("{number}m"),
        "h" | "hour" | "hours" | "hr" | "hrs" => format!("{number}h"),
        "d" | "day" | "days" => format!("{}h", number.saturating_mul(24)),
        _ => return None,
    };
    Some(Meant::Written(written))
}

/// What a hook has whose timeout Velero cannot read.
const DEFAULT_SECONDS: u64 = 30;

fn wait(hook: &Hook<'_>, findings: &mut Findings<'_>) {
    let key = key(hook, "wait-timeout", "waitTimeout");
    let Some(node) = hook.wait_timeout else {
        findings
            .at(Rule::WaitsForever, &hook.command, "no wait-timeout: Velero waits for the container for ever, and up to 1.18.2 every other restore waits too")
            .help(format!("add {key}: 10m"));
        return;
    };
    let said = duration(hook, node, "wait-timeout", "for ever", findings);
    if said.is_some_and(|time| !time.is_positive()) {
        findings
            .on(
                Rule::WaitsForever,
                node,
                "a wait-timeout of nothing is for ever",
            )
            .help("write 10m");
    }
}

fn for_ready(hook: &Hook<'_>, node: &Node, findings: &mut Findings<'_>) {
    match (&node.value, hook.prefix) {
        (Value::Bool(value), Some(_)) => {
            findings
                .on(
                    Rule::NotReady,
                    node,
                    "this is a boolean: the API server takes nothing but strings here",
                )
                .help(format!("write \"{value}\""));
        }
        (Value::String(said), Some(_)) if parse_bool(said).is_none() => {
            findings
                .on(Rule::NotReady, node, format!("Velero does not read {said:?} as true and does not wait until the container is ready"))
                .help("write \"true\"");
        }
        _ => {}
    }
}

/// The container in which a hook runs, as far as it can be known.
pub fn container_of<'d>(hook: &Hook<'d>, pod: Option<&Pod<'d>>) -> Option<Container<'d>> {
    pod?.hook_container(hook.container_name())
}
