use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::*;
use crate::{
    plan::PROVENANCE,
    trial::Outcome,
    velero::{HookPhase, INIT_COMMAND, INIT_IMAGE, copy::Restored, verification::Verdict},
};

fn pod(name: &str, spec: &Value) -> Value {
    let mut pod = json!({
        "metadata": {
            "namespace": "shop", "name": name, "labels": {"app": "pg"},
            "annotations": {
                PROVENANCE: "postgresql-dump@0123456789ab,filesystem-sync@ba9876543210",
                HookPhase::Pre.keys().container: "postgres",
            },
        },
        "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "a"}}]},
        "status": {"phase": "Running"},
    });
    for (key, value) in spec.as_object().unwrap() {
        pod["spec"][key] = value.clone();
    }
    pod
}

fn found(pod: &Value) -> (Vec<Subject>, Vec<Unfit>) {
    subjects(&[pod.to_string()], &BTreeSet::new()).unwrap()
}

#[test]
fn a_pod_with_hooks_of_ours_is_copied() {
    let (subjects, unfit) = found(&pod("pg-0", &json!({})));
    let [subject] = &subjects[..] else {
        panic!("{unfit:?}")
    };
    assert_eq!(subject.policies, ["postgresql-dump", "filesystem-sync"]);
    assert_eq!(subject.container.as_deref(), Some("postgres"));
    assert_eq!(
        subject.labels,
        BTreeMap::from([("app".to_owned(), "pg".to_owned())])
    );
}

#[test]
fn what_has_no_hooks_of_ours_or_is_over_or_elsewhere_is_none() {
    let mut bare = pod("web", &json!({}));
    bare["metadata"]["annotations"] = Value::Null;
    let mut over = pod("job", &json!({}));
    over["status"]["phase"] = "Succeeded".into();
    for pod in [&bare, &over] {
        assert_eq!(found(pod), (vec![], vec![]));
    }
    let texts = [pod("pg-0", &json!({})).to_string()];
    let of = |namespace: &str| subjects(&texts, &BTreeSet::from([namespace.to_owned()])).unwrap();
    assert_eq!(of("shop").0.len(), 1);
    assert_eq!(of("crm"), (vec![], vec![]));
}

#[test]
fn what_would_meet_its_original_is_not_copied() {
    for (spec, word) in [
        (json!({"hostNetwork": true}), "hostNetwork"),
        (
            json!({"containers": [{"ports": [{"containerPort": 1}, {"hostPort": 5432}]}]}),
            "5432",
        ),
        (
            json!({"volumes": [{"name": "data", "hostPath": {"path": "/data"}}]}),
            "hostPath",
        ),
        (
            json!({"volumes": [{"nfs": {"server": "a", "path": "/"}, "name": "data"}]}),
            "nfs",
        ),
    ] {
        let (subjects, unfit) = found(&pod("pg-0", &spec));
        assert_eq!(subjects, []);
        assert!(unfit[0].why.contains(word), "{unfit:?}");
    }
    let mut nameless = pod("pg-0", &json!({}));
    nameless["metadata"]["labels"] = Value::Null;
    assert!(found(&nameless).1[0].why.contains("label"));
}

