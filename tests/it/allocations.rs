//! How often the engine asks for memory in one review, and how much: each time costs as much as reading
//! some hundred bytes of the body. And how much the controller keeps of a large cluster.

use std::hint::black_box;

use kube::runtime::watcher::Event;
use quiescent::{
    controller::{Kind, World},
    kubernetes::Heard,
    library,
    policy::PolicySet,
    policy_files::InForce,
    select::Settings,
};
use serde_json::{Value, json};

#[path = "../../benches/setting.rs"]
mod setting;

/// By body: when no policy matches, and when one does and the pod gets its hooks.
const MOST: [(&str, [u64; 2]); 3] = [("small", [4, 14]), ("typical", [5, 16]), ("big", [7, 33])];

#[test]
fn a_review_asks_for_memory_no_more_often_than_it_may() {
    let sets = [
        setting::strangers("label", 100),
        setting::with_library("label", 100),
    ];
    let found = MOST.map(|(body, _)| (body, sets.each_ref().map(|set| allocations(body, set))));
    println!("allocations of a review, passed and patched: {found:?}");
    for ((body, most), (_, found)) in MOST.into_iter().zip(found) {
        let within = most.iter().zip(found).all(|(most, found)| found <= *most);
        assert!(
            within,
            "{body}: {found:?}, and at most {most:?} are allowed"
        );
    }
}

/// Of a process that has reviewed before.
fn allocations(body: &str, policies: &PolicySet) -> u64 {
    let body = setting::body(body);
    let mut count = 0;
    for _ in 0..2 {
        let review = || drop(black_box(setting::review(body, policies)));
        count = allocation_counter::measure(review).count_total;
    }
    count
}

/// A list may have many short items, and a pod many lists.
#[test]
fn what_containers_without_hooks_mount_is_not_kept() {
    let mut pod: serde_json::Value = serde_json::from_slice(setting::body("small")).unwrap();
    let containers = pod["request"]["object"]["spec"]["containers"].as_array_mut();
    let mount = serde_json::json!({});
    let other = serde_json::json!({ "name": "other", "volumeMounts": vec![mount; 9_999] });
    containers.unwrap().extend(vec![other; 250]);
    let body = pod.to_string().into_bytes();
    assert!(body.len() < 8 << 20);

    let policies = setting::with_library("label", 1);
    let review = || drop(black_box(setting::review(&body, &policies)));
    let most = allocation_counter::measure(review).bytes_max;
    assert!(most < 4 << 20, "{most} bytes");
}

/// A fifth of them databases, none of which has a hook that works; the others anything.
#[test]
fn of_2_000_pods_little_is_kept() {
    let (policies, _) = PolicySet::new(library::defaults());
    let world = World::new(InForce::new(policies), Settings::default());
    for number in 0..100 {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("namespace-{number}")}});
        let namespace = serde_json::from_value(namespace).unwrap();
        world.hear_namespace(Heard::Event(Event::Apply(namespace)));
    }
    let pods = || (0..2_000).map(pod);
    let heard = |pod: &Value| {
        let pod = serde_json::from_value(pod.clone()).unwrap();
        world.hear_workload(Kind::Pods, Heard::Event(Event::Apply(pod)));
    };
    let kept = allocation_counter::measure(|| pods().for_each(|pod| heard(&pod))).bytes_current;
    println!("of 2,000 pods {kept} bytes are kept");
    assert_eq!(world.seen().workloads, 400);
    assert_eq!(world.missed().len(), 400);
    assert!(kept < 2 << 20, "{kept} bytes");
}

fn pod(number: usize) -> Value {
    let database = number.is_multiple_of(5);
    let hook = r#"["/usr/bin/env","QUIESCENT_TIMEOUT=595","QUIESCENT_LOCK_WAIT=1m","/bin/sh","/quiescent/postgresql-dump/pre.sh"]"#;
    let hooks = json!({
        "pre.hook.backup.velero.io/command": hook,
        "post.hook.backup.velero.io/command": hook,
        "post.hook.restore.velero.io/command": hook,
    });
    let variables: Vec<Value> = (0..40)
        .map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "x".repeat(40)}))
        .collect();
    json!({
        "metadata": {
            "name": format!("pod-{number}"), "namespace": format!("namespace-{}", number / 20),
            "labels": {"app.kubernetes.io/name": "pod", "controller-revision-hash": "pod-6f7d9c5b8"},
            "uid": format!("7f2b3c1e-5a64-4d0f-9f43-{number:012}"), "resourceVersion": format!("{number}"),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": if number.is_multiple_of(10) { hooks } else { json!({}) },
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:metadata": {}}}],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "pod", "uid": "7f2b3c1e-5a64-4d0f-9f43-0c5c3f6a1d11", "controller": true}],
        },
        "spec": {
            "containers": [{
                "name": "main", "env": variables,
                "image": if database { "docker.io/library/postgres:17" } else { "registry.example.com/shop/web:1.2.3" },
                "volumeMounts": [{"name": "data", "mountPath": "/var/lib/data"}],
            }],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}
