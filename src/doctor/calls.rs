//! Whether the API server reaches the webhook: by a pod of a trial, and by what it has counted.

use std::collections::BTreeMap;

use super::{
    Check, Finding, Observed, Seen, Told, certificate::age, object::some, replicas::own_setting,
};

/// What came of a pod that was created as a dry run, which stores nothing.
#[derive(Clone, Debug)]
pub struct Trial {
    pub namespace: String,
    pub outcome: Outcome,
    pub milliseconds: u128,
    /// What the API server counted meanwhile, where we may see it.
    pub meanwhile: Option<Meanwhile>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Hooked,
    Unhooked,
    /// Not created, and why.
    Refused(String),
}

/// How many more calls of our entries there are than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meanwhile {
    pub requests: u64,
    pub failed_open: u64,
}

/// What one API server has counted since it started, by entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    pub requests: BTreeMap<String, u64>,
    pub failed_open: BTreeMap<String, u64>,
    /// Pods that were refused because nobody answered.
    pub refused: BTreeMap<String, u64>,
    /// Seconds since 1970.
    pub since: Option<i64>,
}

impl Calls {
    /// Reads the metrics of an API server, of those entries that `is_ours`.
    #[must_use]
    pub fn of(metrics: &str, is_ours: impl Fn(&str) -> bool) -> Self {
        let mut calls = Self::default();
        for line in metrics.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let Ok(value) = value.parse::<f64>() else {
                continue;
            };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            if name == "process_start_time_seconds" {
                calls.since = Some(whole(value).cast_signed());
                continue;
            }
            let counts = match name {
                "apiserver_admission_webhook_request_total" => &mut calls.requests,
                "apiserver_admission_webhook_fail_open_count" => &mut calls.failed_open,
                "apiserver_admission_webhook_rejection_count"
                    if label(labels, "error_type") == Some("calling_webhook_error") =>
                {
                    &mut calls.refused
                }
                _ => continue,
            };
            if let Some(entry) = label(labels, "name").filter(|it| is_ours(it)) {
                *counts.entry(entry.to_owned()).or_default() += whole(value);
            }
        }
        calls
    }

    /// What was counted since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Meanwhile {
        let more = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            now.values()
                .sum::<u64>()
                .saturating_sub(then.values().sum())
        };
        Meanwhile {
            requests: more(&self.requests, &before.requests),
            failed_open: more(&self.failed_open, &before.failed_open),
        }
    }
}

/// Counts and times of metrics are written as floating point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and nothing is counted below zero"
)]
const fn whole(value: f64) -> u64 {
    value as u64
}

/// The value of a label; none of those that are asked for has a quote in it.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let mut parts = labels.split(',').filter_map(|it| it.split_once("=\""));
    let (_, value) = parts.find(|(key, _)| *key == name)?;
    value.split('"').next()
}

pub fn judge(observed: &Observed) -> Vec<Told> {
    let mut told = vec![match &observed.trial {
        Seen::Known(trial) => tried(observed, trial),
        Seen::Absent => Told::unknown(
            Check::Proof,
            "no namespace to try in: --namespace names one whose pods should get hooks",
        ),
        Seen::Forbidden => Told::unknown(
            Check::Proof,
            "we may not create pods, not even as a dry run",
        ),
        Seen::Failed(why) => Told::unknown(Check::Proof, format!("the trial was not made: {why}")),
    }];
    match &observed.calls {
        Seen::Known(calls) => told.extend(counted(observed, calls)),
        Seen::Absent | Seen::Forbidden => told.push(Told::unknown(
            Check::Calls,
            "we may not read the API server's metrics, which count calls that failed",
        )),
        unseen @ Seen::Failed(_) => {
            told.push(Told::unseen(
                Check::Calls,
                "the API server's metrics",
                unseen,
            ));
        }
    }
    told
}

