//! What a ConsistentSnapshot says of itself: a merge patch of its status.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    snapshot::{Phase, Snapshot, Verdict},
    snapshotter::Plan,
};

/// The API server takes more, and nobody reads it.
const LONGEST: usize = 2048;
const MOST: usize = 64;

/// What stays the same while one is under way.
#[derive(Clone, Debug)]
pub struct About {
    pub generation: Option<i64>,
    /// As it was read.
    pub before: Value,
}

impl About {
    /// It is not begun because of something that may pass.
    pub fn waits(&self, reason: &str, message: &str, now: &str) -> Value {
        let mut status = self.head(Phase::Pending, message, now);
        self.conditions(&mut status, [("Unknown", reason); 2], message, now);
        status.into()
    }

    /// The state before a step.
    pub fn under_way(
        &self,
        plan: &Plan,
        snapshot: &Snapshot,
        holder: &str,
        state: &str,
        now: &str,
    ) -> Value {
        let phase = snapshot.phase();
        let mut status = self.head(phase, "", now);
        taken(&mut status, plan, snapshot);
        self.conditions(&mut status, [("Unknown", phase.as_str()); 2], "", now);
        status.insert("holder".to_owned(), holder.into());
        status.insert("state".to_owned(), state.into());
        status.into()
    }

    /// The end of one that was taken, or undone.
    pub fn ended(&self, plan: &Plan, snapshot: &Snapshot, notes: &[String], now: &str) -> Value {
        let verdict = snapshot.verdict();
        let message = message(verdict, snapshot.reasons());
        let mut status = self.head(snapshot.phase(), &message, now);
        taken(&mut status, plan, snapshot);
        let all = plan.notes.iter().chain(notes);
        status.insert("notes".to_owned(), some(all));
        let word = word(verdict);
        let ready = if verdict.is_good() { "True" } else { "False" };
        let consistent = match verdict {
            Verdict::Consistent => "True",
            _ => "False",
        };
        let conditions = [(ready, word), (consistent, word)];
        self.conditions(&mut status, conditions, &message, now);
        closed(&mut status, verdict.as_str(), now);
        status.into()
    }

    /// The end of one that was never begun, or that nobody can go on with.
    pub fn refused(&self, why: &str, now: &str) -> Value {
        let mut status = self.head(Phase::Failed, why, now);
        status.insert("reasons".to_owned(), some([why.to_owned()].iter()));
        self.conditions(&mut status, [("False", "Refused"); 2], why, now);
        closed(&mut status, "refused", now);
        status.into()
    }

    fn head(&self, phase: Phase, message: &str, now: &str) -> Map<String, Value> {
        let start = match &self.before["startTime"] {
            Value::String(start) => start,
            _ => now,
        };
        let fields = [
            ("observedGeneration", json!(self.generation)),
            ("phase", phase.as_str().into()),
            ("message", cut(message).into()),
            ("startTime", start.into()),
        ];
        fields
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect()
    }

    /// Ready, and Consistent.
    fn conditions(
        &self,
        status: &mut Map<String, Value>,
        of: [(&str, &str); 2],
        message: &str,
        now: &str,
    ) {
        let before = self.before["conditions"].as_array();
        let conditions = ["Ready", "Consistent"].iter().zip(of);
        let conditions = conditions.map(|(kind, (state, reason))| {
            let mut known = before.into_iter().flatten();
            let known = known.find(|it| it["type"] == *kind && it["status"] == state);
            let since = known.and_then(|it| it["lastTransitionTime"].as_str());
            json!({
                "type": kind, "status": state, "reason": reason, "message": cut(message),
                "observedGeneration": self.generation,
                "lastTransitionTime": since.unwrap_or(now),
            })
        });
        status.insert("conditions".to_owned(), conditions.collect());
    }
}

fn taken(status: &mut Map<String, Value>, plan: &Plan, snapshot: &Snapshot) {
    let claims = plan.claims.iter().zip(snapshot.cuts());
    let snapshots = claims.map(|(claim, cut)| {
        json!({
            "claim": claim.name, "name": claim.snapshot, "class": claim.class, "ready": cut.ready,
        })
    });
    let held = snapshot.held().map(|it| it.as_millis());
    let held = held.and_then(|it| i64::try_from(it).ok());
    let fields = [
        ("target", plan.target.as_str().into()),
        ("set", plan.set.as_str().into()),
        ("snapshots", snapshots.collect()),
        ("heldMilliseconds", json!(held)),
        ("reasons", some(snapshot.reasons().iter())),
    ];
    status.extend(fields.map(|(key, value)| (key.to_owned(), value)));
}

fn closed(status: &mut Map<String, Value>, verdict: &str, now: &str) {
    let fields = [
        ("verdict", verdict.into()),
        ("completionTime", now.into()),
        ("holder", Value::Null),
        ("state", Value::Null),
    ];
    status.extend(fields.map(|(key, value)| (key.to_owned(), value)));
}

fn message(verdict: Verdict, reasons: &[String]) -> String {
    if reasons.is_empty() {
        return verdict.words().to_owned();
    }
    format!("{}: {}", verdict.words(), reasons.join("; "))
}

/// The reason of a condition.
const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Consistent => "Consistent",
        Verdict::CrashConsistent => "CrashConsistent",
        Verdict::Unusable => "Unusable",
        Verdict::Deleted => "Deleted",
        Verdict::NotReady => "NotReady",
        Verdict::Undone => "Undone",
        Verdict::Stopped => "Stopped",
        Verdict::NotUndone => "NotUndone",
    }
}

fn some<'s>(texts: impl Iterator<Item = &'s String>) -> Value {
    texts.take(MOST).map(|it| cut(it)).collect()
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// As objects have it, in whole seconds.
pub fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_time_as_long_as_it_is_the_same() {
        let about = About {
            generation: Some(1),
            before: json!({
                "startTime": "2026-01-01T00:00:00Z",
                "conditions": [
                    {"type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                    {"type": "Consistent", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                ],
            }),
        };
        let now = "2026-01-02T00:00:00Z";
        let status = about.waits("Waiting", "for another", now);
        let times: Vec<&Value> = (status["conditions"].as_array().unwrap().iter())
            .map(|it| &it["lastTransitionTime"])
            .collect();
        assert_eq!(times, ["2026-01-01T00:00:00Z", now]);
        assert_eq!(status["startTime"], "2026-01-01T00:00:00Z");
        let refused = about.refused(&"ä".repeat(2000), now);
        assert_eq!(refused["phase"], "Failed");
        assert_eq!(refused["message"].as_str().unwrap().len(), LONGEST);
        assert!(refused["state"].is_null() && refused["completionTime"] == now);
    }
}
