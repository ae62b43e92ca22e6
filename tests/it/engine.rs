//! What the engine does with one pod, claim by claim.

use std::{collections::BTreeMap, sync::Arc};

use quiescent::{
    diagnostic::Source,
    inject::inject,
    library,
    pod::PodView,
    policy::{Input, PolicySet, ScriptFile, parse},
    select::{Facts, Mode, Namespace, Reason, Settings},
};
use serde_json::{Value, json};

/// A question to the engine: policies, a pod, and what is known beside it.
struct Question {
    policies: PolicySet,
    pod: Value,
    namespace: String,
    labels: Option<BTreeMap<String, String>>,
    annotations: BTreeMap<String, String>,
    owner: Option<(&'static str, &'static str)>,
    settings: Settings,
}

/// What came out.
struct Found {
    pod: Value,
    reason: Option<Reason>,
    applied: Vec<String>,
    passed: Vec<(String, Reason)>,
    notes: Vec<Reason>,
    operations: usize,
}

/// Asks about a pod with the policies of a text, whose scripts are all one line.
fn ask(policies: &str, pod: Value) -> Question {
    let (places, diagnostics) = parse(&Input {
        source: Arc::new(Source {
            name: "policies.yaml".to_owned(),
            text: policies.to_owned(),
        }),
        scripts: BTreeMap::from([(
            "pre.sh".to_owned(),
            ScriptFile::Text("#!/bin/sh\n. \"${0%/*}/quiescent.sh\"\nsay hello\n".to_owned()),
        )]),
    });
    assert_eq!(diagnostics, []);
    Question {
        policies: PolicySet::new(places).0,
        pod,
        namespace: "shop".to_owned(),
        labels: None,
        annotations: BTreeMap::new(),
        owner: None,
        settings: Settings::default(),
    }
}

fn ask_library(pod: Value) -> Question {
    Question {
        policies: PolicySet::new(library::defaults()).0,
        ..ask(&policy("unused", ""), pod)
    }
}

impl Question {
    fn labels(mut self, labels: Value) -> Self {
        self.labels = Some(serde_json::from_value(labels).unwrap());
        self
    }

    fn answer(&self) -> Found {
        let text = self.pod.to_string();
        let view = PodView::parse(&text).unwrap();
        let about_namespace = match &self.labels {
            Some(labels) => Namespace::Known {
                labels,
                annotations: &self.annotations,
            },
            None => Namespace::Unknown,
        };
        let facts = Facts {
            namespace: &self.namespace,
            about_namespace,
            owner: self.owner,
            settings: &self.settings,
        };
        let injection = inject(&self.policies, &view, facts);
        let mut pod = self.pod.clone();
        let patch = injection.patch(&view);
        patch.apply(&mut pod, "").unwrap();
        let plan = &injection.plan;
        Found {
            pod,
            reason: injection.reason(),
            applied: plan
                .applied
                .iter()
                .map(|it| it.policy.name.clone())
                .collect(),
            passed: plan
                .passed
                .iter()
                .map(|(policy, why)| (policy.name.clone(), *why))
                .collect(),
            notes: plan.notes.iter().map(|note| note.reason).collect(),
            operations: patch.0.len(),
        }
    }
}

impl Found {
    fn annotation(&self, key: &str) -> &str {
        self.pod["metadata"]["annotations"][key]
            .as_str()
            .unwrap_or_default()
    }

    fn argv(&self, phase: &str) -> Vec<String> {
        serde_json::from_str(self.annotation(&format!("{phase}.velero.io/command"))).unwrap()
    }
}

fn pod() -> Value {
    json!({
        "metadata": {"labels": {"app": "pg"}},
        "spec": {"containers": [{"name": "db", "image": "postgres:16"}]},
    })
}

fn with(change: impl Fn(&mut Value)) -> Value {
    let mut pod = pod();
    change(&mut pod);
    pod
}

/// A policy for PostgreSQL, with more lines for its spec.
fn policy(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: quiescent.dev/v1\nkind: HookPolicy\nmetadata: {{name: {name}}}\nspec:\n  match: {{images: [postgres]}}\n  hooks:\n    pre: {{command: [pre-{name}], timeout: 20s, onError: Fail}}\n    post: {{command: [post-{name}], timeout: 10s, onError: Continue}}\n{more}\n"
    )
}

#[test]
fn the_pods_label_decides_before_its_namespaces_and_that_before_the_mode() {
    let table = [
        // pod, namespace (None: not known), mode, why not
        (None, Some(None), Mode::OptOut, None),
        (None, Some(None), Mode::OptIn, Some(Reason::NotEnabled)),
        (None, Some(Some("enabled")), Mode::OptIn, None),
        (None, Some(Some("enabled")), Mode::OptOut, None),
        (
            None,
            Some(Some("disabled")),
            Mode::OptOut,
            Some(Reason::DisabledByNamespace),
        ),
        (
            None,
            Some(Some("disabled")),
            Mode::OptIn,
            Some(Reason::DisabledByNamespace),
        ),
        (None, None, Mode::OptOut, None),
        (None, None, Mode::OptIn, Some(Reason::NamespaceUnknown)),
        (Some("enabled"), Some(Some("disabled")), Mode::OptIn, None),
        (Some("enabled"), None, Mode::OptIn, None),
        (
            Some("disabled"),
            Some(Some("enabled")),
            Mode::OptOut,
            Some(Reason::DisabledByPod),
        ),
        (
            Some("perhaps"),
            Some(None),
            Mode::OptIn,
            Some(Reason::NotEnabled),
        ),
        (Some("perhaps"), Some(Some("enabled")), Mode::OptIn, None),
    ];
    for (of_pod, of_namespace, mode, why) in table {
        let pod = with(|pod| {
            if let Some(value) = of_pod {
                pod["metadata"]["labels"]["quiescent.dev/inject"] = value.into();
            }
        });
        let mut question = ask_library(pod);
        question.settings.mode = mode;
        question.labels = of_namespace.map(|value| {
            value
                .into_iter()
                .map(|value| ("quiescent.dev/inject".to_owned(), value.to_owned()))
                .collect()
        });
        let reason = question.answer().reason;
        assert_eq!(
            reason, why,
            "pod {of_pod:?}, namespace {of_namespace:?}, {mode:?}"
        );
    }
}

