//! The settings of a hook beside its command: container, on-error and the durations.

use super::{
    Rule,
    findings::Findings,
    hook::Hook,
    pod::{Container, Pod},
};
use crate::{
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

fn container(hook: &Hook<'_>, pod: Option<&Pod<'_>>, findings: &mut Findings<'_>) {
    let Some(name) = hook.container_name() else {
        let first = pod.and_then(|pod| pod.containers().first().map(|it| it.name));
        let key = key(hook, "container", "container");
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
            .help(format!("add {key}: {}", first.unwrap_or("<name>")));
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
            findings
                .at(
                    Rule::OnError,
                    &hook.command,
                    "on-error is not written: Velero logs Fail and behaves as Continue",
                )
                .help(format!(
                    "add {key}: {}",
                    if hook.phase == HookPhase::Pre {
                        "Fail"
                    } else {
                        "Continue"
                    }
                ));
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
                findings
                    .on(Rule::OnError, node, message)
                    .help(format!("write {meant}"));
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
                    .help(format!("write {number}s"));
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
                    .help(format!("write {}", repaired(&said)));
            }
            None
        }
        Ok(time) if !time.is_positive() && field.starts_with("wait") => Some(time),
        Ok(time) if !time.is_positive() => {
            findings
                .on(Rule::BadTimeout, node, format!("a {field} of {said:?} is none: Velero up to 1.18.2 waits without an end, later ones use {instead}"))
                .help("write 30s or more");
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
    let digits: String = said
        .trim()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let unit = said
        .trim()
        .trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
        .to_ascii_lowercase();
    let Ok(number) = digits.parse::<u64>() else {
        return "a number and a unit: 30s, 5m, 1h30m".to_owned();
    };
    match unit.as_str() {
        "" if number >= 60 && number.is_multiple_of(60) => format!("{number}s or {}m", number / 60),
        "m" | "min" | "mins" | "minute" | "minutes" => format!("{number}m"),
        "h" | "hour" | "hours" | "hr" | "hrs" => format!("{number}h"),
        "d" | "day" | "days" => format!("{}h", number.saturating_mul(24)),
        "" | "s" | "sec" | "secs" | "second" | "seconds" => format!("{number}s"),
        _ => "a number and a unit: 30s, 5m, 1h30m".to_owned(),
    }
}

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
