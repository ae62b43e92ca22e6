//! What a verification has seen, and what it comes to.

use std::time::Duration;

use serde_json::Value;

use super::{Subject, Unfit};
use crate::{
    trial::Outcome,
    velero::{copy::Restored, verification::Verdict},
};

/// How far a verification came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Begun,
    /// What surrounds the pods is back.
    Surrounded,
    /// Velero has done all that it does.
    Restored,
    /// Every pod is ready, or was waited for long enough.
    Waited,
    /// Every check has run.
    Checked,
}

/// All that was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub stage: Stage,
    /// What became of the Restores, in their order.
    pub restores: Vec<Restored>,
    pub pods: Vec<Pod>,
    pub unfit: Vec<Unfit>,
    /// The hooks of the restore that failed, each in a sentence.
    pub hooks: Vec<String>,
    /// Whether the time for all of it was over before its end.
    pub late: bool,
    /// Whether somebody wanted to stop.
    pub stopped: bool,
    /// Why it could not be done, where it could not.
    pub broken: Option<String>,
}

/// What was seen of the copy of one pod.
#[derive(Clone, Debug)]
pub struct Pod {
    pub subject: Subject,
    /// The namespace of the copy.
    pub namespace: String,
    /// How long after the first Restore it was ready.
    pub ready: Option<Duration>,
    /// What keeps it from being ready, as Kubernetes says it; nothing where there is no such pod.
    pub state: Option<String>,
    pub checks: Vec<Checked>,
}

/// A check that was run.
#[derive(Clone, Debug)]
pub struct Checked {
    pub policy: String,
    pub outcome: Outcome,
    pub took: Duration,
    pub stdout: String,
    pub stderr: String,
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub verdict: Verdict,
    /// Why it has not passed; the first thing that went wrong.
    pub reason: Option<String>,
}

impl Pod {
    fn title(&self) -> String {
        format!("{}/{}", self.subject.namespace, self.subject.name)
    }
}

/// What keeps a pod from being ready; nothing where it is.
#[must_use]
pub fn unready(pod: &Value) -> Option<String> {
    let status = &pod["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let of = |kind: &str| conditions.clone().find(|it| it["type"] == kind);
    if of("Ready").is_some_and(|it| it["status"] == "True") {
        return None;
    }
    let containers = ["initContainerStatuses", "containerStatuses"].into_iter();
    let mut containers = containers.flat_map(|key| status[key].as_array().into_iter().flatten());
    let waiting = containers.find_map(|container| {
        let waiting = &container["state"]["waiting"];
        let name = container["name"].as_str()?;
        Some(format!("{name}: {}", waiting["reason"].as_str()?))
    });
    let unscheduled = of("PodScheduled").filter(|it| it["status"] == "False");
    let unscheduled = unscheduled.and_then(|it| it["message"].as_str());
    let phase = || status["phase"].as_str().unwrap_or("Pending").to_owned();
    Some(unscheduled.map_or_else(|| waiting.unwrap_or_else(phase), str::to_owned))
}

impl Checked {
    /// What it says of itself, in a line.
    #[must_use]
    pub fn last_words(&self) -> &str {
        let mut lines = self.stdout.lines().chain(self.stderr.lines());
        let last = lines.rfind(|it| !it.trim().is_empty() && !it.starts_with("quiescent result="));
        last.unwrap_or_default()
            .trim()
            .trim_start_matches("quiescent: ")
    }
}

impl Seen {
    /// What all of it comes to: what is certainly wrong counts more than what is not known.
    #[must_use]
    pub fn verdict(&self) -> Verified {
        let of = |verdict, reason| Verified {
            verdict,
            reason: Some(reason),
        };
        if let Some(reason) = self.wrong() {
            return of(Verdict::Failed, reason);
        }
        match self.unknown() {
            Some(reason) => of(Verdict::Incomplete, reason),
            None => Verified {
                verdict: Verdict::Passed,
                reason: None,
            },
        }
    }

    /// What did not come back as it should.
    fn wrong(&self) -> Option<String> {
        if let Some(hook) = self.hooks.first() {
            return Some(hook.clone());
        }
        let failed = |it: &&Restored| it.is_over() && !it.is_complete() && !it.is_refused();
        if let Some(restored) = self.restores.iter().find(failed) {
            let Restored { phase, errors, .. } = restored;
            let because = restored.because.first();
            let because = because.map_or_else(String::new, |it| format!(": {it}"));
            return Some(format!(
                "the Restore is {phase} with {errors} errors{because}"
            ));
        }
        if self.late && self.stage < Stage::Restored {
            return Some("Velero had not restored it when the time was over".to_owned());
        }
        if self.stage >= Stage::Waited {
            let unready = self.pods.iter().find(|pod| pod.ready.is_none());
            if let Some(pod) = unready {
                let title = pod.title();
                return Some(match &pod.state {
                    Some(state) => format!("the copy of {title} was not ready in time: {state}"),
                    None => format!("{title} did not come back"),
                });
            }
        }
        let checks = self.pods.iter().flat_map(|pod| {
            let of_it = pod.checks.iter();
            of_it.map(move |check| (pod.title(), check))
        });
        let mut bad = checks.filter_map(|(title, check)| {
            let policy = &check.policy;
            match &check.outcome {
                Outcome::Exited(0)
                | Outcome::NotRun(_)
                | Outcome::Lost(_)
                | Outcome::Interrupted => None,
                Outcome::Exited(code) => Some(match check.last_words() {
                    "" => format!("the check of {policy} in {title} ended with {code}"),
                    words => format!("the check of {policy} in {title}: {words}"),
                }),
                Outcome::TimedOut => Some(format!(
                    "the check of {policy} in {title} did not end in its time"
                )),
            }
        });
        bad.next()
    }

    /// What keeps anything from being known.
    fn unknown(&self) -> Option<String> {
        if self.stopped {
            return Some("it was stopped before the end".to_owned());
        }
        if let Some(broken) = &self.broken {
            return Some(broken.clone());
        }
        if let Some(refused) = self.restores.iter().find(|it| it.is_refused()) {
            let why = refused.because.first().cloned().unwrap_or_default();
            return Some(format!("Velero does not take the Restore: {why}"));
        }
        if let Some(Unfit {
            namespace,
            name,
            why,
        }) = self.unfit.first()
        {
            return Some(format!("{namespace}/{name} cannot be copied: {why}"));
        }
        if self.pods.is_empty() {
            return Some("no pod of this backup has hooks of a policy".to_owned());
        }
        let checks = self.pods.iter().flat_map(|pod| &pod.checks);
        let mut open = checks.filter_map(|check| match &check.outcome {
            Outcome::NotRun(why) | Outcome::Lost(why) => {
                Some(format!("the check of {} was not run: {why}", check.policy))
            }
            Outcome::Exited(_) | Outcome::TimedOut | Outcome::Interrupted => None,
        });
        open.next().or_else(|| {
            (self.stage < Stage::Checked).then(|| "it did not come to its end".to_owned())
        })
    }
}
