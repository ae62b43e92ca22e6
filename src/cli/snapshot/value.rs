//! Everything that a snapshot came to, for programs. The keys stay what they are.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::test::value::run;
use crate::{
    snapshot::Snapshot,
    snapshotter::{Plan, Times},
};

pub fn value(plan: &Plan, snapshot: &Snapshot, times: Times, notes: &[String]) -> Value {
    let seconds =
        |time: Option<Duration>| time.map(|it| (it.as_secs_f64() * 1000.0).round() / 1000.0);
    let members = plan.members.iter().zip(snapshot.members());
    let pods = members.map(|(subject, member)| {
        let tried = member.tried();
        let hooks = tried.runs.iter().map(|it| run(subject, &tried, it));
        json!({
            "pod": subject.name,
            "policies": subject.policies,
            "hooks": hooks.collect::<Vec<_>>(),
        })
    });
    let claims = plan.claims.iter().zip(snapshot.cuts());
    let snapshots = claims.map(|(claim, cut)| {
        json!({
            "claim": claim.name,
            "name": claim.snapshot(cut),
            "class": claim.class,
            "content": cut.content,
            "cutAtNanoseconds": cut.at.map(|it| it.from),
            "cut": cut.is_cut(),
            "ready": cut.ready,
            "error": cut.error,
        })
    });
    let verdict = snapshot.verdict();
    json!({
        "namespace": plan.namespace,
        "target": plan.target,
        "set": plan.set,
        "group": plan.group.as_ref().map(|_| &plan.set),
        "verdict": verdict.as_str(),
        "message": verdict.words(),
        "reasons": snapshot.reasons(),
        "heldSeconds": seconds(snapshot.held()),
        "cutSeconds": seconds(times.cut),
        "readySeconds": seconds(times.ready),
        "pods": pods.collect::<Vec<_>>(),
        "snapshots": snapshots.collect::<Vec<_>>(),
        "notes": notes,
    })
}
