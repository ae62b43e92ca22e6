use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::{
    audit::Backups,
    library,
    policy::PolicySet,
    select::{Mode, Namespace, Settings},
};

fn library() -> PolicySet {
    PolicySet::new(library::defaults()).0
}

fn settings() -> Settings {
    Settings::default()
}

fn facts(settings: &Settings) -> Facts<'_> {
    Facts {
        namespace: "shop",
        about_namespace: Namespace::Unknown,
        owner: None,
        settings,
    }
}

fn postgres(volume: &Value) -> Value {
    let mut data = volume.clone();
    data["name"] = json!("data");
    json!({
        "metadata": {"name": "pg-0", "uid": "1"},
        "spec": {
            "containers": [{
                "name": "postgres", "image": "postgres:16",
                "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
            }],
            "volumes": [data],
        },
        "status": {"phase": "Running"},
    })
}

fn claimed() -> Value {
    postgres(&json!({"persistentVolumeClaim": {"claimName": "data-pg-0"}}))
}

/// The same as the webhook makes it.
fn hooked(mut pod: Value) -> Value {
    let (policies, settings, text) = (library(), settings(), pod.to_string());
    let view = PodView::parse(&text).unwrap();
    let injection = inject(&policies, &view, facts(&settings));
    injection.patch(&view).apply(&mut pod, "").unwrap();
    pod
}

fn standing(pod: &Value) -> Standing {
    standing_with(pod, &settings(), None)
}

fn standing_with(
    pod: &Value,
    settings: &Settings,
    config_maps: Option<&BTreeSet<String>>,
) -> Standing {
    let around = Around {
        facts: facts(settings),
        backups: Backups::Unknown,
        config_maps,
    };
    look(&library(), &pod.to_string(), around).unwrap()
}

fn annotation(pod: &mut Value, key: &str) -> String {
    let annotations = pod["metadata"]["annotations"].as_object_mut().unwrap();
    let was = annotations.remove(key).unwrap();
    was.as_str().unwrap().to_owned()
}

const COMMAND: &str = "pre.hook.backup.velero.io/command";

#[test]
fn a_pod_made_without_the_webhook_is_to_be_made_anew() {
    let missed = standing(&claimed());
    assert_eq!(missed.reason, Reason::Missed);
    assert_eq!(missed.policy.as_deref(), Some("postgresql-dump"));
    assert!(missed.is_counted() && missed.is_told() && missed.matters());
    assert!(missed.next.unwrap().ends_with("make pod shop/pg-0 anew"));
    let Mend::Anew { policies } = missed.mend else {
        panic!("{:?}", missed.mend);
    };
    assert!(policies.starts_with("postgresql-dump@"), "{policies}");
}

#[test]
fn a_pod_is_not_made_anew_when_its_data_would_go_with_it() {
    for volume in [
        json!({"emptyDir": {}}),
        json!({"ephemeral": {"volumeClaimTemplate": {}}}),
        json!({"csi": {"driver": "x"}}),
    ] {
        let missed = standing(&postgres(&volume));
        assert_eq!(
            (missed.reason, missed.mend),
            (Reason::Missed, Mend::Nothing)
        );
        assert!(
            missed.next.unwrap().starts_with("save its data"),
            "{volume}"
        );
    }
    let mut nowhere = claimed();
    nowhere["spec"]["containers"][0]["volumeMounts"] = json!([]);
    assert_eq!(standing(&nowhere).mend, Mend::Nothing);
}

#[test]
fn annotations_alone_are_mended_in_place_as_the_webhook_writes_them() {
    let whole = hooked(claimed());
    let fine = standing(&whole);
    assert_eq!(
        (fine.reason, fine.mend.clone()),
        (Reason::Hooked, Mend::Nothing)
    );
    assert!(!fine.is_counted() && !fine.matters());

    let mut pod = whole.clone();
    let was = annotation(&mut pod, COMMAND);
    let missed = standing(&pod);
    assert_eq!(missed.mend, Mend::InPlace, "{missed:?}");
    let settings = settings();
    let written = in_place(&library(), &pod.to_string(), facts(&settings)).unwrap();
    assert_eq!(written.get(COMMAND), Some(&Some(was)));
    let annotations = pod["metadata"]["annotations"].as_object_mut().unwrap();
    for (key, value) in written {
        annotations.insert(key.to_owned(), value.unwrap().into());
    }
    assert_eq!(pod, whole);
}

#[test]
fn what_needs_a_volume_is_not_written_on_a_running_pod() {
    let settings = settings();
    let nothing = |pod: &Value| {
        assert_eq!(
            in_place(&library(), &pod.to_string(), facts(&settings)),
            None
        );
        assert_ne!(standing(pod).mend, Mend::InPlace);
    };
    nothing(&claimed());
    // The hook would look for its scripts in vain.
    let mut pod = hooked(claimed());
    annotation(&mut pod, COMMAND);
    pod["spec"]["containers"][0]["volumeMounts"]
        .as_array_mut()
        .unwrap()
        .pop();
    nothing(&pod);
    let mut pod = hooked(claimed());
    pod["metadata"]["labels"] = json!({"quiescent.dev/inject": "disabled"});
    annotation(&mut pod, COMMAND);
    nothing(&pod);
}

