use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Around, Backup, Backups, Finding, Holds, Reason, Recreated, Saved, audit};
use crate::{
    inject::inject,
    library::defaults,
    pod::PodView,
    policy::PolicySet,
    select::{self, Facts, Mode, Namespace, Settings},
};

fn library() -> PolicySet {
    PolicySet::new(defaults()).0
}

fn facts(settings: &Settings) -> Facts<'_> {
    Facts {
        namespace: "shop",
        about_namespace: Namespace::Unknown,
        owner: None,
        settings,
    }
}

fn schedule(template: &Value) -> Backup {
    Backup::of_schedule(&json!({"metadata": {"name": "nightly"}, "spec": {"template": template}}))
}

/// A pod that runs, with its data in a claim.
fn postgres() -> Value {
    json!({
        "metadata": {
            "name": "pg-0", "namespace": "shop", "uid": "1", "labels": {}, "annotations": {},
            "ownerReferences": [{"kind": "StatefulSet", "name": "pg"}],
        },
        "spec": {
            "containers": [{
                "name": "postgres", "image": "postgres:16",
                "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
            }],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-pg-0"}}],
        },
        "status": {"phase": "Running"},
    })
}

/// The same as the webhook makes it.
fn hooked(mut pod: Value) -> Value {
    let policies = library();
    let settings = Settings::default();
    let text = pod.to_string();
    let view = PodView::parse(&text).unwrap();
    let injection = inject(&policies, &view, facts(&settings));
    let patch = injection.patch_text(&view).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    json_patch::patch(&mut pod, &patch).unwrap();
    pod
}

fn judged(pod: &Value, backups: Backups<'_>) -> Finding {
    let settings = Settings::default();
    only(
        pod,
        Around {
            facts: facts(&settings),
            backups,
            config_maps: None,
        },
    )
}

fn only(pod: &Value, around: Around<'_>) -> Finding {
    let mut found = audit(&library(), &pod.to_string(), around).unwrap();
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[test]
fn codes_are_told_apart_and_sentences_are_parts_of_one() {
    let codes: BTreeSet<&str> = Reason::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        assert!(!reason.sentence().ends_with('.'), "{reason}");
    }
}

#[test]
fn what_the_webhook_made_is_protected_and_its_dump_is_saved() {
    let all = [schedule(&json!({}))];
    let finding = judged(&hooked(postgres()), Backups::Known(&all));
    assert_eq!(finding.reason, Reason::Hooked, "{finding:#?}");
    assert_eq!(finding.database(), "PostgreSQL 16");
    assert_eq!(finding.schedules, Some(vec!["nightly".to_owned()]));
    let saved: Vec<_> = finding
        .volumes
        .iter()
        .map(|it| (it.holds, it.saved))
        .collect();
    assert_eq!(
        saved,
        [
            (Holds::Dump, Saved::FileCopy),
            (Holds::Data, Saved::Snapshot)
        ]
    );
    assert_eq!(finding.next, None);
}

#[test]
fn what_was_made_without_it_is_missed_and_a_restart_mends_it() {
    let finding = judged(&postgres(), Backups::Unknown);
    assert_eq!(finding.reason, Reason::Missed);
    assert!(
        matches!(&finding.recreated, Recreated::Hooked(now) if now[0].starts_with("postgresql-dump@"))
    );
    assert_eq!(
        finding.next.as_deref(),
        Some("kubectl -n shop rollout restart statefulset/pg")
    );
    for (kind, source) in [
        ("emptyDir", json!({})),
        ("ephemeral", json!({"volumeClaimTemplate": {}})),
        ("csi", json!({"driver": "x"})),
    ] {
        let mut fleeting = postgres();
        fleeting["spec"]["volumes"] = json!([{"name": "data", kind: source}]);
        let next = judged(&fleeting, Backups::Unknown).next.unwrap();
        assert!(next.starts_with("save its data"), "{next}");
    }
}

