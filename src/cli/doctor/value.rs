//! Everything that was found, for programs. The keys stay what they are.

use serde_json::{Value, json};

use crate::doctor::{Found, Told};

pub fn value(told: &[Told]) -> Value {
    let count = |wanted: &str| {
        let those = told.iter().filter(|it| it.found.as_str() == wanted);
        those.count()
    };
    let checks: Vec<Value> = told.iter().map(check).collect();
    json!({
        "checks": checks,
        "summary": {
            "fine": count("fine"),
            "careful": count("careful"),
            "wrong": count("wrong"),
            "unknown": count("unknown"),
        },
    })
}

fn check(told: &Told) -> Value {
    let Told {
        check,
        found,
        says,
        step,
    } = told;
    let finding = match found {
        Found::Finding(finding) => Some(*finding),
        Found::Fine | Found::Unknown => None,
    };
    json!({
        "check": check.as_str(),
        "verdict": found.as_str(),
        "finding": finding.map(crate::doctor::Finding::as_str),
        "message": says,
        "do": step,
    })
}
