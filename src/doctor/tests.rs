//! An installation as it is shipped, in which nothing is wrong; then each fault, one by one.
use std::{collections::BTreeSet, fs, path::Path};

use serde_json::json;

use super::*;
use crate::yaml;

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 24 * 60 * 60;

/// The objects of a file of `deploy`.
fn shipped(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(file);
    let text = fs::read_to_string(path).unwrap();
    let documents = yaml::parse(&text).unwrap();
    let roots = documents.iter().filter_map(|it| it.root.as_ref());
    roots.map(yaml::Node::to_json).collect()
}

fn of_kind(file: &str, kind: &str) -> Vec<Value> {
    let all = shipped(file).into_iter();
    all.filter(|it| it["kind"] == kind).collect()
}

fn object(text: &str) -> Value {
    let documents = yaml::parse(text).unwrap();
    documents[0].root.as_ref().unwrap().to_json()
}

fn labels(name: &str, more: &[(&str, &str)]) -> (String, Labels) {
    let own = [("kubernetes.io/metadata.name", name)];
    let pairs = own.iter().chain(more);
    let labels = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    (name.to_owned(), labels.collect())
}

fn shown() -> Shown {
    let mutating = of_kind("base/webhook.yaml", "MutatingWebhookConfiguration");
    let entries = mutating[0]["webhooks"].as_array().unwrap().iter();
    Shown {
        source: Source::Replica("quiescent-a".to_owned()),
        from: NOW - 10 * DAY,
        until: NOW + 80 * DAY,
        names: vec!["quiescent.quiescent.svc".to_owned()],
        trust: entries
            .map(|it| (it["name"].as_str().unwrap().to_owned(), Trust::Trusted))
            .collect(),
    }
}

fn ready_deployment(file: &str) -> Value {
    let mut deployment = of_kind(file, "Deployment").remove(0);
    deployment["status"] = json!({"readyReplicas": 2});
    deployment
}

/// All is as `deploy` has it, and Velero as `velero install --use-node-agent` makes it.
fn healthy() -> Observed {
    let endpoint = |pod: &str| Endpoint {
        address: "10.0.0.1".to_owned(),
        port: 8443,
        pod: Some(pod.to_owned()),
        ready: true,
    };
    let endpoints = Endpoints(vec![endpoint("quiescent-a"), endpoint("quiescent-b")]);
    let deployments = Seen::Known(vec![
        ready_deployment("base/server.yaml"),
        ready_deployment("base/controller.yaml"),
    ]);
    let given = rights::needed(&deployments).flat_map(|right| {
        let verbs = right.verbs.iter();
        verbs.map(move |verb| (right, *verb, true))
    });
    let given = given.collect();
    let velero = object(
        "{metadata: {name: velero}, status: {readyReplicas: 1}, spec: {template: {spec: {containers: [
            {name: velero, image: 'velero/velero:v1.18.3', command: [/velero], args: [server, --uploader-type=kopia]}]}}}}",
    );
    Observed {
        names: Names {
            own_namespace: "quiescent".to_owned(),
            velero_namespace: "velero".to_owned(),
            webhook: "quiescent".to_owned(),
            service: "quiescent".to_owned(),
            secret: "quiescent-tls".to_owned(),
        },
        now: NOW,
        ahead: Some(1),
        mutating: Seen::Known(of_kind("base/webhook.yaml", "MutatingWebhookConfiguration")),
        validating: Seen::Known(of_kind(
            "components/guard/webhook.yaml",
            "ValidatingWebhookConfiguration",
        )),
        namespaces: Seen::Known(
            [
                labels("default", &[]),
                labels("quiescent", &[]),
                labels(
                    "shop",
                    &[
                        ("quiescent.dev/inject", "enabled"),
                        ("quiescent.dev/enforce", "true"),
                        ("quiescent.dev/guard", "warn"),
                    ],
                ),
            ]
            .into(),
        ),
        services: [(
            ("quiescent".to_owned(), "quiescent".to_owned()),
            Seen::Known(endpoints),
        )]
        .into(),
        deployments,
        pods: Seen::Known(Vec::new()),
        secret: Seen::Known(Labels::new()),
        shown: vec![shown()],
        trial: Seen::Known(Trial {
            namespace: "shop".to_owned(),
            outcome: Outcome::Hooked,
            milliseconds: 8,
            meanwhile: None,
        }),
        calls: Seen::Known(Calls {
            requests: [("namespaces.quiescent.dev".to_owned(), 12)].into(),
            since: Some(NOW - 3 * DAY),
            ..Calls::default()
        }),
        rights: Seen::Known(given),
        lease: Seen::Known(Lease {
            holder: "quiescent-controller-a".to_owned(),
            age: Some(2),
            seconds: 15,
        }),
        missing_scripts: Seen::Known(BTreeSet::new()),
        velero: Seen::Known(vec![velero]),
        node_agents: Seen::Known(vec![object(
            "{metadata: {name: node-agent}, status: {desiredNumberScheduled: 3, numberReady: 3}}",
        )]),
        storage: Seen::Known(vec![object(
            "{metadata: {name: default}, status: {phase: Available}}",
        )]),
        schedules: Seen::Known(vec![object(
            "{metadata: {name: nightly}, status: {phase: Enabled}, spec: {schedule: '0 1 * * *', template: {}}}",
        )]),
        backups: Seen::Known(vec![
            backup("nightly-1", "2026-11-20T01:00:00Z", "PartiallyFailed", 1),
            backup("nightly-2", "2026-11-21T01:00:00Z", "Completed", 0),
            backup("nightly-3", "2026-11-22T01:00:00Z", "InProgress", 0),
        ]),
        volume_policies: BTreeMap::new(),
    }
}