#[test]
fn a_pod_that_is_not_there_yet_is_judged_as_it_will_be() {
    let mut template = postgres();
    template["metadata"].as_object_mut().unwrap().remove("uid");
    template.as_object_mut().unwrap().remove("status");
    let all = [schedule(&json!({}))];
    let finding = judged(&template, Backups::Known(&all));
    assert_eq!(finding.reason, Reason::WhenCreated);
    assert_eq!(finding.volumes[0].saved, Saved::FileCopy);
}

#[test]
fn what_is_ours_and_not_whole_is_found() {
    let all = [schedule(&json!({}))];
    let reason = |change: &dyn Fn(&mut Value)| {
        let mut pod = hooked(postgres());
        change(&mut pod);
        judged(&pod, Backups::Known(&all)).reason
    };
    let annotation = |key: &str, value: &str| {
        let (key, value) = (key.to_owned(), value.to_owned());
        move |pod: &mut Value| pod["metadata"]["annotations"][&key] = json!(value)
    };
    let container = "pre.hook.backup.velero.io/container";
    assert_eq!(reason(&annotation(container, "db")), Reason::WrongContainer);
    assert_eq!(
        reason(&annotation(
            "quiescent.dev/policies",
            "postgresql-dump@000000000000"
        )),
        Reason::Outdated
    );
    assert_eq!(
        reason(&annotation("backup.velero.io/backup-volumes", "data")),
        Reason::DumpNotSaved
    );
    assert_eq!(
        reason(&|pod| pod["spec"]["volumes"] = json!([])),
        Reason::Incomplete
    );
    let elsewhere = |pod: &mut Value| {
        let sidecar = json!({"name": "proxy", "image": "envoy:1"});
        pod["spec"]["containers"]
            .as_array_mut()
            .unwrap()
            .push(sidecar);
        pod["metadata"]["annotations"][container] = json!("proxy");
    };
    assert_eq!(reason(&elsewhere), Reason::WrongContainer);
    let unknown = |pod: &mut Value| {
        pod["metadata"]["annotations"]["quiescent.dev/policies"] = json!("theirs@0123");
        pod["metadata"]["labels"] = json!({"quiescent.dev/method": "off"});
    };
    assert_eq!(reason(&unknown), Reason::OtherPolicy);
}

#[test]
fn scripts_that_are_not_there_are_named_where_somebody_knows() {
    let settings = Settings::default();
    let pod = hooked(postgres());
    let with = |config_maps: Option<&BTreeSet<String>>| {
        let backups = Backups::Unknown;
        only(
            &pod,
            Around {
                facts: facts(&settings),
                backups,
                config_maps,
            },
        )
    };
    assert_eq!(with(None).reason, Reason::Hooked);
    let missing = with(Some(&BTreeSet::new()));
    assert_eq!(missing.reason, Reason::MissingScripts);
    assert_eq!(
        missing.next.as_deref(),
        Some("quiescent scripts -n shop | kubectl apply -f -")
    );
    let there: BTreeSet<String> = missing.missing_scripts.iter().cloned().collect();
    assert_eq!(there.len(), 1);
    assert_eq!(with(Some(&there)).reason, Reason::Hooked);
}

