//! Everything that was found, for programs. The keys stay what they are.

use serde_json::{Map, Value, json};

use super::{Audited, counts};
use crate::audit::{Finding, Recreated};

pub fn value(audited: &Audited) -> Value {
    let Audited {
        findings,
        notes,
        unreadable,
    } = audited;
    let counted = counts(findings);
    let counted = counted.map(|(verdict, many)| (verdict.as_str().to_owned(), many.into()));
    let databases: Vec<Value> = findings.iter().map(database).collect();
    json!({
        "databases": databases,
        "summary": Value::Object(counted.into_iter().collect::<Map<String, Value>>()),
        "notes": notes,
        "unreadable": unreadable,
    })
}

fn database(finding: &Finding) -> Value {
    let Finding {
        namespace,
        pod,
        owner,
        container,
        engine,
        version,
        evidence,
        exists,
        phase,
        reason,
        because,
        hook,
        policies,
        lint,
        schedules,
        volumes,
        missing_scripts,
        recreated,
        next,
    } = finding;
    let volumes: Vec<Value> = volumes
        .iter()
        .map(|volume| {
            json!({
                "name": volume.name,
                "holds": volume.holds.as_str(),
                "saved": volume.saved.as_str(),
                "apart": volume.apart,
            })
        })
        .collect();
    let (with, without) = match recreated {
        Recreated::Hooked(policies) => (Some(policies), None),
        Recreated::AsWritten(why) => (None, Some(why.as_str())),
    };
    json!({
        "namespace": namespace,
        "pod": pod,
        "owner": owner.as_ref().map(|(kind, name)| json!({"kind": kind, "name": name})),
        "exists": exists,
        "phase": phase,
        "container": container,
        "engine": engine,
        "version": version,
        "evidence": evidence,
        "verdict": finding.verdict().as_str(),
        "reason": reason.as_str(),
        "message": reason.sentence(),
        "because": because.map(crate::select::Reason::as_str),
        "hook": hook,
        "policies": policies,
        "lint": lint,
        "schedules": schedules,
        "volumes": volumes,
        "missingScripts": missing_scripts,
        "ifMadeNow": {"policies": with, "reason": without},
        "next": next,
    })
}
