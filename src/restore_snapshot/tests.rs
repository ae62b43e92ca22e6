use std::collections::BTreeMap;

use super::*;
use crate::velero::{copy::Copy, verification::VERIFICATION_LABEL};

fn snapshot_of(labels: &Value, reason: Option<&str>, ready: bool) -> Source {
    Source::read(&json!({
        "metadata": {
            "name": "data-pg-0-1", "labels": labels,
            "annotations": {labels::REASON: reason, labels::POLICY: "postgresql-snapshot@1"},
        },
        "spec": {"source": {"persistentVolumeClaimName": "data-pg-0"}},
        "status": {
            "boundVolumeSnapshotContentName": "content-1", "readyToUse": ready,
            "creationTime": "2026-01-31T02:00:00Z", "restoreSize": "10Gi",
            "error": {"message": "no room"},
        },
    }))
}

#[test]
fn a_snapshot_is_restored_when_it_is_worth_it() {
    let (good, bad) = (
        json!({labels::CONSISTENT: "true"}),
        json!({labels::CONSISTENT: "false"}),
    );
    let crash = Verdict::CrashConsistent.words();
    for (labels, reason, ready, refused, warned) in [
        (&good, None, true, None, None),
        (&bad, Some(crash), true, None, Some("after a power cut")),
        (&json!({}), None, true, None, Some("says nothing of itself")),
        (
            &bad,
            Some("post failed"),
            true,
            Some("is not consistent: post failed; --unusable-too"),
            Some("is not consistent: post failed"),
        ),
        (&good, None, false, Some("is not ready: no room"), None),
    ] {
        let source = snapshot_of(labels, reason, ready);
        match (source.warning(false), refused) {
            (Err(why), Some(refused)) => assert!(why.contains(refused), "{why}"),
            (Ok(said), None) => assert_eq!(said.is_some(), warned.is_some(), "{said:?}"),
            (said, refused) => panic!("{said:?} {refused:?}"),
        }
        if ready {
            let said = source.warning(true).unwrap();
            let said = said.as_deref().unwrap_or_default();
            assert!(said.contains(warned.unwrap_or_default()), "{said}");
        } else {
            assert!(source.warning(true).is_err());
        }
    }
}

#[test]
fn a_claim_is_as_its_original_and_never_too_small() {
    let source = snapshot_of(&json!({}), None, true);
    let original = |size: &str| {
        json!({"spec": {
            "storageClassName": "fast", "accessModes": ["ReadWriteMany"], "volumeMode": "Block",
            "resources": {"requests": {"storage": size}},
        }})
    };
    let none = Asked::default();
    let grown = Claim::of(&source, Some(&original("20Gi")), none).unwrap();
    assert_eq!(
        grown,
        Claim {
            class: Some("fast".to_owned()),
            size: "20Gi".to_owned(),
            modes: vec!["ReadWriteMany".to_owned()],
            mode: Some("Block".to_owned()),
        }
    );
    let shrunk = Claim::of(&source, Some(&original("5Gi")), none).unwrap();
    assert_eq!(shrunk.size, "10Gi");
    let alone = Claim::of(&source, None, none).unwrap();
    assert_eq!((alone.class.as_deref(), &*alone.size), (None, "10Gi"));
    assert_eq!(alone.modes, ["ReadWriteOnce"]);
    let modes = ["ReadOnlyMany".to_owned()];
    let asked = Asked {
        class: Some("slow"),
        size: Some("11Gi"),
        modes: &modes,
    };
    let asked = Claim::of(&source, Some(&original("20Gi")), asked).unwrap();
    assert_eq!(
        (asked.class.as_deref(), &*asked.size),
        (Some("slow"), "11Gi")
    );
    assert_eq!(asked.modes, modes);
    let less = Asked {
        size: Some("1Gi"),
        ..none
    };
    let why = Claim::of(&source, None, less).unwrap_err();
    assert!(why.contains("needs 10Gi, and 1Gi is less"), "{why}");
    let object = alone.object("shop", "again", "data-pg-0-1", "data-pg-0-1");
    assert_eq!(object["spec"].get("storageClassName"), None);
    assert_eq!(object["spec"]["dataSource"]["name"], "data-pg-0-1");
}