#[test]
fn a_schedule_takes_what_its_namespaces_labels_and_resources_say() {
    let pod = hooked(postgres());
    let reason = |template: Value| judged(&pod, Backups::Known(&[schedule(&template)])).reason;
    for takes in [
        json!({}),
        json!({"includedNamespaces": ["*"]}),
        json!({"includedNamespaces": ["sh*"], "labelSelector": {}}),
        json!({"includedResources": ["Pods", "pvc"]}),
        json!({"orLabelSelectors": [{"matchLabels": {"a": "b"}}, {"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}]}),
    ] {
        assert_eq!(reason(takes.clone()), Reason::Hooked, "{takes}");
    }
    for passes in [
        json!({"includedNamespaces": ["other"]}),
        json!({"excludedNamespaces": ["shop"]}),
        json!({"labelSelector": {"matchLabels": {"app": "other"}}}),
        json!({"labelSelector": {"matchLabels": 3}}),
        json!({"includedResources": ["configmaps"]}),
        json!({"excludedResources": ["pods"]}),
    ] {
        assert_eq!(reason(passes.clone()), Reason::NoSchedule, "{passes}");
    }
    let paused = Backup::of_schedule(&json!({"metadata": {"name": "x"}, "spec": {"paused": true}}));
    assert_eq!(
        judged(&pod, Backups::Known(&[paused])).reason,
        Reason::NoSchedule
    );
    for unknown in [Backups::Unknown, Backups::NoVelero] {
        let finding = judged(&pod, unknown);
        assert_eq!((finding.reason, finding.schedules), (Reason::Hooked, None));
    }
    let mut left_out = pod.clone();
    left_out["metadata"]["labels"] = json!({"velero.io/exclude-from-backup": "true"});
    let all = [schedule(&json!({}))];
    assert_eq!(
        judged(&left_out, Backups::Known(&all)).reason,
        Reason::ExcludedFromBackup
    );
}

#[test]
fn a_backup_that_copies_all_volumes_saves_the_dump_and_spoils_a_snapshot() {
    let copies = [schedule(&json!({"defaultVolumesToFsBackup": true}))];
    let finding = judged(&hooked(postgres()), Backups::Known(&copies));
    assert_eq!(finding.reason, Reason::Hooked);
    assert!(finding.volumes.iter().all(|it| it.saved == Saved::FileCopy));
    let mut pod = postgres();
    pod["metadata"]["labels"] = json!({"quiescent.dev/method": "snapshot"});
    let pod = hooked(pod);
    let reason = |template: Value| judged(&pod, Backups::Known(&[schedule(&template)])).reason;
    assert_eq!(reason(json!({})), Reason::Hooked);
    assert_eq!(
        reason(json!({"defaultVolumesToFsBackup": true})),
        Reason::FileCopy
    );
    assert_eq!(
        reason(json!({"snapshotVolumes": false})),
        Reason::DataNotSaved
    );
}

#[test]
fn an_authors_hook_is_worth_what_lint_says_of_it() {
    let all = [schedule(&json!({}))];
    let with = |annotations: &Value| {
        let mut pod = postgres();
        pod["metadata"]["annotations"] = annotations.clone();
        judged(&pod, Backups::Known(&all))
    };
    let pre = |command: &str| {
        json!({
            "pre.hook.backup.velero.io/command": command,
            "pre.hook.backup.velero.io/container": "postgres",
        })
    };
    let good = with(&pre(r#"["/bin/sh","-c","psql -U postgres -c CHECKPOINT"]"#));
    assert_eq!(
        (good.reason, good.lint),
        (Reason::AuthorsHook, None),
        "{good:#?}"
    );
    let gone = with(&pre(
        r#"["/bin/sh","-c","psql -U postgres -c \"SELECT pg_start_backup('x', false, false)\""]"#,
    ));
    assert_eq!(
        (gone.reason, gone.lint),
        (Reason::AuthorsHookFails, Some("QV022"))
    );
    let mut other = pre("/bin/sync");
    other["pre.hook.backup.velero.io/container"] = json!("db");
    assert_eq!(with(&other).reason, Reason::WrongContainer);
    let post = json!({"post.hook.backup.velero.io/command": "/bin/true"});
    assert_eq!(with(&post).reason, Reason::NoPreHook);
    // What is wrong with another hook does not keep this one from its work.
    let mut both = pre("/bin/sync");
    both["post.hook.restore.velero.io/command"] = json!("[broken");
    assert_eq!(with(&both).reason, Reason::AuthorsHook);
}

#[test]
fn a_hook_of_the_schedule_is_one_unless_an_annotation_hides_it() {
    let with = |hooks: Value| [schedule(&json!({"hooks": {"resources": [hooks]}}))];
    let pre = json!([{"exec": {"command": ["/bin/sync"]}}]);
    let ours = with(json!({"name": "sync", "includedNamespaces": ["shop"], "pre": pre}));
    let mut pod = postgres();
    assert_eq!(
        judged(&pod, Backups::Known(&ours)).reason,
        Reason::BackupsHook
    );
    for others in [
        json!({"name": "sync", "includedNamespaces": ["other"], "pre": pre}),
        json!({"name": "sync", "labelSelector": {"matchLabels": {"app": "other"}}, "pre": pre}),
        json!({"name": "sync", "post": pre}),
    ] {
        let all = with(others);
        assert_eq!(judged(&pod, Backups::Known(&all)).reason, Reason::Missed);
    }
    pod["metadata"]["annotations"] = json!({
        "pre.hook.backup.velero.io/command": "[broken",
        "pre.hook.backup.velero.io/container": "postgres",
    });
    assert_eq!(
        judged(&pod, Backups::Known(&ours)).reason,
        Reason::AuthorsHookFails
    );
}

#[test]
fn an_operators_pod_is_the_operators() {
    let mut pod = postgres();
    pod["metadata"]["labels"] = json!({"cnpg.io/cluster": "pg"});
    let finding = judged(&pod, Backups::Known(&[]));
    assert_eq!(finding.reason, Reason::Operator);
    assert_eq!(finding.hook, "left to CloudNativePG");
}

#[test]
fn what_somebody_wants_left_alone_is_not_unprotected() {
    for (label, value, reason) in [
        ("quiescent.dev/method", "off", Reason::MethodOff),
        ("quiescent.dev/inject", "disabled", Reason::Disabled),
        // A pod of PostgreSQL has no policy of this method but one of its own.
        ("quiescent.dev/method", "nonsense", Reason::NotSelected),
    ] {
        let mut pod = postgres();
        pod["metadata"]["labels"] = json!({ label: value });
        assert_eq!(
            judged(&pod, Backups::Unknown).reason,
            reason,
            "{label}={value}"
        );
    }
    let mut job = postgres();
    job["spec"]["restartPolicy"] = json!("Never");
    assert_eq!(judged(&job, Backups::Unknown).reason, Reason::EndsByItself);
    let settings = Settings {
        mode: Mode::OptIn,
        ..Settings::default()
    };
    let labels = std::collections::BTreeMap::new();
    let about_namespace = Namespace::Known {
        labels: &labels,
        annotations: &labels,
    };
    let facts = Facts {
        about_namespace,
        ..facts(&settings)
    };
    let around = Around {
        facts,
        backups: Backups::Unknown,
        config_maps: None,
    };
    let finding = only(&postgres(), around);
    assert_eq!(finding.reason, Reason::NotEnabled);
    let next = finding.next.unwrap();
    assert!(next.starts_with("kubectl label namespace shop quiescent.dev/inject=enabled"));
}

#[test]
fn a_policy_that_passes_over_says_why() {
    let mut pod = postgres();
    let twin = pod["spec"]["containers"][0].clone();
    pod["spec"]["containers"].as_array_mut().unwrap().push(twin);
    pod["spec"]["containers"][1]["name"] = json!("second");
    let settings = Settings::default();
    let around = Around {
        facts: facts(&settings),
        backups: Backups::Unknown,
        config_maps: None,
    };
    let found = audit(&library(), &pod.to_string(), around).unwrap();
    let because: Vec<_> = found.iter().map(|it| (it.reason, it.because)).collect();
    let why = (Reason::NotSelected, Some(select::Reason::SeveralContainers));
    assert_eq!(because, [why, why]);
}

#[test]
fn a_database_beside_another_is_judged_for_itself() {
    let mut pod = postgres();
    let cache = json!({"name": "cache", "image": "redis:7.4"});
    pod["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(cache);
    let pod = hooked(pod);
    let settings = Settings::default();
    let around = Around {
        facts: facts(&settings),
        backups: Backups::Unknown,
        config_maps: None,
    };
    let found = audit(&library(), &pod.to_string(), around).unwrap();
    let reasons: BTreeSet<_> = found.iter().map(|it| it.reason).collect();
    assert_eq!(
        reasons,
        BTreeSet::from([Reason::Hooked, Reason::NotSelected]),
        "{found:#?}"
    );
}

#[test]
fn pods_that_ended_and_pods_without_a_database_have_no_finding() {
    let settings = Settings::default();
    let around = Around {
        facts: facts(&settings),
        backups: Backups::Unknown,
        config_maps: None,
    };
    let mut ended = postgres();
    ended["status"]["phase"] = json!("Succeeded");
    let mut web = postgres();
    web["spec"]["containers"][0] = json!({"name": "web", "image": "example.com/web:1"});
    for pod in [ended, web] {
        assert_eq!(audit(&library(), &pod.to_string(), around).unwrap(), []);
    }
    assert!(audit(&library(), "{\"spec\":3}", around).is_err());
}

/// With its write-ahead log on a claim of its own.
fn on_two_claims(mut pod: Value) -> Value {
    pod["spec"]["containers"][0]["env"] =
        json!([{"name": "POSTGRES_INITDB_WALDIR", "value": "/wal"}]);
    let mounts = pod["spec"]["containers"][0]["volumeMounts"].as_array_mut();
    mounts
        .unwrap()
        .push(json!({"name": "wal", "mountPath": "/wal"}));
    let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
    volumes.push(json!({"name": "wal", "persistentVolumeClaim": {"claimName": "wal-pg-0"}}));
    pod
}

#[test]
fn snapshots_of_claims_that_belong_together_are_no_backup_and_a_dump_is() {
    let all = [schedule(&json!({}))];
    let mut pod = on_two_claims(postgres());
    let finding = judged(&hooked(pod.clone()), Backups::Known(&all));
    assert_eq!(finding.reason, Reason::Hooked, "a dump is of one moment");
    let data = finding.volumes.iter().filter(|it| it.holds == Holds::Data);
    let data: Vec<_> = data.map(|it| (&*it.name, it.apart)).collect();
    assert_eq!(data, [("data", true), ("wal", true)]);

    pod["metadata"]["labels"]["quiescent.dev/method"] = "snapshot".into();
    let finding = judged(&hooked(pod.clone()), Backups::Known(&all));
    assert_eq!(finding.reason, Reason::SeveralClaims);
    assert!(finding.next.unwrap().contains("quiescent.dev/method=dump"));

    let mut one = postgres();
    one["metadata"]["labels"]["quiescent.dev/method"] = "snapshot".into();
    let finding = judged(&hooked(one), Backups::Known(&all));
    assert_eq!(finding.reason, Reason::Hooked);
    assert!(finding.volumes.iter().all(|it| !it.apart));
}

#[test]
fn an_authors_hook_on_two_claims_must_dump_or_hold_writes() {
    let all = [schedule(&json!({}))];
    let reason = |script: &str| {
        let mut pod = on_two_claims(postgres());
        pod["metadata"]["annotations"] = json!({
            "pre.hook.backup.velero.io/container": "postgres",
            "pre.hook.backup.velero.io/command": json!(["/bin/sh", "-c", script]).to_string(),
            "pre.hook.backup.velero.io/on-error": "Fail",
            "pre.hook.backup.velero.io/timeout": "5m",
        });
        judged(&pod, Backups::Known(&all)).reason
    };
    assert_eq!(
        reason("psql -U postgres -c CHECKPOINT"),
        Reason::SeveralClaims
    );
    assert_eq!(reason("fsfreeze --freeze /wal"), Reason::AuthorsHook);
}