#[test]
fn pods_that_no_hook_can_serve_are_passed_over() {
    let reason = |pod: Value| ask_library(pod).answer().reason;
    let mirror =
        with(|pod| pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"}));
    assert_eq!(reason(mirror), Some(Reason::MirrorPod));
    assert_eq!(
        reason(with(|pod| pod["spec"]["os"] = json!({"name": "windows"}))),
        Some(Reason::WindowsPod)
    );
    let selected = with(|pod| pod["spec"]["nodeSelector"] = json!({"kubernetes.io/os": "windows"}));
    assert_eq!(reason(selected), Some(Reason::WindowsPod));
    for policy in ["Never", "OnFailure"] {
        assert_eq!(
            reason(with(|pod| pod["spec"]["restartPolicy"] = policy.into())),
            Some(Reason::EndsByItself)
        );
    }
    let job =
        with(|pod| pod["metadata"]["ownerReferences"] = json!([{"kind": "Job", "name": "x"}]));
    assert_eq!(reason(job), Some(Reason::EndsByItself));
    let off = with(|pod| pod["metadata"]["labels"]["quiescent.dev/method"] = "off".into());
    assert_eq!(reason(off), Some(Reason::MethodOff));
    for (namespace, why) in [
        ("kube-system", Reason::SystemNamespace),
        ("kube-public", Reason::SystemNamespace),
        ("quiescent", Reason::OwnNamespace),
        ("velero", Reason::VeleroNamespace),
    ] {
        let mut question = ask_library(pod());
        question.namespace = namespace.to_owned();
        assert_eq!(question.answer().reason, Some(why));
    }
}

#[test]
fn exclude_wins_over_match() {
    let text = policy(
        "a",
        "  exclude: [{podSelector: {matchLabels: {role: replica}}}, {namespaces: [\"test-*\"]}]",
    );
    assert_eq!(ask(&text, pod()).answer().applied, ["a"]);
    let replica = with(|pod| pod["metadata"]["labels"]["role"] = "replica".into());
    assert_eq!(ask(&text, replica).answer().reason, Some(Reason::Excluded));
    let mut elsewhere = ask(&text, pod());
    elsewhere.namespace = "test-1".to_owned();
    assert_eq!(elsewhere.answer().reason, Some(Reason::Excluded));
    // What stands in many a template excludes nothing.
    assert_eq!(
        ask(&policy("a", "  exclude: {}"), pod()).answer().applied,
        ["a"]
    );
}

#[test]
fn owners_are_known_by_kind_and_name_and_a_deployment_through_its_replica_set() {
    let text = |kind: &str| {
        policy("a", "").replace(
            "{images: [postgres]}",
            &format!("{{images: [postgres], owners: [{{kind: {kind}, name: \"pg-*\"}}]}}"),
        )
    };
    let owned = |kind: &str, name: &str| {
        with(|pod| {
            pod["metadata"]["labels"]["pod-template-hash"] = "abc".into();
            pod["metadata"]["ownerReferences"] = json!([{"kind": kind, "name": name}]);
        })
    };
    let applied = |policies: &str, pod: Value| !ask(policies, pod).answer().applied.is_empty();
    assert!(applied(
        &text("StatefulSet"),
        owned("StatefulSet", "pg-main")
    ));
    assert!(!applied(
        &text("StatefulSet"),
        owned("StatefulSet", "my-main")
    ));
    assert!(applied(
        &text("Deployment"),
        owned("ReplicaSet", "pg-web-abc")
    ));
    assert!(!applied(
        &text("Deployment"),
        owned("ReplicaSet", "pg-web-xyz")
    ));
    assert!(!applied(&text("StatefulSet"), pod()));
    let mut template = ask(&text("StatefulSet"), pod());
    template.owner = Some(("StatefulSet", "pg-x"));
    assert_eq!(template.answer().applied, ["a"]);
}

#[test]
fn a_namespace_selector_needs_a_known_namespace() {
    let text = policy("a", "").replace(
        "{images: [postgres]}",
        "{images: [postgres], namespaceSelector: {matchLabels: {tier: db}}}",
    );
    assert_eq!(
        ask(&text, pod()).answer().reason,
        Some(Reason::NamespaceUnknown)
    );
    assert_eq!(
        ask(&text, pod()).labels(json!({})).answer().reason,
        Some(Reason::NamespaceLabels)
    );
    assert_eq!(
        ask(&text, pod())
            .labels(json!({"tier": "db"}))
            .answer()
            .applied,
        ["a"]
    );
}

#[test]
fn the_container_is_the_one_that_is_meant_and_never_the_first_for_want_of_it() {
    let proxied = with(|pod| {
        pod["spec"]["containers"] = json!([
            {"name": "proxy", "image": "envoy"},
            {"name": "db", "image": "postgres:16", "ports": [{"containerPort": 5432}]},
        ]);
    });
    let container = |more: &str, pod: &Value| {
        let answer = ask(&policy("a", more), pod.clone()).answer();
        (
            answer
                .annotation("pre.hook.backup.velero.io/container")
                .to_owned(),
            answer.reason,
        )
    };
    for more in [
        "",
        "  container: {name: db}",
        "  container: {image: postgres}",
        "  container: {port: 5432}",
    ] {
        assert_eq!(container(more, &proxied), ("db".to_owned(), None), "{more}");
    }
    assert_eq!(
        container("  container: {name: other}", &proxied).1,
        Some(Reason::NoContainer)
    );
    let twice = with(|pod| {
        pod["spec"]["containers"] =
            json!([{"name": "a", "image": "postgres"}, {"name": "b", "image": "postgres"}]);
    });
    assert_eq!(container("", &twice).1, Some(Reason::SeveralContainers));
    let mut settled = twice;
    settled["metadata"]["annotations"] = json!({"quiescent.dev/container": "b"});
    assert_eq!(container("", &settled), ("b".to_owned(), None));
    let sidecar = with(|pod| {
        pod["spec"]["containers"] = json!([{"name": "app", "image": "postgres-client"}]);
        pod["spec"]["initContainers"] =
            json!([{"name": "db", "image": "postgres", "restartPolicy": "Always"}]);
    });
    let by_name = policy("a", "  container: {name: db}").replace(
        "{images: [postgres]}",
        "{podSelector: {matchLabels: {app: pg}}}",
    );
    assert_eq!(
        ask(&by_name, sidecar).answer().reason,
        Some(Reason::NativeSidecar)
    );
}

#[test]
fn parameters_come_from_the_pod_then_its_namespace_then_the_policy() {
    let text = policy("a", "  parameters: {lockWait: {type: duration, default: 1m}, database: {}, mode: {enum: [x, w], default: x}}").replace("{command: [pre-a]", "{script: pre.sh");
    let variables = |question: &Question| {
        let argv = question.answer().argv("pre.hook.backup");
        argv.into_iter()
            .filter(|word| word.starts_with("QUIESCENT_"))
            .collect::<Vec<_>>()
    };
    let mut question = ask(&text, pod());
    assert_eq!(
        variables(&question),
        [
            "QUIESCENT_TIMEOUT=18",
            "QUIESCENT_LOCK_WAIT=1m",
            "QUIESCENT_MODE=x"
        ]
    );
    question.labels = Some(BTreeMap::new());
    question.annotations = BTreeMap::from([
        ("quiescent.dev/a.database".to_owned(), "orders".to_owned()),
        ("quiescent.dev/a.lockWait".to_owned(), "2m".to_owned()),
    ]);
    question.pod = with(|pod| {
        pod["metadata"]["annotations"] =
            json!({"quiescent.dev/a.lockWait": "3s", "quiescent.dev/b.database": "no"});
    });
    assert_eq!(
        variables(&question),
        [
            "QUIESCENT_TIMEOUT=18",
            "QUIESCENT_DATABASE=orders",
            "QUIESCENT_LOCK_WAIT=3s",
            "QUIESCENT_MODE=x"
        ]
    );
    question.pod =
        with(|pod| pod["metadata"]["annotations"] = json!({"quiescent.dev/a.mode": "z"}));
    assert_eq!(question.answer().reason, Some(Reason::BadParameter));
}

#[test]
fn backup_volumes_are_a_set_and_the_authors_part_of_it_stays_as_written() {
    let text = policy(
        "a",
        "  volumes: {dump: {mountPath: /dump, emptyDir: {}}}\n  backupVolumes: {add: [dump, data, nowhere]}",
    );
    let value = |there: Option<&str>| {
        let pod = with(|pod| {
            pod["spec"]["volumes"] =
                json!([{"name": "data", "persistentVolumeClaim": {"claimName": "x"}}]);
            if let Some(there) = there {
                pod["metadata"]["annotations"] = json!({"backup.velero.io/backup-volumes": there});
            }
        });
        let answer = ask(&text, pod).answer();
        assert_eq!(answer.notes, [Reason::NoSuchVolume]);
        answer
            .annotation("backup.velero.io/backup-volumes")
            .to_owned()
    };
    assert_eq!(value(None), "dump,data");
    assert_eq!(value(Some("")), "dump,data");
    assert_eq!(value(Some("data")), "data,dump");
    assert_eq!(value(Some("data, logs")), "data, logs,dump");
    assert_eq!(value(Some("dump,data")), "dump,data");
}

#[test]
fn what_happens_to_the_authors_hooks_is_for_the_policy_to_say() {
    let authored = with(|pod| {
        pod["metadata"]["annotations"] = json!({
            "pre.hook.backup.velero.io/command": "[\"/mine\"]",
            "pre.hook.backup.velero.io/timeout": "1m",
            "post.hook.backup.velero.io/command": "/undo",
        });
    });
    let under = |conflict: &str| {
        ask(
            &policy("a", &format!("  onConflict: {conflict}")),
            authored.clone(),
        )
        .answer()
    };

    let kept = under("Keep");
    assert_eq!(
        (kept.operations, kept.reason),
        (0, Some(Reason::AuthorsHooks))
    );

    let overridden = under("Override");
    assert_eq!(overridden.argv("pre.hook.backup"), ["pre-a"]);
    assert_eq!(
        overridden.annotation("pre.hook.backup.velero.io/timeout"),
        "20s"
    );

    let composed = under("Compose");
    let pre = composed.argv("pre.hook.backup").join(" ");
    assert!(
        pre.find("/mine").unwrap() < pre.find("pre-a").unwrap(),
        "{pre}"
    );
    let post = composed.argv("post.hook.backup").join(" ");
    assert!(
        post.find("post-a").unwrap() < post.find("/undo").unwrap(),
        "{post}"
    );
    // The author's minute and our 20 seconds; one of the two steps says Fail.
    assert_eq!(
        composed.annotation("pre.hook.backup.velero.io/timeout"),
        "1m20s"
    );
    assert_eq!(
        composed.annotation("pre.hook.backup.velero.io/on-error"),
        "Fail"
    );
    let again = ask(&policy("a", "  onConflict: Compose"), composed.pod).answer();
    assert_eq!((again.operations, again.applied), (0, vec!["a".to_owned()]));

    let denied = under("Deny");
    assert_eq!(
        (denied.operations, denied.reason),
        (0, Some(Reason::Denied))
    );
    assert_eq!(
        ask(&policy("a", "  onConflict: Deny"), pod())
            .answer()
            .applied,
        ["a"]
    );
}

#[test]
fn several_policies_are_one_hook_in_their_order_and_post_in_reverse() {
    let text = policy("low", "  priority: 1")
        + &policy("high", "  priority: 9")
        + &policy("mid", "  priority: 5\n  onConflict: Compose");
    let answer = ask(&text, pod()).answer();
    assert_eq!(answer.applied, ["high", "mid", "low"]);
    let order = |phase: &str, prefix: &str| {
        let argv = answer.argv(phase);
        let steps = argv.iter().filter_map(|word| word.strip_prefix(prefix));
        steps.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(order("pre.hook.backup", "pre-"), ["high", "mid", "low"]);
    assert_eq!(order("post.hook.backup", "post-"), ["low", "mid", "high"]);
    assert_eq!(answer.annotation("pre.hook.backup.velero.io/timeout"), "1m");
    assert_eq!(
        answer.annotation("post.hook.backup.velero.io/timeout"),
        "30s"
    );
    assert_eq!(
        answer
            .annotation("quiescent.dev/policies")
            .split(',')
            .count(),
        3
    );
}

#[test]
fn one_hook_cannot_run_in_two_containers() {
    let text = policy("a", "  priority: 2") + &policy("b", "  container: {name: cache}");
    let two = with(|pod| {
        pod["spec"]["containers"] =
            json!([{"name": "db", "image": "postgres"}, {"name": "cache", "image": "redis"}]);
    });
    let answer = ask(&text, two).answer();
    assert_eq!(answer.applied, ["a"]);
    assert_eq!(answer.passed, [("b".to_owned(), Reason::OtherContainer)]);
}

#[test]
fn a_name_or_a_path_that_is_taken_keeps_all_of_a_policy_away() {
    let text = policy("a", "  volumes: {dump: {mountPath: /dump, emptyDir: {}}}");
    let named = with(|pod| {
        pod["spec"]["volumes"] = json!([{"name": "dump", "secret": {"secretName": "x"}}]);
    });
    let answer = ask(&text, named).answer();
    assert_eq!(
        (answer.operations, answer.reason),
        (0, Some(Reason::VolumeTaken))
    );
    let mounted = with(|pod| {
        pod["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "other", "mountPath": "/dump/"}]);
    });
    assert_eq!(
        ask(&text, mounted).answer().reason,
        Some(Reason::MountPathTaken)
    );
    // The same volume at another path is another matter.
    let shared = with(|pod| {
        pod["spec"]["volumes"] = json!([{"name": "dump", "emptyDir": {}}]);
        pod["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "dump", "mountPath": "/elsewhere"}]);
    });
    let answer = ask(&text, shared).answer();
    assert_eq!(answer.pod["spec"]["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(
        answer.pod["spec"]["containers"][0]["volumeMounts"][1]["mountPath"],
        "/dump"
    );
}

#[test]
fn ephemeral_volumes_and_inline_scripts_need_no_other_object() {
    let text = policy("a", "  scripts: Inline\n  volumes: {dump: {mountPath: /dump, ephemeral: {size: 5Gi, storageClass: fast}}}").replace("{command: [pre-a]", "{script: pre.sh");
    let answer = ask(&text, pod()).answer();
    let volumes = answer.pod["spec"]["volumes"].as_array().unwrap();
    assert_eq!(volumes.len(), 1);
    let claim = &volumes[0]["ephemeral"]["volumeClaimTemplate"]["spec"];
    assert_eq!(
        (
            &claim["storageClassName"],
            &claim["resources"]["requests"]["storage"]
        ),
        (&json!("fast"), &json!("5Gi"))
    );
    let argv = answer.argv("pre.hook.backup");
    let script = &argv[argv.len() - 2];
    assert!(
        script.contains("say()") && script.ends_with("say hello\n"),
        "{script}"
    );
    let sources = script.lines().any(|line| line.starts_with(". "));
    assert!(!sources, "what is sourced stands in it");
}

#[test]
fn a_part_that_is_missing_is_put_back() {
    let whole = ask_library(pod()).answer().pod;
    let again = |change: &dyn Fn(&mut Value)| {
        let mut pod = whole.clone();
        change(&mut pod);
        let answer = ask_library(pod).answer();
        assert_eq!(
            answer.pod["metadata"]["annotations"],
            whole["metadata"]["annotations"]
        );
        assert_eq!(answer.pod["spec"]["volumes"].as_array().unwrap().len(), 2);
        assert_eq!(
            answer.pod["spec"]["containers"][0]["volumeMounts"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    };
    again(&|_| {});
    again(&|pod| {
        drop(
            pod["metadata"]["annotations"]
                .as_object_mut()
                .unwrap()
                .remove("pre.hook.backup.velero.io/on-error"),
        );
    });
    again(&|pod| {
        drop(
            pod["metadata"]["annotations"]
                .as_object_mut()
                .unwrap()
                .remove("pre.hook.backup.velero.io/command"),
        );
    });
    again(&|pod| drop(pod["spec"]["volumes"].as_array_mut().unwrap().remove(0)));
    again(&|pod| {
        drop(
            pod["spec"]["containers"][0]["volumeMounts"]
                .as_array_mut()
                .unwrap()
                .pop(),
        );
    });
    again(&|pod| {
        pod["spec"]["volumes"][0]["configMap"]["name"] =
            "quiescent-postgresql-dump-0000000000".into();
    });
}

#[test]
fn a_restored_pod_keeps_what_it_was_backed_up_with() {
    let restored = |pod: &Value| {
        let mut pod = pod.clone();
        pod["metadata"]["labels"]["velero.io/restore-name"] = "nightly".into();
        pod["spec"]["initContainers"] = json!([{"name": "restore-wait", "image": "velero"}]);
        pod
    };
    let whole = ask_library(pod()).answer().pod;
    let same = ask_library(restored(&whole)).answer();
    assert_eq!((same.operations, same.reason), (0, None));
    // An older version of the policy: its scripts come back, the newer ones may not be there.
    let mut older = whole;
    older["metadata"]["annotations"]["quiescent.dev/policies"] =
        "postgresql-dump@000000000000".into();
    older["spec"]["volumes"][0]["configMap"]["name"] =
        "quiescent-postgresql-dump-0000000000".into();
    let kept = ask_library(restored(&older)).answer();
    assert_eq!((kept.operations, kept.reason), (0, Some(Reason::Restored)));
    // Outside of a restore it gets the new version.
    assert_eq!(ask_library(older).answer().applied, ["postgresql-dump"]);
    // From a backup without us: hooks for the next backup, no restore hook without a dump.
    let old_backup = ask_library(restored(&pod())).answer();
    assert_eq!(old_backup.applied, ["postgresql-dump"]);
    assert_eq!(old_backup.notes, [Reason::Restored]);
    assert_eq!(
        old_backup.annotation("post.hook.restore.velero.io/command"),
        ""
    );
}

#[test]
fn a_newer_version_of_a_command_takes_the_place_of_the_older_one() {
    for conflict in ["Keep", "Compose", "Deny", "Override"] {
        let more = format!("  onConflict: {conflict}");
        let older = ask(&policy("a", &more), pod()).answer().pod;
        let newer = policy("a", &more).replace("pre-a", "pre-new");
        let answer = ask(&newer, older).answer();
        assert_eq!(answer.applied, ["a"], "{conflict}");
        assert_eq!(answer.argv("pre.hook.backup"), ["pre-new"], "{conflict}");
        // What somebody has changed since is theirs.
        let mut changed = answer.pod;
        changed["metadata"]["annotations"]["pre.hook.backup.velero.io/command"] =
            "[\"mine\"]".into();
        let kept = ask(&policy("a", "  onConflict: Keep"), changed).answer();
        assert_eq!(kept.reason, Some(Reason::AuthorsHooks), "{conflict}");
    }
}

#[test]
fn a_phase_that_a_policy_no_longer_has_is_taken_out() {
    let restore = "    restore: {post: {command: [load], execTimeout: 1m, waitTimeout: 1m, onError: Continue}}";
    let with_restore = policy("a", restore);
    let older = ask(&with_restore, pod()).answer().pod;
    let answer = ask(&policy("a", ""), older).answer();
    assert_eq!(answer.annotation("post.hook.restore.velero.io/command"), "");
    assert_eq!(
        answer.annotation("post.hook.restore.velero.io/wait-timeout"),
        ""
    );
    assert_eq!(answer.argv("pre.hook.backup"), ["pre-a"]);
    // The author's hook that was taken in comes back as it was.
    let authored = with(|pod| {
        pod["metadata"]["annotations"] = json!({
            "post.hook.restore.velero.io/command": "[\"/mine\"]",
            "post.hook.restore.velero.io/exec-timeout": "7s",
            "post.hook.restore.velero.io/wait-timeout": "9m",
            "post.hook.restore.velero.io/wait-for-ready": "true",
        });
    });
    let composed = ask(
        &policy("a", &format!("{restore}\n  onConflict: Compose")),
        authored,
    )
    .answer();
    assert_eq!(
        composed.annotation("post.hook.restore.velero.io/wait-timeout"),
        "9m"
    );
    assert_eq!(
        composed.annotation("post.hook.restore.velero.io/wait-for-ready"),
        "true"
    );
    let alone = ask(&policy("a", "  onConflict: Compose"), composed.pod).answer();
    assert_eq!(alone.argv("post.hook.restore"), ["/mine"]);
    assert_eq!(
        alone.annotation("post.hook.restore.velero.io/exec-timeout"),
        "7s"
    );
    let again = ask(&policy("a", "  onConflict: Compose"), alone.pod).answer();
    assert_eq!(again.operations, 0);
}

#[test]
fn the_oldest_form_of_a_hook_keeps_its_own_keys() {
    let legacy = with(|pod| {
        pod["metadata"]["annotations"] = json!({
            "hook.backup.velero.io/command": "/freeze",
            "hook.backup.velero.io/container": "db",
            "hook.backup.velero.io/timeout": "10m",
            "hook.backup.velero.io/on-error": "Fail",
            "pre.hook.backup.velero.io/timeout": "1s",
        });
    });
    let answer = ask(&policy("a", "  onConflict: Compose"), legacy).answer();
    assert_eq!(
        answer.annotation("pre.hook.backup.velero.io/timeout"),
        "10m20s"
    );
    let argv = answer.argv("pre.hook.backup");
    let author = argv.iter().position(|word| word == "author").unwrap();
    assert_eq!(argv[author + 1..author + 3], ["600", "Fail"]);
}

#[test]
fn override_takes_both_hooks_of_a_backup_and_only_where_it_brings_one() {
    let authored = with(|pod| {
        pod["metadata"]["annotations"] = json!({
            "pre.hook.backup.velero.io/command": "/freeze",
            "post.hook.backup.velero.io/command": "/thaw",
        });
    });
    let lone = "apiVersion: quiescent.dev/v1\nkind: HookPolicy\nmetadata: {name: a}\nspec:\n  match: {images: [postgres]}\n  hooks:\n    restore: {post: {command: [load], execTimeout: 1m, waitTimeout: 1m, onError: Continue}}\n  onConflict: Override\n";
    let both = lone.to_owned() + &policy("keeper", "");
    let answer = ask(&both, authored.clone()).answer();
    assert_eq!(answer.applied, ["a"]);
    assert_eq!(
        answer.annotation("pre.hook.backup.velero.io/command"),
        "/freeze"
    );
    assert_eq!(answer.passed, [("keeper".to_owned(), Reason::AuthorsHooks)]);

    let overridden = ask(&policy("a", "  onConflict: Override"), authored).answer();
    assert_eq!(overridden.argv("post.hook.backup"), ["post-a"]);
}

#[test]
fn an_exclusion_that_nobody_can_judge_keeps_a_policy_away() {
    let text = policy(
        "a",
        "  exclude: {namespaceSelector: {matchLabels: {env: dev}}}",
    );
    assert_eq!(
        ask(&text, pod()).answer().reason,
        Some(Reason::NamespaceUnknown)
    );
    assert_eq!(
        ask(&text, pod())
            .labels(json!({"env": "dev"}))
            .answer()
            .reason,
        Some(Reason::Excluded)
    );
    assert_eq!(ask(&text, pod()).labels(json!({})).answer().applied, ["a"]);
}

#[test]
fn what_the_pod_cannot_take_is_not_put_into_it() {
    let volumes = "  volumes: {dump: {mountPath: /dump, emptyDir: {}}}";
    let device = with(|pod| {
        pod["spec"]["containers"][0]["volumeDevices"] =
            json!([{"name": "raw", "devicePath": "/dump"}]);
    });
    assert_eq!(
        ask(&policy("a", volumes), device).answer().reason,
        Some(Reason::MountPathTaken)
    );
    let read_only = with(|pod| {
        pod["spec"]["volumes"] = json!([{"name": "dump", "emptyDir": {}}]);
        pod["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "dump", "mountPath": "/dump", "readOnly": true}]);
    });
    assert_eq!(
        ask(&policy("a", volumes), read_only).answer().reason,
        Some(Reason::MountPathTaken)
    );
    let full = with(|pod| pod["metadata"]["annotations"] = json!({"big": "x".repeat(262_000)}));
    let answer = ask(&policy("a", ""), full).answer();
    assert_eq!(
        (answer.operations, answer.passed[0].1),
        (0, Reason::ManyAnnotations)
    );
    let long = |name: &str| policy(name, "").replace("timeout: 20s", "timeout: 3h");
    let answer = ask(&(long("a") + &long("b")), pod()).answer();
    assert_eq!(answer.applied, ["a"]);
    assert_eq!(answer.passed, [("b".to_owned(), Reason::TooLong)]);
}

#[test]
fn taking_out_a_hook_of_ours_leaves_the_authors_oldest_one() {
    let restore = "    restore: {post: {command: [load], execTimeout: 1m, waitTimeout: 1m, onError: Continue}}";
    let legacy = with(|pod| {
        pod["metadata"]["annotations"] = json!({"hook.backup.velero.io/command": "/freeze"});
    });
    let overridden = ask(&policy("a", "  onConflict: Override"), legacy)
        .answer()
        .pod;
    let only_restore = policy("a", restore);
    let hooks = only_restore.find("    pre:").unwrap()..only_restore.find("    restore:").unwrap();
    let mut only_restore = only_restore;
    only_restore.replace_range(hooks, "");
    let answer = ask(&only_restore, overridden).answer();
    assert_eq!(answer.annotation("pre.hook.backup.velero.io/command"), "");
    assert_eq!(
        answer.annotation("hook.backup.velero.io/command"),
        "/freeze"
    );
}

#[test]
fn a_policy_without_a_hook_of_backups_refuses_nobody() {
    let restore = "apiVersion: quiescent.dev/v1\nkind: HookPolicy\nmetadata: {name: a}\nspec:\n  match: {images: [postgres]}\n  hooks:\n    restore: {post: {command: [load], execTimeout: 1m, waitTimeout: 1m, onError: Continue}}\n  onConflict: Deny\n";
    let authored = with(|pod| {
        pod["metadata"]["annotations"] = json!({"pre.hook.backup.velero.io/command": "/freeze"});
    });
    let answer = ask(restore, authored).answer();
    assert_eq!(
        (answer.reason, answer.applied),
        (None, vec!["a".to_owned()])
    );
}

/// A pod whose data have to be in place before its server starts, and what Velero makes of it.
fn with_init() -> (String, Value) {
    let policies = policy(
        "a",
        "    restore: {init: {script: pre.sh, timeout: 1h}}\n  volumes: {dump: {mountPath: /dump, emptyDir: {}}}",
    );
    let pod = with(|pod| {
        let container = &mut pod["spec"]["containers"][0];
        container["env"] = json!([{"name": "PGDATA", "value": "/data/pg"}]);
        container["securityContext"] = json!({"runAsUser": 999});
        container["resources"] = json!({"limits": {"memory": "1Gi"}});
        container["imagePullPolicy"] = json!("IfNotPresent");
        container["volumeMounts"] =
            json!([{"name": "data", "mountPath": "/data", "subPath": "db"}]);
        pod["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
    });
    (policies, pod)
}

/// The pod as Velero restores it, and as the API server completes it before anybody is asked.
fn restored_with_init(pod: &Value) -> Value {
    let mut pod = pod.clone();
    let annotations = &pod["metadata"]["annotations"];
    let said = |key: &str| annotations[format!("init.hook.restore.velero.io/{key}")].as_str();
    let argv: Value = serde_json::from_str(said("command").unwrap()).unwrap();
    let made = json!([
        {"name": "restore-wait", "image": "velero"},
        {"name": "velero-restore-init-1a2b3c4d", "image": said("container-image"), "command": argv,
         "resources": {}, "imagePullPolicy": "Always",
         "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/token"}]},
        {"name": "authors", "image": "busybox"},
    ]);
    pod["metadata"]["labels"]["velero.io/restore-name"] = "nightly".into();
    pod["spec"]["initContainers"] = made;
    pod
}

#[test]
fn a_pod_asks_for_the_init_container_of_its_restore() {
    let (policies, pod) = with_init();
    let answer = ask(&policies, pod).answer();
    let key = "init.hook.restore.velero.io/container-image";
    assert_eq!(answer.annotation(key), "postgres:16");
    assert_eq!(
        answer.argv("init.hook.restore"),
        [
            "/usr/bin/env",
            "QUIESCENT_TIMEOUT=3595",
            "/bin/sh",
            "/quiescent/a/pre.sh"
        ]
    );
    assert!(answer.annotation("quiescent.dev/hooks").contains("init@"));
    assert_eq!(ask(&policies, answer.pod.clone()).answer().operations, 0);

    // Another image, another container; and none any more.
    let mut newer = answer.pod.clone();
    newer["spec"]["containers"][0]["image"] = "postgres:17".into();
    let newer = ask(&policies, newer).answer();
    assert_eq!(newer.annotation(key), "postgres:17");
    let without = ask(&policy("a", ""), newer.pod).answer();
    assert_eq!(without.annotation(key), "");
    assert_eq!(
        without.annotation("init.hook.restore.velero.io/command"),
        ""
    );
}

#[test]
fn velero_s_init_container_gets_what_the_server_s_container_has() {
    let (policies, pod) = with_init();
    let injected = ask(&policies, pod).answer().pod;
    let restored = restored_with_init(&injected);
    let answer = ask(&policies, restored.clone()).answer();
    let [wait, ours, authors] = answer.pod["spec"]["initContainers"]
        .as_array()
        .unwrap()
        .as_slice()
    else {
        panic!("no other was added: {:#}", answer.pod);
    };
    assert_eq!(*wait, restored["spec"]["initContainers"][0]);
    assert_eq!(*authors, restored["spec"]["initContainers"][2]);
    let container = &answer.pod["spec"]["containers"][0];
    for key in [
        "image",
        "env",
        "securityContext",
        "resources",
        "imagePullPolicy",
    ] {
        assert_eq!(ours[key], container[key], "{key}");
    }
    let mut mounts = container["volumeMounts"].as_array().unwrap().clone();
    assert_eq!(mounts.len(), 3);
    mounts.insert(
        0,
        json!({"name": "token", "mountPath": "/var/run/secrets/token"}),
    );
    assert_eq!(ours["volumeMounts"], Value::from(mounts));
    assert_eq!(ask(&policies, answer.pod.clone()).answer().operations, 0);

    // Of another version of the policy, or where no policy is left.
    for policies in [
        policies.replace("20s", "21s"),
        policy("a", "").replace("postgres", "mysql"),
    ] {
        let other = ask(&policies, restored.clone()).answer();
        assert_eq!(other.pod["spec"], answer.pod["spec"]);
    }
    // Outside of a restore nobody else's init container is touched.
    let mut no_restore = restored;
    no_restore["metadata"]["labels"] = json!({"app": "pg"});
    assert_eq!(ask(&policies, no_restore).answer().operations, 0);
}

#[test]
fn an_authors_init_container_of_a_restore_stays() {
    let (policies, pod) = with_init();
    let mut authored = pod;
    authored["metadata"]["annotations"] = json!({
        "init.hook.restore.velero.io/container-image": "tools",
        "init.hook.restore.velero.io/container-name": "mine",
        "init.hook.restore.velero.io/command": "/fill",
    });
    let kept = ask(&policies, authored.clone()).answer();
    assert_eq!(kept.applied, ["a"]);
    assert_eq!(kept.notes, [Reason::AuthorsHooks]);
    let key = "init.hook.restore.velero.io/command";
    assert_eq!(kept.annotation(key), "/fill");
    let restored = restored_with_init(&with(|pod| {
        pod["metadata"]["annotations"] = json!({
            "init.hook.restore.velero.io/container-image": "tools", key: "[\"/fill\"]",
        });
    }));
    let after = ask(&policies, restored.clone()).answer().pod;
    assert_eq!(
        after["spec"]["initContainers"],
        restored["spec"]["initContainers"]
    );

    let overridden = format!("{policies}  onConflict: Override\n");
    let answer = ask(&overridden, authored).answer();
    assert!(answer.annotation(key).contains("/quiescent/a/pre.sh"));
    assert_eq!(
        answer.annotation("init.hook.restore.velero.io/container-name"),
        ""
    );

    let two = ask(
        &(policies.clone()
            + &policies
                .replace("name: a", "name: b")
                .replace("pre-a", "pre-b")),
        with_init().1,
    )
    .answer();
    assert_eq!(two.applied, ["a", "b"]);
    assert_eq!(two.notes, [Reason::OneInit]);
}

/// A policy with a coordinator, and a pod with a password from a Secret and one that is written there.
fn with_coordinator() -> (String, Value) {
    let policy = "apiVersion: quiescent.dev/v1
kind: HookPolicy
metadata: {name: lock}
spec:
  match: {images: [db]}
  coordinator: {session: pre.sh, startTimeout: 1m, stopTimeout: 30s, limit: 10m, onError: Fail, env: [PASSWORD, USER, NONE]}
  hooks: {}
";
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "db-0", "namespace": "shop"},
        "spec": {"containers": [{
            "name": "db",
            "image": "db:1",
            "imagePullPolicy": "IfNotPresent",
            "securityContext": {"runAsUser": 999},
            "env": [
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                {"name": "USER", "value": "root"},
                {"name": "OTHER", "valueFrom": {"secretKeyRef": {"name": "db", "key": "other"}}},
            ],
        }]},
    });
    (policy.to_owned(), pod)
}

#[test]
fn a_coordinator_stands_beside_the_database_with_its_image_its_user_and_no_literal() {
    let (policy, pod) = with_coordinator();
    let question = ask(&policy, pod.clone());
    let answer = question.answer();
    assert_eq!(answer.applied, ["lock"]);
    assert_eq!(answer.notes, [Reason::LiteralValue]);
    let spec = &answer.pod["spec"];
    assert_eq!(
        spec["containers"][0]["env"],
        pod["spec"]["containers"][0]["env"]
    );
    let beside = &spec["containers"][1];
    assert_eq!(beside["name"], "quiescent-coordinator");
    assert_eq!(beside["image"], "db:1");
    assert_eq!(beside["imagePullPolicy"], "IfNotPresent");
    assert_eq!(beside["securityContext"], json!({"runAsUser": 999}));
    assert_eq!(
        beside["env"],
        json!([{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}])
    );
    let command = beside["command"].to_string();
    for word in [
        "serve",
        "--limit=10m",
        "--name=lock",
        "/quiescent/lock/pre.sh",
    ] {
        assert!(command.contains(word), "{word} is not in {command}");
    }
    let installer = &spec["initContainers"][0];
    assert_eq!(installer["image"], question.settings.image);
    assert_eq!(installer["securityContext"], json!({"runAsUser": 999}));
    for (phase, request) in [("pre", "start"), ("post", "stop")] {
        let prefix = format!("{phase}.hook.backup.velero.io");
        let container = answer.annotation(&format!("{prefix}/container"));
        assert_eq!(container, "quiescent-coordinator");
        assert_eq!(answer.argv(&format!("{phase}.hook.backup"))[5], request);
        assert_eq!(answer.annotation(&format!("{prefix}/on-error")), "Fail");
    }

    let again = Question {
        pod: answer.pod,
        ..question
    };
    assert_eq!(again.answer().operations, 0);
}

#[test]
fn a_coordinator_does_not_take_the_place_of_another_container() {
    let (policy, mut pod) = with_coordinator();
    let mine = json!({"name": "quiescent-coordinator", "image": "mine"});
    let containers = pod["spec"]["containers"].as_array_mut().unwrap();
    containers.push(mine);
    let answer = ask(&policy, pod.clone()).answer();
    assert_eq!(answer.passed, [("lock".to_owned(), Reason::ContainerTaken)]);
    assert_eq!(answer.operations, 0);

    let named = policy.replace("session:", "name: holder, session:");
    let answer = ask(&named, pod).answer();
    assert_eq!(answer.pod["spec"]["containers"][2]["name"], "holder");
}

#[test]
fn what_a_coordinator_has_in_a_pod_goes_with_its_policy() {
    use quiescent::uninject::uninject;
    let (policy, pod) = with_coordinator();
    let mut with_init = pod.clone();
    with_init["spec"]["initContainers"] = json!([{"name": "mine", "image": "tools"}]);
    for pod in [pod, with_init] {
        let question = ask(&policy, pod.clone());
        let mut changed = question.answer().pod;
        let text = changed.to_string();
        let view = PodView::parse(&text).unwrap();
        let facts = Facts {
            namespace: "shop",
            about_namespace: Namespace::Unknown,
            owner: None,
            settings: &question.settings,
        };
        let found = uninject(&question.policies, &changed, &view, facts);
        assert_eq!(found.withdrawal.kept, []);
        found.patch.apply(&mut changed, "").unwrap();
        assert_eq!(changed, pod);
    }
}