fn backup(name: &str, began: &str, phase: &str, failed: u64) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"velero.io/schedule-name": "nightly"}},
        "status": {
            "phase": phase, "startTimestamp": began,
            "hookStatus": {"hooksAttempted": 2, "hooksFailed": failed},
        },
    })
}

fn known<T>(seen: &mut Seen<T>) -> &mut T {
    match seen {
        Seen::Known(it) => it,
        _ => panic!("the healthy installation is known"),
    }
}

fn entry(observed: &mut Observed, at: usize) -> &mut Value {
    &mut known(&mut observed.mutating)[0]["webhooks"][at]
}

/// What the namespaces of the first entry are selected by.
fn expressions(observed: &mut Observed, at: usize) -> &mut Vec<Value> {
    let selector = &mut entry(observed, at)["namespaceSelector"];
    selector["matchExpressions"].as_array_mut().unwrap()
}

fn server(observed: &mut Observed) -> &mut Value {
    &mut known(&mut observed.velero)[0]
}

fn argument(workload: &mut Value, argument: &str) {
    let arguments = &mut workload["spec"]["template"]["spec"]["containers"][0]["args"];
    arguments.as_array_mut().unwrap().push(argument.into());
}

fn distrusted(observed: &mut Observed, trust: Trust) {
    observed.shown[0]
        .trust
        .insert("pods.quiescent.dev".to_owned(), trust);
}

fn namespace(observed: &mut Observed, pairs: &[(&str, &str)]) {
    known(&mut observed.namespaces).extend([labels("other", pairs)]);
}

fn our_endpoints(observed: &mut Observed) -> &mut Vec<Endpoint> {
    let seen = observed.services.values_mut().next().unwrap();
    &mut known(seen).0
}

fn volume_policy(observed: &mut Observed, seen: Seen<Value>) {
    known(&mut observed.schedules)[0]["spec"]["template"]["resourcePolicy"] =
        json!({"kind": "configmap", "name": "skip"});
    observed.volume_policies.insert("skip".to_owned(), seen);
}

fn anothers(observed: &mut Observed, service: &Value) {
    known(&mut observed.mutating).push(json!({
        "metadata": {"name": "another"},
        "webhooks": [{
            "name": "pods.another.example",
            "failurePolicy": "Fail",
            "clientConfig": {"service": service},
            "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["pods"], "operations": ["*"]}],
        }],
    }));
}

