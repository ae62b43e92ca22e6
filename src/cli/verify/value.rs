//! A verification for programs, whose keys stay what they are, and the annotations of the Backup.

use k8s_openapi::jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use super::Report;
use crate::{
    trial::{Outcome, Said, said},
    velero::{
        copy::Restored,
        verification::{DATA_AGE_SECONDS, FINISHED_AT, REASON, RESTORE_SECONDS, VERDICT},
    },
    verify::{Checked, Pod, Unfit},
};

/// What the Backup is to say of it; what it does not, it is to say no longer.
pub fn annotations(report: &Report, now: Timestamp) -> Value {
    let now = now.round(Unit::Second).unwrap_or(now);
    json!({
        VERDICT: report.verified.verdict.as_str(),
        FINISHED_AT: now.to_string(),
        RESTORE_SECONDS: report.restore_seconds.map(|it| it.to_string()),
        DATA_AGE_SECONDS: report.data_age_seconds.to_string(),
        REASON: report.verified.reason,
    })
}

pub fn value(report: &Report) -> Value {
    let Report {
        backup,
        verified,
        seen,
        restore_seconds,
        data_age_seconds,
        kept,
        notes,
    } = report;
    let not_copied = seen.unfit.iter().map(unfit);
    json!({
        "backup": backup,
        "verdict": verified.verdict.as_str(),
        "reason": verified.reason,
        "restoreSeconds": restore_seconds,
        "dataAgeSeconds": data_age_seconds,
        "restores": seen.restores.iter().map(restored).collect::<Vec<_>>(),
        "pods": seen.pods.iter().map(pod).collect::<Vec<_>>(),
        "notCopied": not_copied.collect::<Vec<_>>(),
        "failedHooks": seen.hooks,
        "kept": kept,
        "notes": notes,
    })
}

fn restored(restored: &Restored) -> Value {
    let Restored {
        phase,
        errors,
        warnings,
        because,
    } = restored;
    json!({"phase": phase, "errors": errors, "warnings": warnings, "because": because})
}

pub fn unfit(unfit: &Unfit) -> Value {
    let Unfit {
        namespace,
        name,
        why,
    } = unfit;
    json!({"namespace": namespace, "pod": name, "because": why})
}

pub fn pod(pod: &Pod) -> Value {
    let Pod {
        subject,
        namespace,
        ready,
        state,
        checks,
    } = pod;
    json!({
        "namespace": subject.namespace,
        "pod": subject.name,
        "policies": subject.policies,
        "copiedTo": namespace,
        "readySeconds": ready.map(|it| it.as_secs()),
        "state": state,
        "checks": checks.iter().map(check).collect::<Vec<_>>(),
    })
}

fn check(check: &Checked) -> Value {
    let Checked {
        policy,
        outcome,
        took,
        stdout,
        stderr,
    } = check;
    let (exit, because) = match outcome {
        Outcome::Exited(code) => (Some(code), None),
        Outcome::NotRun(why) | Outcome::Lost(why) => (None, Some(why)),
        Outcome::TimedOut | Outcome::Interrupted => (None, None),
    };
    json!({
        "policy": policy,
        "outcome": outcome.as_str(),
        "exit": exit,
        "because": because,
        "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
        "results": said(stdout).iter().map(Said::to_json).collect::<Vec<_>>(),
        "stdout": stdout,
        "stderr": stderr,
    })
}
