//! Everything that a trial came to, for programs. The keys stay what they are.

use serde_json::{Value, json};

use super::super::results::{self, Results};
use crate::{
    live::Subject,
    trial::{Hook, Late, Outcome, Proposal, Run, Said, Tried, said, word},
};

pub fn value(tried: &[(Subject, Tried)], backup: Option<&Results>, notes: &[String]) -> Value {
    let pods: Vec<Value> = tried
        .iter()
        .map(|(subject, tried)| pod(subject, tried))
        .collect();
    json!({"pods": pods, "backup": backup.map(results::value), "notes": notes})
}

fn pod(subject: &Subject, tried: &Tried) -> Value {
    let runs: Vec<Value> = tried
        .runs
        .iter()
        .map(|it| run(subject, tried, it))
        .collect();
    let proposals: Vec<Value> = tried
        .proposals()
        .into_iter()
        .map(|(phase, proposal)| {
            json!({
                "phase": word(phase),
                "timeout": proposal.timeout().map(|it| it.to_string()),
                "because": match proposal {
                    Proposal::Lower { .. } => "long",
                    Proposal::Raise { .. } => "short",
                    Proposal::TooLong => "longer_than_velero_waits",
                },
            })
        })
        .collect();
    json!({
        "namespace": subject.namespace,
        "pod": subject.name,
        "policies": subject.policies,
        "verdict": tried.verdict().as_str(),
        "message": tried.verdict().words(),
        "hooks": runs,
        "preStillRuns": tried.late == Late::Running,
        "stopped": tried.stopped,
        "proposals": proposals,
        "notes": tried.notes(),
    })
}

pub fn run(subject: &Subject, tried: &Tried, run: &Run) -> Value {
    let Run {
        phase,
        outcome,
        took,
        stdout,
        stderr,
        printed,
    } = run;
    let hook = tried.hook(*phase);
    let exec = hook.and_then(Hook::exec);
    let (exit, why) = match outcome {
        Outcome::Exited(code) => (Some(code), None),
        Outcome::NotRun(why) | Outcome::Lost(why) => (None, Some(why)),
        Outcome::TimedOut | Outcome::Interrupted => (None, None),
    };
    json!({
        "phase": word(*phase),
        "container": exec.and_then(|it| subject.container(it).ok()),
        "command": exec.map(|it| &it.command),
        "call": hook.and_then(Hook::call).map(ToString::to_string),
        "onError": hook.map(|it| it.on_error().as_str()),
        "timeout": hook.map(|it| it.timeout().to_string()),
        "outcome": outcome.as_str(),
        "exit": exit,
        "because": why,
        "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
        "results": said(stdout).iter().map(Said::to_json).collect::<Vec<_>>(),
        "stdout": stdout,
        "stderr": stderr,
        "printedBytes": printed,
    })
}
