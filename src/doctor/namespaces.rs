//! Which namespaces are switched on, and what their labels say that nobody understands.

use super::{
    Check, Finding, Observed, Seen, Told,
    entries::{ENFORCE_LABEL, is_cluster_wide},
    object::some,
};
use crate::{
    guard,
    policy::{INJECT_LABEL, METHOD_LABEL},
};

/// What every label of ours on a namespace begins with.
const DOMAIN: &str = "quiescent.dev/";

/// The labels of namespaces that mean something, with their values.
const LABELS: [(&str, &[&str]); 4] = [
    (INJECT_LABEL, &["enabled", "disabled"]),
    (ENFORCE_LABEL, &["true", "false"]),
    (guard::LABEL, &["warn", "enforce", "off"]),
    (
        METHOD_LABEL,
        &["dump", "snapshot", "physical", "lock", "off"],
    ),
];

pub fn judge(observed: &Observed) -> Vec<Told> {
    let all = match &observed.namespaces {
        Seen::Known(all) => all,
        unseen => return vec![Told::unseen(Check::Namespaces, "namespaces", unseen)],
    };
    let with = |key: &str, values: &[&str]| -> Vec<&str> {
        let those = all.iter().filter(|(_, labels)| {
            let value = labels.get(key);
            value.is_some_and(|value| values.contains(&value.as_str()))
        });
        those.map(|(name, _)| name.as_str()).collect()
    };
    let enabled = with(INJECT_LABEL, &["enabled"]);
    let enforced = with(ENFORCE_LABEL, &["true"]);
    let mut told = Vec::new();
    for (name, labels) in all {
        for (key, value) in labels.iter().filter(|(key, _)| key.starts_with(DOMAIN)) {
            told.extend(misspelt(name, key, value));
        }
    }
    let wide = is_cluster_wide(&observed.names, &observed.mutating);
    let alone = enforced.iter().filter(|it| !enabled.contains(it));
    let alone: Vec<&str> = alone.copied().collect();
    if !alone.is_empty() && !wide {
        told.push(Told::finding(
            Finding::EnforceAlone,
            format!(
                "{} says {ENFORCE_LABEL}=true and not {INJECT_LABEL}=enabled, which does nothing",
                some(alone.iter().copied())
            ),
            format!(
                "kubectl label namespace {} {INJECT_LABEL}=enabled",
                alone[0]
            ),
        ));
    }
    if enabled.is_empty() && !wide {
        told.push(Told::finding(
            Finding::NoneEnabled,
            "no namespace is switched on",
            format!("kubectl label namespace NAMESPACE {INJECT_LABEL}=enabled"),
        ));
    }
    if told.is_empty() {
        let guarded = with(guard::LABEL, &["warn", "enforce"]);
        let on = if wide {
            all.len() - with(INJECT_LABEL, &["disabled"]).len()
        } else {
            enabled.len()
        };
        told.push(Told::fine(
            Check::Namespaces,
            format!(
                "{on} of {} switched on, {} enforced, {} guarded",
                all.len(),
                enforced.len(),
                guarded.len()
            ),
        ));
    }
    told
}

fn misspelt(namespace: &str, key: &str, value: &str) -> Option<Told> {
    let known = LABELS.iter().find(|(known, _)| *known == key);
    let (says, step) = match known {
        Some((_, values)) if values.contains(&value) => return None,
        Some((_, values)) => {
            let meant = if matches!(value, "true" | "yes" | "on" | "1")
                || value.eq_ignore_ascii_case(values[0])
            {
                values[0]
            } else {
                nearest(value, values)
            };
            (
                format!(
                    "{namespace} says {key}={value}, which means nothing: it takes {}",
                    values.join(" or ")
                ),
                format!("kubectl label namespace {namespace} {key}={meant} --overwrite"),
            )
        }
        None => {
            let keys: Vec<&str> = LABELS.iter().map(|(key, _)| *key).collect();
            (
                format!("{namespace} has the label {key}, which means nothing"),
                format!(
                    "kubectl label namespace {namespace} {key}- {}={value}",
                    nearest(key, &keys)
                ),
            )
        }
    };
    Some(Told::finding(Finding::LabelUnknown, says, step))
}

fn nearest<'a>(text: &str, among: &[&'a str]) -> &'a str {
    let distance = |it: &&&str| strsim::damerau_levenshtein(text, it);
    among
        .iter()
        .min_by_key(distance)
        .copied()
        .unwrap_or_default()
}