#[test]
fn a_claim_that_nobody_named_is_called_after_its_snapshot() {
    assert_eq!(name("data-pg-0-1"), "data-pg-0-1-restored");
    let long = name(&format!("{}-{}", "a".repeat(243), "b".repeat(9)));
    assert_eq!(long, format!("{}-restored", "a".repeat(243)));
    assert!(long.len() <= 253);
}

fn copy() -> Copy {
    Copy {
        id: "k7xqa".to_owned(),
        backup: "set-1".to_owned(),
        mapping: BTreeMap::from([("shop".to_owned(), "shop-verify-k7xqa".to_owned())]),
        until: Some("2026-11-22T04:00:00Z".to_owned()),
        timeout: "1h".parse().unwrap(),
        completed: Vec::new(),
    }
}

/// As the API server has one that has run for a while.
fn pod() -> Value {
    json!({
        "metadata": {
            "name": "pg-0", "namespace": "shop", "uid": "1", "labels": {"app": "pg"},
            "annotations": {"k8s.v1.cni.cncf.io/networks": "another"},
            "ownerReferences": [{"kind": "StatefulSet", "name": "pg"}],
        },
        "spec": {
            "nodeName": "node-1", "priority": 1000, "priorityClassName": "high", "hostname": "pg-0",
            "subdomain": "pg", "serviceAccountName": "pg", "serviceAccount": "pg",
            "securityContext": {"fsGroup": 999}, "terminationGracePeriodSeconds": 120,
            "imagePullSecrets": [{"name": "registry"}],
            "affinity": {"nodeAffinity": {"a": 1}, "podAntiAffinity": {"b": 1}},
            "initContainers": [
                {"name": "restore-wait", "image": "velero"},
                {"name": "settings", "envFrom": [{"configMapRef": {"name": "defaults"}}]},
            ],
            "containers": [{
                "name": "postgres", "image": "postgres:17", "command": ["run"],
                "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "pg", "key": "p"}}}],
                "livenessProbe": {}, "readinessProbe": {"exec": {}}, "startupProbe": {},
                "lifecycle": {"preStop": {}, "postStart": {}},
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    {"name": "kube-api-access-x", "mountPath": "/var/run/secrets"},
                ],
            }],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data-pg-0"}},
                {"name": "wal", "ephemeral": {"volumeClaimTemplate": {}}},
                {"name": "quiescent-dump", "ephemeral": {"volumeClaimTemplate": {}}},
                {"name": "settings", "configMap": {"name": "settings"}},
                {"name": "kube-api-access-x", "projected": {"sources": [
                    {"serviceAccountToken": {}}, {"configMap": {"name": "kube-root-ca.crt"}},
                ]}},
            ],
        },
        "status": {"phase": "Running"},
    })
}