type Fault = (Finding, fn(&mut Observed), &'static str);

/// Each with a part of what is said of it.
const FAULTS: &[Fault] = &[
    (
        Finding::NotRegistered,
        |it| {
            known(&mut it.mutating).clear();
            it.shown[0].trust.clear();
            known(&mut it.namespaces).remove("shop");
            namespace(it, &[("quiescent.dev/inject", "enabled")]);
        },
        "no MutatingWebhookConfiguration quiescent",
    ),
    (
        Finding::NoPods,
        |it| {
            for at in 0..3 {
                entry(it, at)["rules"][0]["resources"] = json!(["deployments"]);
            }
            known(&mut it.namespaces).remove("shop");
            namespace(it, &[("quiescent.dev/inject", "enabled")]);
        },
        "no entry has a rule for pods",
    ),
    (
        Finding::ElsewhereCalled,
        |it| entry(it, 0)["clientConfig"]["service"]["namespace"] = "backup".into(),
        "the Service backup/quiescent, not",
    ),
    (
        Finding::WaitsForItself,
        |it| {
            expressions(it, 2).pop();
        },
        "enforce.quiescent.dev (Fail) does not leave out the namespaces quiescent, kube-system, velero",
    ),
    (
        Finding::CoversTooMuch,
        |it| {
            expressions(it, 0)[2]["values"] = json!(["velero", "quiescent"]);
        },
        "(Ignore) does not leave out the namespace kube-system",
    ),
    (
        Finding::FailsUnasked,
        |it| entry(it, 1)["failurePolicy"] = "Fail".into(),
        "pods.quiescent.dev refuses pods",
    ),
    (
        Finding::EnforceIgnored,
        |it| entry(it, 2)["failurePolicy"] = "Ignore".into(),
        "no entry refuses pods of shop",
    ),
    (
        Finding::EntryUnusual,
        |it| {
            entry(it, 0)["timeoutSeconds"] = 30.into();
            entry(it, 0)["reinvocationPolicy"] = "Never".into();
        },
        "reinvocationPolicy Never instead of IfNeeded, timeoutSeconds 30",
    ),
    (
        Finding::RegisteredTwice,
        |it| {
            let mut twin = known(&mut it.mutating)[0].clone();
            twin["metadata"]["name"] = "quiescent-old".into();
            known(&mut it.mutating).push(twin);
        },
        "quiescent-old calls the same Service",
    ),
    (
        Finding::GuardUnusual,
        |it| known(&mut it.validating).clear(),
        "shop says quiescent.dev/guard=warn",
    ),
    (
        Finding::BlockedByAnother,
        |it| {
            anothers(it, &json!({"namespace": "another", "name": "gone"}));
            it.services
                .insert(("another".to_owned(), "gone".to_owned()), Seen::Absent);
        },
        "pods.another.example of another (Fail) covers the namespace quiescent",
    ),
    (
        Finding::BundleAbsent,
        |it| distrusted(it, Trust::NoBundle),
        "pods.quiescent.dev: no caBundle",
    ),
    (
        Finding::BundleUnreadable,
        |it| distrusted(it, Trust::UnreadableBundle),
        "no certificate that can be read",
    ),
    (
        Finding::NotTrusted,
        |it| distrusted(it, Trust::NotTrusted),
        "does not trust the certificate of quiescent-a",
    ),
    (
        Finding::WrongName,
        |it| {
            distrusted(it, Trust::WrongName);
            it.shown[0].names = vec!["localhost".to_owned()];
        },
        "is for localhost, not for quiescent.quiescent.svc",
    ),
    (
        Finding::CertificateEnded,
        |it| it.shown[0].until = NOW - DAY,
        "ended 24 h ago",
    ),
    (
        Finding::CertificateEnds,
        |it| it.shown[0].until = NOW + 2 * DAY,
        "ends in 2 d",
    ),
    (
        Finding::NobodyFollows,
        |it| {
            known(&mut it.secret).insert(
                "cert-manager.io/certificate-name".to_owned(),
                "quiescent".to_owned(),
            );
            known(&mut it.mutating)[0]["metadata"]["annotations"] = json!({});
        },
        "nobody writes its authority",
    ),
    (
        Finding::ServiceAbsent,
        |it| {
            *it.services.values_mut().next().unwrap() = Seen::Absent;
        },
        "no Service quiescent/quiescent",
    ),
    (
        Finding::NobodyAnswers,
        |it| our_endpoints(it).iter_mut().for_each(|it| it.ready = false),
        "none of 2 replicas is ready",
    ),
    (
        Finding::ReplicasUnready,
        |it| our_endpoints(it)[1].ready = false,
        "1 of 2 replicas are ready",
    ),
    (
        Finding::OneReplica,
        |it| {
            our_endpoints(it).pop();
        },
        "1 replica is ready",
    ),
    (
        Finding::Restarts,
        |it| {
            known(&mut it.pods).push(object(
        "{metadata: {name: quiescent-a}, status: {containerStatuses: [{restartCount: 7, lastState: {terminated: {reason: OOMKilled}}}]}}",
    ));
        },
        "quiescent/quiescent-a restarted 7 times, last: OOMKilled",
    ),
    (
        Finding::VersionsDiffer,
        |it| {
            known(&mut it.deployments)[1]["spec"]["template"]["spec"]["containers"][0]["image"] =
                "quiescent:0.0.9".into();
        },
        "quiescent:0.0.9, quiescent:0.1.0",
    ),
    (
        Finding::CallFailed,
        |it| {
            known(&mut it.trial).outcome = Outcome::Refused(
        "Internal error occurred: failed calling webhook \"enforce.quiescent.dev\": failed to call webhook: context deadline exceeded".to_owned(),
    );
        },
        "context deadline exceeded",
    ),
    (
        Finding::NoHooks,
        |it| known(&mut it.trial).outcome = Outcome::Unhooked,
        "comes back without hooks",
    ),
    (
        Finding::AnsweredWithout,
        |it| {
            known(&mut it.trial).outcome = Outcome::Unhooked;
            known(&mut it.trial).meanwhile = Some(calls::Meanwhile {
                requests: 1,
                failed_open: 0,
            });
        },
        "although the webhook answered",
    ),
    (
        Finding::FailedOpen,
        |it| {
            known(&mut it.calls)
                .failed_open
                .insert("pods.quiescent.dev".to_owned(), 3);
        },
        "3 of pods.quiescent.dev failed open: pods started without hooks in the 3 d",
    ),
    (
        Finding::CallsRefused,
        |it| {
            known(&mut it.calls)
                .refused
                .insert("enforce.quiescent.dev".to_owned(), 2);
        },
        "2 of enforce.quiescent.dev failed, and their pods were refused",
    ),
    (
        Finding::RightMissing,
        |it| {
            let rights = known(&mut it.rights);
            rights
                .iter_mut()
                .filter(|(right, _, _)| right.resource == "pods" && right.needed == Needed::Always)
                .for_each(|it| it.2 = false);
        },
        "quiescent/quiescent-controller may not list, watch pods",
    ),
    (
        Finding::NoneEnabled,
        |it| {
            known(&mut it.namespaces).remove("shop");
        },
        "no namespace is switched on",
    ),
    (
        Finding::LabelUnknown,
        |it| namespace(it, &[("quiescent.dev/inject", "true")]),
        "other says quiescent.dev/inject=true, which means nothing",
    ),
    (
        Finding::EnforceAlone,
        |it| namespace(it, &[("quiescent.dev/enforce", "true")]),
        "other says quiescent.dev/enforce=true and not",
    ),
    (
        Finding::NoController,
        |it| {
            known(&mut it.deployments).pop();
        },
        "there is no controller",
    ),
    (
        Finding::ControllerDown,
        |it| known(&mut it.deployments)[1]["status"] = json!({}),
        "no replica of quiescent/quiescent-controller",
    ),
    (
        Finding::Leaderless,
        |it| known(&mut it.lease).age = Some(100),
        "has not renewed the controller's lease for 100 s",
    ),
    (
        Finding::ScriptsMissing,
        |it| {
            known(&mut it.missing_scripts)
                .insert(("shop".to_owned(), "quiescent-postgresql-dump-1".to_owned()));
        },
        "no ConfigMap shop/quiescent-postgresql-dump-1",
    ),
    (
        Finding::NoVelero,
        |it| {
            known(&mut it.velero).clear();
            known(&mut it.schedules).clear();
        },
        "there is no Velero in velero",
    ),
    (
        Finding::VeleroDown,
        |it| server(it)["status"] = json!({}),
        "velero/velero has no ready replica",
    ),
    (
        Finding::PostBeforeUpload,
        |it| {
            server(it)["spec"]["template"]["spec"]["containers"][0]["image"] =
                "velero/velero:v1.15.0".into();
        },
        "1.15.0 runs post hooks before",
    ),
    (
        Finding::CopiesByDefault,
        |it| argument(server(it), "--default-volumes-to-fs-backup"),
        "copied live in nightly",
    ),
    (
        Finding::ShortUploads,
        |it| argument(server(it), "--fs-backup-timeout=30m"),
        "fs-backup-timeout=30m",
    ),
    (
        Finding::NoNodeAgent,
        |it| known(&mut it.node_agents).clear(),
        "no node-agent",
    ),
    (
        Finding::NodeAgentUnready,
        |it| known(&mut it.node_agents)[0]["status"]["numberReady"] = 2.into(),
        "ready on 2 of 3 nodes",
    ),
    (
        Finding::StorageUnavailable,
        |it| known(&mut it.storage)[0]["status"]["phase"] = "Unavailable".into(),
        "default cannot be reached",
    ),
    (
        Finding::DumpDropped,
        |it| {
            volume_policy(
                it,
                Seen::Known(json!({"data": {
                    "policy.yaml": "version: v1\nvolumePolicies: [{conditions: {volumeTypes: [emptyDir]}, action: {type: skip}}]\n",
                }})),
            );
        },
        "velero/skip (skip of emptyDir) drops quiescent-dump in nightly",
    ),
    (
        Finding::VolumePolicyUnreadable,
        |it| volume_policy(it, Seen::Absent),
        "nightly names the volume policy velero/skip",
    ),
    (
        Finding::NoSchedule,
        |it| known(&mut it.schedules).clear(),
        "nobody starts a backup",
    ),
    (
        Finding::SchedulePaused,
        |it| known(&mut it.schedules)[0]["spec"]["paused"] = true.into(),
        "nightly paused",
    ),
    (
        Finding::ScheduleInvalid,
        |it| {
            known(&mut it.schedules)[0]["status"] =
                json!({"phase": "FailedValidation", "validationErrors": ["bad cron"]});
        },
        "does not take nightly: bad cron",
    ),
    (
        Finding::BackupFailed,
        |it| known(&mut it.backups)[1]["status"]["phase"] = "Failed".into(),
        "nightly-2, the last backup of nightly, is Failed",
    ),
    (
        Finding::HooksFailed,
        |it| known(&mut it.backups)[1]["status"]["hookStatus"]["hooksFailed"] = 1.into(),
        "1 of 2 hooks failed in nightly-2",
    ),
    (
        Finding::ClockSkew,
        |it| it.ahead = Some(-300),
        "ours is 300 s behind",
    ),
];

#[test]
fn nothing_is_wrong_as_it_is_shipped() {
    for told in examine(&healthy()) {
        assert_eq!(told.found, Found::Fine, "{told:?}");
    }
}

#[test]
fn each_fault_is_found_and_nothing_else() {
    for (finding, fault, part) in FAULTS {
        let mut observed = healthy();
        fault(&mut observed);
        let told = examine(&observed);
        let found = told.iter().filter(|it| it.found != Found::Fine);
        let found: Vec<&Told> = found.collect();
        let [only] = found.as_slice() else {
            panic!("{finding:?}: {found:#?}");
        };
        assert_eq!(only.found, Found::Finding(*finding), "{only:?}");
        assert!(only.says.contains(part), "{only:?}");
        assert!(only.step.is_some(), "{only:?}");
    }
}

#[test]
fn every_finding_has_its_fault() {
    let tried: BTreeSet<Finding> = FAULTS.iter().map(|(finding, _, _)| *finding).collect();
    let all: BTreeSet<Finding> = Finding::ALL.iter().copied().collect();
    assert_eq!(tried, all);
    let codes: BTreeSet<&str> = all.iter().map(|it| it.as_str()).collect();
    assert_eq!(codes.len(), all.len());
}

/// An account without any right.
#[test]
fn what_may_not_be_seen_is_unknown() {
    let Observed {
        names, now, ahead, ..
    } = healthy();
    let key = (names.own_namespace.clone(), names.service.clone());
    let observed = Observed {
        names,
        now,
        ahead,
        mutating: Seen::Forbidden,
        validating: Seen::Forbidden,
        namespaces: Seen::Forbidden,
        services: [(key, Seen::Forbidden)].into(),
        deployments: Seen::Forbidden,
        pods: Seen::Forbidden,
        secret: Seen::Forbidden,
        shown: Vec::new(),
        trial: Seen::Absent,
        calls: Seen::Forbidden,
        rights: Seen::Forbidden,
        lease: Seen::Forbidden,
        missing_scripts: Seen::Forbidden,
        velero: Seen::Forbidden,
        node_agents: Seen::Forbidden,
        storage: Seen::Forbidden,
        schedules: Seen::Forbidden,
        backups: Seen::Forbidden,
        volume_policies: BTreeMap::new(),
    };
    let told = examine(&observed);
    assert!(told.len() > 9);
    for told in told {
        assert_eq!(told.found, Found::Unknown, "{told:?}");
    }
}

#[test]
fn where_the_whole_cluster_is_meant_no_namespace_has_to_say_so() {
    let mut observed = healthy();
    entry(&mut observed, 0)["namespaceSelector"]["matchExpressions"][0] =
        json!({"key": "quiescent.dev/inject", "operator": "NotIn", "values": ["disabled"]});
    known(&mut observed.mutating)[0]["webhooks"]
        .as_array_mut()
        .unwrap()
        .remove(1);
    known(&mut observed.namespaces).remove("shop");
    let told = examine(&observed);
    assert!(told.iter().all(|it| it.found == Found::Fine), "{told:#?}");
    assert!(told[0].says.contains("the whole cluster"), "{told:#?}");
}

#[test]
fn a_schedule_of_its_own_mind_overrules_the_servers_flag() {
    let mut observed = healthy();
    argument(server(&mut observed), "--default-volumes-to-fs-backup=true");
    known(&mut observed.schedules)[0]["spec"]["template"]["defaultVolumesToFsBackup"] =
        false.into();
    assert!(examine(&observed).iter().all(|it| it.found == Found::Fine));
}

#[test]
fn counts_of_an_api_server_are_read_by_entry() {
    let metrics = "# HELP apiserver_admission_webhook_fail_open_count x\n\
        apiserver_admission_webhook_fail_open_count{name=\"a\",type=\"admit\"} 2\n\
        apiserver_admission_webhook_fail_open_count{name=\"b\",type=\"admit\"} 9\n\
        apiserver_admission_webhook_rejection_count{error_type=\"calling_webhook_error\",name=\"a\",operation=\"CREATE\",rejection_code=\"0\",type=\"admit\"} 1\n\
        apiserver_admission_webhook_rejection_count{error_type=\"no_error\",name=\"a\",operation=\"CREATE\",rejection_code=\"403\",type=\"admit\"} 5\n\
        apiserver_admission_webhook_request_total{code=\"200\",name=\"a\",operation=\"CREATE\",rejected=\"false\",type=\"admit\"} 1.5e+06\n\
        apiserver_admission_webhook_request_total{code=\"600\",name=\"a\",operation=\"CREATE\",rejected=\"false\",type=\"admit\"} 2\n\
        process_start_time_seconds 1.79999e+09\n";
    let calls = Calls::of(metrics, |entry| entry == "a");
    let a = |count: u64| [("a".to_owned(), count)].into();
    assert_eq!(
        calls,
        Calls {
            requests: a(1_500_002),
            failed_open: a(2),
            refused: a(1),
            since: Some(1_799_990_000),
        }
    );
}

/// Rules of the roles that are bound to an account, by where they are bound.
#[test]
fn the_list_of_rights_is_that_of_deploy() {
    let mut given = BTreeSet::new();
    for file in [
        "base/rbac.yaml",
        "components/self-issued/certificate.yaml",
        "components/heal/rbac.yaml",
        "components/watch-backups/rbac.yaml",
    ] {
        let objects = shipped(file);
        let bindings = objects.iter().filter(|it| {
            it["kind"]
                .as_str()
                .is_some_and(|it| it.ends_with("Binding"))
        });
        for binding in bindings {
            let of_cluster = binding["kind"] == "ClusterRoleBinding";
            let role = objects.iter().find(|it| {
                it["kind"] == binding["roleRef"]["kind"]
                    && it["metadata"]["name"] == binding["roleRef"]["name"]
            });
            let account = binding["subjects"][0]["name"].as_str().unwrap();
            for rule in role.unwrap()["rules"].as_array().unwrap() {
                let texts = |field: &str| -> Vec<String> {
                    let all = object::texts(&rule[field]);
                    all.map(str::to_owned).collect()
                };
                let names = texts("resourceNames");
                for resource in texts("resources") {
                    for verb in texts("verbs") {
                        let name = names.first().cloned();
                        let place = match &binding["metadata"]["namespace"] {
                            _ if of_cluster => "cluster",
                            namespace if *namespace == "velero" => "velero",
                            _ => "ours",
                        };
                        let group = texts("apiGroups").remove(0);
                        given.insert((
                            account.to_owned(),
                            place,
                            group,
                            resource.clone(),
                            name,
                            verb,
                        ));
                    }
                }
            }
        }
    }
    let mut listed = BTreeSet::new();
    for right in RIGHTS {
        for verb in right.verbs {
            let fresh = listed.insert((
                right.account.name().to_owned(),
                match right.place {
                    Place::Cluster => "cluster",
                    Place::VeleroNamespace => "velero",
                    Place::OurNamespace => "ours",
                },
                right.group.to_owned(),
                right.resource.to_owned(),
                right.name.map(str::to_owned),
                (*verb).to_owned(),
            ));
            assert!(fresh, "{right:?} is there twice");
        }
    }
    assert_eq!(listed, given);
}

#[test]
fn settings_are_flags_or_variables() {
    let deployments = Seen::Known(of_kind("base/controller.yaml", "Deployment"));
    assert_eq!(
        replicas::own_setting(&deployments, "controller", "certificates"),
        Some("off")
    );
    assert_eq!(
        replicas::own_setting(&deployments, "controller", "admin"),
        Some("0.0.0.0:9090")
    );
    assert_eq!(
        replicas::own_setting(&deployments, "controller", "policies"),
        None
    );
}

#[test]
fn flags_are_read_as_they_are_written() {
    let workload =
        |args: &[&str]| json!({"spec": {"template": {"spec": {"containers": [{"args": args}]}}}});
    for (args, value) in [
        (&["server", "--x=1"][..], Some("1")),
        (&["--x", "2", "--y"], Some("2")),
        (&["--x", "--y"], Some("true")),
        (&["--x"], Some("true")),
        (&["--x=1", "--x=3"], Some("3")),
        (&["--xy=1"], None),
        (&[], None),
    ] {
        assert_eq!(object::flag(&workload(args), "x"), value, "{args:?}");
    }
}