fn tried(observed: &Observed, trial: &Trial) -> Told {
    let Trial {
        namespace,
        outcome,
        milliseconds,
        meanwhile,
    } = trial;
    match outcome {
        Outcome::Hooked => Told::fine(
            Check::Proof,
            format!("a pod in {namespace} gets its hooks, in {milliseconds} ms (a dry run)"),
        ),
        Outcome::Refused(why)
            if why.contains("failed calling webhook") && of_ours(observed, why) =>
        {
            Told::finding(
                Finding::CallFailed,
                format!("a pod in {namespace} is refused: {why}"),
                hint(observed, why),
            )
        }
        Outcome::Refused(why) => Told::unknown(
            Check::Proof,
            format!("the trial's pod was refused in {namespace}: {why}"),
        ),
        Outcome::Unhooked => {
            let says = format!("a pod in {namespace} comes back without hooks");
            let explain = "quiescent audit names the pods that started without hooks";
            match meanwhile {
                Some(it) if it.failed_open > 0 => Told::finding(
                    Finding::NoHooks,
                    format!("{says}: the call failed, and the entry says Ignore"),
                    hint(observed, ""),
                ),
                Some(it) if it.requests > 0 => Told::finding(
                    Finding::AnsweredWithout,
                    format!("{says}, although the webhook answered: no policy selects postgres:16"),
                    "quiescent explain -f a pod of yours, with the policies of the webhook",
                ),
                None if own_setting(&observed.deployments, "serve", "policies").is_some() => {
                    Told::unknown(
                        Check::Proof,
                        format!(
                            "{says}, as it must where none of your policies selects postgres:16"
                        ),
                    )
                }
                _ => Told::finding(Finding::NoHooks, says, explain),
            }
        }
    }
}

/// Whether it is our entry that failed.
fn of_ours(observed: &Observed, why: &str) -> bool {
    let configuration = observed.mutating.known();
    let Some(all) = configuration else {
        return true;
    };
    let validating = observed.validating.known().map_or(&[][..], Vec::as_slice);
    let entries = super::bundles(&observed.names, all, validating);
    entries.keys().any(|it| why.contains(it.as_str()))
}

/// What to look at, by what the API server says.
fn hint(observed: &Observed, why: &str) -> String {
    let own = &observed.names.own_namespace;
    if why.contains("x509") || why.contains("certificate") {
        "the caBundle and the certificate are of different authorities or names: see certificate"
            .to_owned()
    } else if why.contains("no endpoints") || why.contains("refused") {
        format!("kubectl -n {own} get pods,endpointslices")
    } else if why.contains("deadline") || why.contains("timeout") {
        format!(
            "let the API server reach port 8443 of the pods in {own}: kubectl -n {own} get networkpolicies, and the firewall of a private cluster"
        )
    } else {
        format!(
            "kubectl -n {own} get pods,endpointslices,networkpolicies; the API server's log says: failed calling webhook"
        )
    }
}

fn counted(observed: &Observed, calls: &Calls) -> Vec<Told> {
    let since = calls.since.map_or_else(String::new, |it| {
        format!(
            " in the {} of this API server",
            age((observed.now - it).max(0))
        )
    });
    let mut told = Vec::new();
    for (finding, counts, what, step) in [
        (
            Finding::FailedOpen,
            &calls.failed_open,
            "failed open: pods started without hooks",
            "quiescent audit",
        ),
        (
            Finding::CallsRefused,
            &calls.refused,
            "failed, and their pods were refused",
            "kubectl get events -A --field-selector reason=FailedCreate",
        ),
    ] {
        let failed: u64 = counts.values().sum();
        if failed > 0 {
            let entries = counts.iter().filter(|(_, count)| **count > 0);
            let entries = some(entries.map(|(entry, _)| entry.as_str()));
            told.push(Told::finding(
                finding,
                format!("{failed} of {entries} {what}{since}"),
                step,
            ));
        }
    }
    if told.is_empty() {
        let requests: u64 = calls.requests.values().sum();
        told.push(Told::fine(
            Check::Calls,
            format!("0 of {requests} failed{since}"),
        ));
    }
    told
}