#[test]
fn an_init_container_that_puts_data_back_gets_what_the_webhook_would_give_it() {
    let argv = [
        "/usr/bin/env",
        "QUIESCENT_TIMEOUT=3595",
        "/bin/sh",
        "/quiescent/a/init.sh",
    ];
    let server = json!({
        "name": "postgres", "image": "postgres:17", "env": [{"name": "PGDATA", "value": "/data"}],
        "securityContext": {"runAsUser": 999},
        "volumeMounts": [{"name": "a", "mountPath": "/quiescent/a"}, {"name": "data", "mountPath": "/data"}],
    });
    let mut physical = pod("pg-0", &json!({"containers": [server]}));
    let annotations = &mut physical["metadata"]["annotations"];
    annotations[INIT_IMAGE] = "postgres:17".into();
    annotations[INIT_COMMAND] = json!(argv).to_string().into();
    let (subjects, unfit) = found(&physical);
    assert_eq!(unfit, []);
    let completed = completed(&subjects);
    let positions: Vec<usize> = completed.iter().map(|it| it.position).collect();
    assert_eq!(positions, [0, 1]);
    for it in completed {
        assert_eq!((&*it.namespace, &*it.pod), ("shop", "pg-0"));
        assert_eq!(it.command, argv);
        // As Velero makes it of the annotations.
        let made = json!({"name": "velero-restore-init-1a2b3c4d", "image": "postgres:17", "command": argv, "resources": {}});
        let mut containers = vec![json!({"name": "restore-wait"}); it.position];
        containers.push(made);
        let mut restored = json!({"spec": {"initContainers": containers}});
        let patch: json_patch::Patch = serde_json::from_value(it.patch.into()).unwrap();
        json_patch::patch(&mut restored, &patch).unwrap();
        let whole = &restored["spec"]["initContainers"][it.position];
        for key in ["env", "securityContext", "volumeMounts"] {
            assert_eq!(whole[key], server[key], "{key}");
        }
    }
    // Nobody completes the container of somebody else.
    let mut authors = physical.clone();
    authors["metadata"]["annotations"][INIT_COMMAND] = "[\"/bin/true\"]".into();
    assert_eq!(super::completed(&found(&authors).0), []);
    assert_eq!(super::completed(&found(&pod("pg-0", &json!({}))).0), []);
}

#[test]
fn names_of_copies_are_names_and_differ() {
    let long = ["a".repeat(60), format!("{}b", "a".repeat(59))];
    let names = mapping(long.iter().map(String::as_str).chain(["shop"]), &id(12345));
    assert_eq!(names["shop"], format!("shop-verify-{}", id(12345)));
    let mut of_long: Vec<_> = long.iter().map(|it| &names[it]).collect();
    assert!(of_long.iter().all(|it| it.len() <= 63), "{of_long:?}");
    of_long.dedup();
    assert_eq!(of_long.len(), 2);
    assert!(
        id(u64::MAX)
            .chars()
            .all(|letter| letter.is_ascii_lowercase())
    );
    assert_ne!(id(1), id(27));
}

fn complete() -> Seen {
    let (mut subjects, _) = found(&pod("pg-0", &json!({})));
    let restored = Restored {
        phase: "Completed".to_owned(),
        ..Restored::default()
    };
    Seen {
        stage: Stage::Checked,
        restores: vec![restored.clone(), restored],
        pods: vec![Pod {
            subject: subjects.remove(0),
            namespace: "shop-verify-abcde".to_owned(),
            ready: Some(Duration::from_secs(9)),
            state: None,
            checks: vec![Checked {
                policy: "postgresql-dump".to_owned(),
                outcome: Outcome::Exited(0),
                took: Duration::from_secs(1),
                stdout: "quiescent result=ok policy=postgresql-dump phase=check\n".to_owned(),
                stderr: String::new(),
            }],
        }],
        ..Seen::default()
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut Seen), verdict: Verdict, word: &str) {
    let mut seen = complete();
    change(&mut seen);
    let verified = seen.verdict();
    assert_eq!(verified.verdict, verdict, "{verified:?}");
    let reason = verified.reason.unwrap_or_default();
    assert!(reason.contains(word), "{reason}");
}

#[test]
fn what_came_back_and_is_sound_has_passed() {
    check(|_| {}, Verdict::Passed, "");
    check(|seen| seen.pods[0].checks.clear(), Verdict::Passed, "");
}

#[test]
fn what_did_not_come_back_has_failed() {
    let phase = |seen: &mut Seen, phase: &str| phase.clone_into(&mut seen.restores[1].phase);
    check(
        |seen| {
            phase(seen, "PartiallyFailed");
            seen.restores[1].errors = 2;
        },
        Verdict::Failed,
        "PartiallyFailed with 2 errors",
    );
    check(
        |seen| {
            phase(seen, "PartiallyFailed");
            seen.hooks
                .push("the restore hook of shop/pg-0 failed".to_owned());
        },
        Verdict::Failed,
        "restore hook of shop/pg-0",
    );
    check(
        |seen| {
            phase(seen, "InProgress");
            (seen.late, seen.stage) = (true, Stage::Surrounded);
        },
        Verdict::Failed,
        "time was over",
    );
    check(
        |seen| seen.pods[0].ready = None,
        Verdict::Failed,
        "did not come back",
    );
    check(
        |seen| {
            seen.pods[0].ready = None;
            seen.pods[0].state = Some("CrashLoopBackOff".to_owned());
        },
        Verdict::Failed,
        "CrashLoopBackOff",
    );
}