#[test]
fn a_pod_beside_its_original_starts_as_it_and_meets_nobody() {
    let made = beside(&pod(), &copy(), "shop-verify-k7xqa").unwrap();
    let metadata = &made["metadata"];
    assert_eq!(metadata["namespace"], "shop-verify-k7xqa");
    assert_eq!(metadata["labels"]["app"], "pg");
    assert_eq!(metadata["labels"][VERIFICATION_LABEL], "k7xqa");
    assert!(metadata.get("ownerReferences").is_none() && metadata.get("uid").is_none());
    let annotations = metadata["annotations"].as_object().unwrap();
    assert!(!annotations.contains_key("k8s.v1.cni.cncf.io/networks"));
    assert_eq!(
        made["spec"],
        json!({
            "hostname": "pg-0", "subdomain": "pg", "serviceAccountName": "pg",
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "securityContext": {"fsGroup": 999},
            "imagePullSecrets": [{"name": "registry"}],
            "affinity": {"nodeAffinity": {"a": 1}},
            "initContainers": [
                {"name": "settings", "envFrom": [{"configMapRef": {"name": "defaults"}}]},
            ],
            "containers": [{
                "name": "postgres", "image": "postgres:17", "command": ["run"],
                "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "pg", "key": "p"}}}],
                "readinessProbe": {"exec": {}},
                "lifecycle": {"postStart": {}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data-pg-0"}},
                {"name": "wal", "persistentVolumeClaim": {"claimName": "pg-0-wal"}},
                {"name": "quiescent-dump", "ephemeral": {"volumeClaimTemplate": {}}},
                {"name": "settings", "configMap": {"name": "settings"}},
            ],
        })
    );
    let mut shared = pod();
    shared["spec"]["hostNetwork"] = true.into();
    let why = beside(&shared, &copy(), "x").unwrap_err();
    assert!(why.contains("hostNetwork"), "{why}");
}

#[test]
fn what_a_pod_names_is_there_too_and_gives_no_rights() {
    let set = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(
        needs(&pod()),
        Needs {
            secrets: set(&["pg", "registry"]),
            config_maps: set(&["defaults", "settings"]),
            account: Some("pg".to_owned()),
            service: Some("pg".to_owned()),
        }
    );
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"p": "eA=="},
        "metadata": {"name": "pg", "namespace": "shop", "uid": "1", "annotations": {"a": "b"}},
    });
    assert_eq!(
        copied(&secret, "there"),
        Some(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"p": "eA=="},
            "metadata": {"name": "pg", "namespace": "there"},
        }))
    );
    let token = json!({"type": "kubernetes.io/service-account-token"});
    assert_eq!(copied(&token, "there"), None);
    let service = named("pg", &copy(), "there");
    assert_eq!(
        service["spec"]["selector"],
        json!({VERIFICATION_LABEL: "k7xqa"})
    );
}

#[test]
fn each_claim_has_its_snapshot() {
    let source = |claim: &str| Source {
        name: format!("{claim}-1"),
        claim: Some(claim.to_owned()),
        ..Source::default()
    };
    let found = |sources: &[Source]| {
        let pairs = pairs(&pod(), sources)?;
        let pairs = pairs.into_iter();
        Ok::<_, String>(
            pairs
                .map(|(claim, it)| format!("{claim}<{}", it.name))
                .collect::<Vec<_>>(),
        )
    };
    let (data, wal, other) = (source("data-pg-0"), source("pg-0-wal"), source("data-pg-1"));
    let both = ["data-pg-0<data-pg-0-1", "pg-0-wal<pg-0-wal-1"];
    assert_eq!(found(&[wal.clone(), data.clone()]).unwrap(), both);
    let moved = found(&[wal.clone(), other.clone()]).unwrap();
    assert_eq!(moved, ["pg-0-wal<pg-0-wal-1", "data-pg-0<data-pg-1-1"]);
    let all = [other, wal, source("x")];
    for sources in [&[data][..], &all[..1], &all] {
        let why = found(sources).unwrap_err();
        assert!(why.contains("no snapshot for all of its claims"), "{why}");
    }
}

#[test]
fn the_content_beside_keeps_what_is_on_the_storage() {
    let original = json!({
        "metadata": {"name": "content-1"},
        "spec": {
            "deletionPolicy": "Delete", "driver": "csi.example.com", "sourceVolumeMode": "Filesystem",
            "volumeSnapshotClassName": "fast", "source": {"volumeHandle": "v-1"},
            "volumeSnapshotRef": {"namespace": "shop", "name": "data-pg-0-1", "uid": "1"},
        },
        "status": {"snapshotHandle": "s-1"},
    });
    let made = content(&original, &copy(), "c", ("there", "data-pg-0")).unwrap();
    assert_eq!(
        made["spec"],
        json!({
            "deletionPolicy": "Retain", "driver": "csi.example.com", "sourceVolumeMode": "Filesystem",
            "volumeSnapshotClassName": "fast", "source": {"snapshotHandle": "s-1"},
            "volumeSnapshotRef": {"namespace": "there", "name": "data-pg-0"},
        })
    );
    assert_eq!(made["metadata"]["labels"][VERIFICATION_LABEL], "k7xqa");
    let bound = snapshot(&made);
    assert_eq!(
        bound["metadata"],
        json!({"namespace": "there", "name": "data-pg-0"})
    );
    assert_eq!(bound["spec"]["source"]["volumeSnapshotContentName"], "c");
    assert!(content(&json!({}), &copy(), "c", ("there", "x")).is_err());
}
