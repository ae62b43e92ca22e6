use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::{
    trial::Outcome,
    velero::copy::Restored,
    verify::{Checked, Stage, Subject, Unfit},
};

fn pod(name: &str, checks: Vec<Checked>) -> Pod {
    Pod {
        subject: Subject {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            labels: BTreeMap::new(),
            policies: vec!["postgresql-dump".to_owned()],
            container: Some("postgres".to_owned()),
            object: String::new(),
        },
        namespace: "shop-verify-kxqza".to_owned(),
        ready: Some(Duration::from_secs(74)),
        state: None,
        checks,
    }
}

fn check(outcome: Outcome, stdout: &str, stderr: &str) -> Checked {
    Checked {
        policy: "postgresql-dump".to_owned(),
        outcome,
        took: Duration::from_millis(2540),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    }
}

fn restored(phase: &str, errors: u64) -> Restored {
    Restored {
        phase: phase.to_owned(),
        errors,
        warnings: 1,
        because: Vec::new(),
    }
}

fn report(seen: Seen) -> Report {
    Report {
        backup: "nightly-20261121".to_owned(),
        verified: seen.verdict(),
        seen,
        restore_seconds: Some(78),
        data_age_seconds: 19_320,
        kept: Vec::new(),
        notes: Vec::new(),
    }
}

fn passed() -> Report {
    let said = "quiescent result=ok policy=postgresql-dump phase=check databases=3 tables=12 recorded=3 amcheck=yes seconds=2\n";
    report(Seen {
        stage: Stage::Checked,
        restores: vec![restored("Completed", 0), restored("Completed", 0)],
        pods: vec![
            pod("pg-0", vec![check(Outcome::Exited(0), said, "")]),
            pod("cache-0", vec![]),
        ],
        ..Seen::default()
    })
}

fn failed() -> Report {
    let result = "quiescent result=failed policy=postgresql-dump phase=check code=1 seconds=2\n";
    let sentence =
        "quiescent: postgresql-dump check failed: database \"shop\" has 2 tables, its dump has 3\n";
    let seen = Seen {
        stage: Stage::Checked,
        restores: vec![restored("Completed", 0), restored("Completed", 0)],
        pods: vec![pod(
            "pg-0",
            vec![check(Outcome::Exited(1), result, sentence)],
        )],
        unfit: vec![Unfit {
            namespace: "shop".to_owned(),
            name: "old-0".to_owned(),
            why: "it uses the network of its node (hostNetwork)".to_owned(),
        }],
        ..Seen::default()
    };
    Report {
        restore_seconds: None,
        kept: vec!["shop-verify-kxqza".to_owned()],
        notes: vec!["a note".to_owned()],
        ..report(seen)
    }
}

#[track_caller]
fn reads(report: &Report, expected: &str) {
    let text = text::text(report);
    assert_eq!(anstream::adapter::strip_str(&text).to_string(), expected);
}

#[test]
fn what_has_passed_is_told_with_its_two_times() {
    reads(
        &passed(),
        "\
backup/nightly-20261121
restore  Completed, 1 warning
restore  Completed, 1 warning
shop/pg-0  postgresql-dump  ready after 1 min 14 s
check  2.5 s  ok  3 databases, 12 tables, recorded 3, amcheck yes
shop/cache-0  postgresql-dump  ready after 1 min 14 s
check  no policy of it has a check: that it is ready is all
verdict  passed; restored and checked in 1 min 18 s (RTO); data 5 h 22 min old (RPO)
",
    );
}

#[test]
fn what_has_failed_is_told_with_its_reason() {
    reads(
        &failed(),
        "\
backup/nightly-20261121
restore  Completed, 1 warning
restore  Completed, 1 warning
shop/pg-0  postgresql-dump  ready after 1 min 14 s
check  2.5 s  exit 1  code 1
       quiescent result=failed policy=postgresql-dump phase=check code=1 seconds=2
       quiescent: postgresql-dump check failed: database \"shop\" has 2 tables, its dump has 3
shop/old-0  not copied: it uses the network of its node (hostNetwork)
verdict  failed; the check of postgresql-dump in shop/pg-0: postgresql-dump check failed: database \"shop\" has 2 tables, its dump has 3; data 5 h 22 min old (RPO)
kept     shop-verify-kxqza; take it away with kubectl delete namespace shop-verify-kxqza
       ! a note
",
    );
}

#[test]
fn programs_get_all_of_it() {
    let value = value::value(&passed());
    let restored = json!({"phase": "Completed", "errors": 0, "warnings": 1, "because": []});
    assert_eq!(
        (&value["verdict"], &value["reason"]),
        (&"passed".into(), &Value::Null)
    );
    assert_eq!(value["restores"], json!([restored, restored]));
    assert_eq!(
        (&value["restoreSeconds"], &value["dataAgeSeconds"]),
        (&78.into(), &19_320.into())
    );
    assert_eq!(
        value["pods"][0],
        json!({
            "namespace": "shop",
            "pod": "pg-0",
            "policies": ["postgresql-dump"],
            "copiedTo": "shop-verify-kxqza",
            "readySeconds": 74,
            "state": null,
            "checks": [{
                "policy": "postgresql-dump",
                "outcome": "ok",
                "exit": 0,
                "because": null,
                "seconds": 2.54,
                "results": [{
                    "result": "ok",
                    "policy": "postgresql-dump",
                    "values": {
                        "phase": "check", "databases": 3, "tables": 12, "recorded": 3,
                        "amcheck": "yes", "seconds": 2,
                    },
                }],
                "stdout": "quiescent result=ok policy=postgresql-dump phase=check databases=3 tables=12 recorded=3 amcheck=yes seconds=2\n",
                "stderr": "",
            }],
        })
    );
}

#[test]
fn the_backup_says_what_is_known_and_no_longer_what_was() {
    let now: Timestamp = "2026-11-22T05:00:00.4Z".parse().unwrap();
    assert_eq!(
        value::annotations(&passed(), now),
        json!({
            "verify.quiescent.dev/verdict": "passed",
            "verify.quiescent.dev/finished-at": "2026-11-22T05:00:00Z",
            "verify.quiescent.dev/restore-seconds": "78",
            "verify.quiescent.dev/data-age-seconds": "19320",
            "verify.quiescent.dev/reason": null,
        })
    );
    let failed = value::annotations(&failed(), now);
    assert_eq!(failed["verify.quiescent.dev/restore-seconds"], Value::Null);
    let reason = failed["verify.quiescent.dev/reason"].as_str().unwrap();
    assert!(reason.starts_with("the check of postgresql-dump in shop/pg-0: "));
}