#[test]
fn what_a_check_does_not_like_has_failed_in_its_words() {
    check(
        |seen| {
            let check = &mut seen.pods[0].checks[0];
            check.outcome = Outcome::Exited(1);
            check.stderr = "quiescent: 2 of 3 databases are there\n\n".to_owned();
        },
        Verdict::Failed,
        "2 of 3 databases",
    );
    check(
        |seen| seen.pods[0].checks[0].outcome = Outcome::TimedOut,
        Verdict::Failed,
        "in its time",
    );
}

#[test]
fn of_what_was_not_looked_at_nothing_is_known() {
    check(
        |seen| seen.pods[0].checks[0].outcome = Outcome::NotRun("no right to exec".to_owned()),
        Verdict::Incomplete,
        "no right to exec",
    );
    check(
        |seen| {
            (seen.stopped, seen.stage) = (true, Stage::Restored);
        },
        Verdict::Incomplete,
        "stopped",
    );
    check(
        |seen| seen.pods.clear(),
        Verdict::Incomplete,
        "no pod of this backup",
    );
    check(
        |seen| {
            seen.unfit.push(Unfit {
                namespace: "shop".to_owned(),
                name: "old-0".to_owned(),
                why: "it uses the network of its node".to_owned(),
            });
        },
        Verdict::Incomplete,
        "shop/old-0 cannot be copied",
    );
    check(
        |seen| {
            seen.restores.truncate(1);
            seen.restores[0].phase = "FailedValidation".to_owned();
            seen.restores[0].because = vec!["no such location".to_owned()];
            seen.stage = Stage::Begun;
        },
        Verdict::Incomplete,
        "no such location",
    );
}

#[test]
fn what_is_wrong_counts_more_than_what_is_not_known() {
    check(
        |seen| {
            seen.stopped = true;
            seen.pods[0].checks[0].outcome = Outcome::Exited(1);
        },
        Verdict::Failed,
        "ended with 1",
    );
}

#[test]
fn the_copy_reaches_itself_and_names_alone() {
    let copy = Copy {
        id: "abcde".to_owned(),
        backup: "b".to_owned(),
        mapping: mapping(["shop"], "abcde"),
        until: None,
        timeout: "1h".parse().unwrap(),
        completed: Vec::new(),
    };
    let spec = &isolation(&copy, "shop-verify-abcde")["spec"];
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(spec["ingress"], json!([{"from": [{"podSelector": {}}]}]));
    assert_eq!(spec["egress"][0], json!({"to": [{"podSelector": {}}]}));
    assert_eq!(spec["egress"][1]["ports"][0]["port"], 53);
    let labels = &namespace(&copy, "shop-verify-abcde")["metadata"]["labels"];
    assert_eq!(labels["quiescent.dev/inject"], "disabled");
    assert_eq!(labels[crate::velero::EXCLUDE_LABEL], "true");
    assert_eq!(labels[VERIFICATION_LABEL], "abcde");
}

#[test]
fn what_keeps_a_pod_from_being_ready_is_named() {
    let of = |status: Value| unready(&json!({"status": status}));
    let ready = |status: &str| json!({"type": "Ready", "status": status});
    assert_eq!(of(json!({"conditions": [ready("True")]})), None);
    let unscheduled = json!({"type": "PodScheduled", "status": "False", "message": "no node fits"});
    assert_eq!(
        of(json!({"phase": "Pending", "conditions": [unscheduled]})).as_deref(),
        Some("no node fits")
    );
    let waiting = json!({"name": "pg", "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
    assert_eq!(
        of(json!({"phase": "Running", "conditions": [ready("False")], "containerStatuses": [waiting]})).as_deref(),
        Some("pg: CrashLoopBackOff")
    );
    assert_eq!(of(json!({"phase": "Running"})).as_deref(), Some("Running"));
}