#[test]
fn an_authors_hook_is_left_as_it_is() {
    let mut pod = hooked(claimed());
    pod["metadata"]["annotations"][COMMAND] = json!(r#"["/bin/sync"]"#);
    assert_ne!(standing(&pod).mend, Mend::InPlace);
}

#[test]
fn an_older_version_is_counted_and_no_reason_to_make_anything_anew() {
    let mut pod = hooked(claimed());
    let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
    let scripts = volumes.iter_mut().find(|it| it["configMap"].is_object());
    scripts.unwrap()["configMap"]["name"] = json!("quiescent-postgresql-dump-old");
    let provenance = json!("postgresql-dump@old");
    pod["metadata"]["annotations"]["quiescent.dev/policies"] = provenance;
    let old = standing(&pod);
    assert_eq!(
        (old.reason, old.mend.clone()),
        (Reason::Outdated, Mend::Nothing)
    );
    assert!(old.is_counted() && old.is_told());
    assert_eq!(old.policy.as_deref(), Some("postgresql-dump"));
}

#[test]
fn scripts_that_are_missing_come_without_a_new_pod() {
    let missing = standing_with(&hooked(claimed()), &settings(), Some(&BTreeSet::new()));
    assert_eq!(
        (missing.reason, missing.mend),
        (Reason::MissingScripts, Mend::Nothing)
    );
}

#[test]
fn who_asked_for_nothing_is_counted_and_not_told() {
    let settings = Settings {
        mode: Mode::OptIn,
        ..Settings::default()
    };
    let none = BTreeMap::new();
    let about_namespace = Namespace::Known {
        labels: &none,
        annotations: &none,
    };
    let around = Around {
        facts: Facts {
            about_namespace,
            ..facts(&settings)
        },
        backups: Backups::Unknown,
        config_maps: None,
    };
    let quiet = look(&library(), &claimed().to_string(), around).unwrap();
    assert_eq!(quiet.reason, Reason::NotEnabled);
    assert!(quiet.is_counted() && !quiet.is_told() && !quiet.matters());
    assert_eq!(quiet.next, None);
}

#[test]
fn names_of_policies_come_from_those_in_force() {
    let mut pod = hooked(claimed());
    pod["metadata"]["annotations"]["quiescent.dev/policies"] = json!("anything@1");
    assert_eq!(standing(&pod).policy.as_deref(), Some("postgresql-dump"));
    let settings = settings();
    let around = Around {
        facts: facts(&settings),
        backups: Backups::Unknown,
        config_maps: None,
    };
    let (nothing, _) = PolicySet::new(Vec::new());
    let standing = look(&nothing, &pod.to_string(), around).unwrap();
    assert_eq!(standing.policy, None);
}

fn owner(kind: &str, name: &str) -> Owner {
    Owner {
        api_version: "apps/v1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
    }
}

/// A pod that was missed, of an owner, made at a moment.
fn found(owner: Option<Owner>, pod: &str, created: Moment) -> Found {
    Found {
        namespace: "shop".to_owned(),
        pod: pod.to_owned(),
        uid: format!("uid-{pod}"),
        created,
        owner,
        standing: Standing {
            reason: Reason::Missed,
            policy: None,
            mend: Mend::Anew {
                policies: "p@1".into(),
            },
            next: Some("do it".into()),
        },
    }
}

fn set(pod: &str, created: Moment) -> Found {
    found(Some(owner("StatefulSet", "pg")), pod, created)
}

#[test]
fn an_owner_is_told_once_of_all_its_pods() {
    let mut all: Vec<_> = ["pg-3", "pg-1", "pg-0", "pg-2"]
        .map(|pod| set(pod, 1))
        .into();
    all.push(found(None, "alone", 1));
    let notices = notices(&all);
    assert_eq!(notices.len(), 2, "{notices:#?}");
    let of = |name: &str| notices.iter().find(|it| it.about.name == name).unwrap();
    assert_eq!(
        of("pg").sentence(),
        "pg-0, pg-1, pg-2 and 1 more: it was made before the policy, or while the webhook was away; next: do it"
    );
    assert_eq!(
        (&*of("alone").about.kind, &*of("alone").about.uid),
        ("Pod", "uid-alone")
    );
    assert_eq!(of("pg").title(), "Missed");
    assert!(of("pg").is_warning());
}

#[test]
fn a_notice_is_given_at_the_second_look_and_again_when_it_changes_or_much_later() {
    let mut told = Told::default();
    let all = vec![set("pg-0", 1)];
    let due = |told: &mut Told, all: &[Found], now| {
        let due = told.due(notices(all), now);
        for notice in &due {
            told.given(notice, now);
        }
        due.len()
    };
    assert_eq!(due(&mut told, &all, 0), 0);
    assert_eq!(due(&mut told, &all, 1), 1);
    assert_eq!(due(&mut told, &all, 2), 0);
    // Another pod of the same owner is the same news.
    let two = [all.clone(), vec![set("pg-1", 2)]].concat();
    assert_eq!(due(&mut told, &two, 3), 0);
    let mut changed = all.clone();
    changed[0].standing.next = Some("do something else".into());
    assert_eq!(due(&mut told, &changed, 4), 1);
    assert_eq!(due(&mut told, &changed, 4 + 6 * 3600), 1);
    // What was mended and is there again is new.
    assert_eq!(due(&mut told, &[], 30_000), 0);
    assert_eq!(due(&mut told, &changed, 30_001), 0);
    assert_eq!(due(&mut told, &changed, 30_002), 1);
    // What was not given is due again.
    assert_eq!(told.due(notices(&all), 30_003).len(), 1);
    assert_eq!(told.due(notices(&all), 30_004).len(), 1);
}

fn names(found: &[Found], healed: &BTreeMap<String, Healed>) -> Vec<String> {
    let all = candidates(found, healed, 100);
    all.iter().map(|it| it.found.pod.clone()).collect()
}

#[test]
fn only_pods_that_come_back_by_themselves_are_healed() {
    let all = [
        found(Some(owner("StatefulSet", "pg")), "pg-0", 1),
        found(Some(owner("ReplicaSet", "web")), "web-1", 1),
        found(Some(owner("DaemonSet", "agent")), "agent-1", 1),
        found(Some(owner("Job", "job")), "job-1", 1),
        found(Some(owner("Cluster", "operated")), "operated-1", 1),
        found(None, "alone", 1),
    ];
    let none = BTreeMap::new();
    assert_eq!(names(&all, &none), ["agent-1", "pg-0", "web-1"]);
    let mut others = all.clone();
    for other in &mut others {
        other.standing.mend = Mend::InPlace;
    }
    assert_eq!(names(&others, &none), Vec::<String>::new());
}

#[test]
fn the_youngest_pod_is_first_and_none_is_healed_twice() {
    let all = [set("pg-0", 5), set("pg-10", 7), set("pg-9", 7)];
    let mut healed = BTreeMap::new();
    let first = candidates(&all, &healed, 100);
    assert_eq!(first[0].found.pod, "pg-10");
    assert_eq!((first[0].note.until, first[0].note.at), (7, 100));
    healed.insert("uid-pg".to_owned(), first[0].note.clone());
    // It came back, and is unprotected still.
    let again = [set("pg-0", 5), set("pg-10", 101), set("pg-9", 7)];
    assert_eq!(names(&again, &healed), ["pg-9"]);
    assert_eq!(names(&[set("pg-10", 101)], &healed), Vec::<String>::new());
    // Other policies are worth another try.
    let mut other = set("pg-10", 101);
    other.standing.mend = Mend::Anew {
        policies: "p@2".into(),
    };
    assert_eq!(names(&[other], &healed), ["pg-10"]);
}

#[test]
fn notes_are_kept_for_a_day_and_while_there_is_something_to_note() {
    let all = [set("pg-0", 5)];
    let note = candidates(&all, &BTreeMap::new(), 100)[0].note.clone();
    let healed = BTreeMap::from([("uid-pg".to_owned(), note)]);
    let day = 24 * 3600;
    assert_eq!(last(&healed, 99 + day).map(|(uid, _)| uid), Some("uid-pg"));
    assert!(last(&healed, 100 + day).is_none());
    assert_eq!(to_forget(&[], &healed, 99 + day), Vec::<String>::new());
    assert_eq!(to_forget(&[], &healed, 100 + day), ["uid-pg"]);
    assert_eq!(to_forget(&all, &healed, 100 + day), Vec::<String>::new());
}

#[test]
fn an_owner_is_ready_when_it_says_so_of_what_is_asked_for_now() {
    let set = |spec: Value, status: Value| {
        is_ready(&json!({"metadata": {"generation": 2}, "spec": spec, "status": status}))
    };
    let three = json!({"replicas": 3});
    let seen = |ready: u64| json!({"observedGeneration": 2, "readyReplicas": ready});
    assert!(set(three.clone(), seen(3)));
    assert!(!set(three.clone(), seen(2)));
    assert!(!set(
        three,
        json!({"observedGeneration": 1, "readyReplicas": 3})
    ));
    assert!(!set(json!({}), json!({"observedGeneration": 2})));
    let daemons = |ready: u64| json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "numberReady": ready});
    assert!(set(json!({}), daemons(2)));
    assert!(!set(json!({}), daemons(1)));
    assert!(!is_ready(
        &json!({"metadata": {"deletionTimestamp": "now"}, "status": {"readyReplicas": 1}})
    ));
}

#[test]
fn the_pod_to_come_is_the_template_with_the_claims_of_its_name() {
    let set = json!({"spec": {
        "template": {"metadata": {"labels": {"app": "pg"}}, "spec": {"containers": []}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
    }});
    let expected = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "labels": {"app": "pg"}, "generateName": "pg-",
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "pg", "uid": "uid-pg", "controller": true,
            }],
        },
        "spec": {
            "containers": [],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-pg-0"}}],
        },
    });
    assert_eq!(anew(&set, &owner("StatefulSet", "pg"), "pg-0"), expected);
}
