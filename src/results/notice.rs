//! What is said of a backup or restore that went wrong: to the owner of a pod, beside the object itself,
//! and to whoever wants to be notified.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Problem, Reason, ledger::Key};
use crate::velero::objects::Kind;

/// So many problems of one backup are written out; the others are counted.
const WRITTEN: usize = 50;

/// So many are named in one sentence.
const NAMED: usize = 3;

/// Which backup or restore it is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub key: &'a Key,
    pub schedule: &'a str,
    /// Velero's namespace.
    pub namespace: &'a str,
}

/// What one pod's owner is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfPods {
    pub namespace: String,
    /// One of its pods.
    pub pod: String,
    pub reason: Reason,
    pub sentence: String,
}

impl About<'_> {
    /// How to look at all of it.
    fn command(&self) -> String {
        let Self { key, namespace, .. } = self;
        let target = self.target();
        match (key.kind, *namespace) {
            (_, "velero") => format!("quiescent results {target}"),
            (_, other) => format!("quiescent results {target} -n {other}"),
        }
    }

    fn target(&self) -> String {
        format!("{}/{}", self.key.kind.word(), self.key.name)
    }
}

/// What each owner is told: one sentence for all its pods and each reason. The owner is whatever
/// `owner` says of a pod; where it says nothing, nobody is told.
#[must_use]
pub fn of_pods<O: Ord>(
    about: About<'_>,
    all: &[Problem],
    owner: impl Fn(&str, &str) -> Option<O>,
) -> Vec<(O, OfPods)> {
    let mut groups: BTreeMap<(O, Reason), Vec<&Problem>> = BTreeMap::new();
    for problem in all {
        if let Some(owner) = owner(&problem.namespace, &problem.pod) {
            let of_owner = groups.entry((owner, problem.reason)).or_default();
            of_owner.push(problem);
        }
    }
    let groups = groups.into_iter().take(WRITTEN);
    let told = groups.map(|((owner, reason), problems)| {
        let words: Vec<String> = problems
            .iter()
            .map(|it| format!("{}: {}", it.pod, it.says))
            .collect();
        let sentence = format!(
            "{}: {}; next: {}",
            about.target(),
            listed(&words),
            about.command()
        );
        let Problem { namespace, pod, .. } = problems[0];
        let told = OfPods {
            namespace: namespace.clone(),
            pod: pod.clone(),
            reason,
            sentence,
        };
        (owner, told)
    });
    told.collect()
}

/// What stands beside the object itself: a sentence for each reason.
#[must_use]
pub fn of_object(about: About<'_>, all: &[Problem]) -> Vec<(Reason, String)> {
    let reasons = [Reason::HookFailed, Reason::PostMissing].into_iter();
    let told = reasons.filter_map(|reason| {
        let of_reason = all.iter().filter(|it| it.reason == reason);
        let words: Vec<String> = of_reason
            .map(|it| match &*it.pod {
                "" => it.says.clone(),
                pod => format!("{}/{pod}: {}", it.namespace, it.says),
            })
            .collect();
        let sentence = || format!("{}; next: {}", listed(&words), about.command());
        (!words.is_empty()).then(|| (reason, sentence()))
    });
    told.collect()
}

fn listed(words: &[String]) -> String {
    let named = words[..words.len().min(NAMED)].join("; ");
    match words.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

/// In which form a notification is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// That of `POST /api/v2/alerts` of Alertmanager.
    Alertmanager,
    /// One object with all problems of a backup or restore.
    Json,
}

/// The body of a notification. `ended` is an RFC 3339 time.
#[must_use]
pub fn body(format: Format, about: About<'_>, all: &[Problem], ended: &str) -> Value {
    let kind = about.key.kind;
    let name = &about.key.name;
    let written = all.iter().take(WRITTEN);
    match format {
        Format::Alertmanager => written
            .map(|it| {
                let labels = json!({
                    "alertname": format!("Quiescent{}", it.reason.as_str()),
                    "severity": "warning",
                    "namespace": it.namespace,
                    "pod": it.pod,
                    "policy": it.policy,
                    "phase": it.phase.as_str(),
                    (kind.word()): name,
                    "schedule": about.schedule,
                });
                json!({
                    "labels": labels,
                    "annotations": {
                        "summary": format!("{}/{}: {}", it.namespace, it.pod, it.says),
                        "description": about.command(),
                    },
                    "startsAt": ended,
                })
            })
            .collect(),
        Format::Json => json!({
            "source": "quiescent",
            "kind": kind.as_str(),
            "namespace": about.namespace,
            "name": name,
            "schedule": match kind {
                Kind::Backup => Value::from(about.schedule),
                Kind::Restore => Value::Null,
            },
            "endedAt": ended,
            "count": all.len(),
            "problems": written.map(|it| json!({
                "reason": it.reason.as_str(),
                "namespace": it.namespace,
                "pod": it.pod,
                "policy": it.policy,
                "phase": it.phase.as_str(),
                "says": it.says,
            })).collect::<Vec<_>>(),
            "next": about.command(),
        }),
    }
}
