//! A pod on restored claims beside its original: in a namespace of its own, with what it needs from the
//! original's, and with nothing by which the two could meet.
//!
//! A claim is filled from a snapshot of its own namespace alone. So the namespace gets a VolumeSnapshot that is
//! bound to a content made by hand, with the handle of the original on the storage; its policy is Retain,
//! so that nothing of the original goes with it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Source;
use crate::{
    csi,
    snapshot::claims,
    velero::{RESTORE_WAIT, copy::Copy, verification::VERIFICATION_LABEL},
    verify::{labels, meets},
};

/// What every namespace has by itself.
const ROOT_CA: &str = "kube-root-ca.crt";

/// What the API server adds to pods that may ask it something.
const TOKEN: &str = "kube-api-access-";

/// What has to be there before a pod starts, by names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub secrets: BTreeSet<String>,
    pub config_maps: BTreeSet<String>,
    pub account: Option<String>,
    /// The Service under whose name the pod knows itself.
    pub service: Option<String>,
}

/// Which snapshot each claim of a pod is filled from: that of the claim, or the one that is left over where
/// one claim is.
///
/// # Errors
/// Which claim there is no snapshot for.
pub fn pairs<'s>(pod: &Value, sources: &'s [Source]) -> Result<Vec<(String, &'s Source)>, String> {
    let claims: BTreeSet<String> = claims(pod).into_iter().map(|(claim, _)| claim).collect();
    let of = |claim: &String| sources.iter().find(|it| it.claim.as_ref() == Some(claim));
    let (known, left): (Vec<String>, Vec<String>) = claims
        .iter()
        .cloned()
        .partition(|claim| of(claim).is_some());
    let mut others = sources.iter().filter(|it| {
        !it.claim
            .as_ref()
            .is_some_and(|claim| claims.contains(claim))
    });
    let mut pairs: Vec<(String, &Source)> = known
        .into_iter()
        .filter_map(|claim| of(&claim).map(|source| (claim, source)))
        .collect();
    match (&left[..], others.next()) {
        ([], _) => {}
        ([claim], Some(source)) if others.next().is_none() => pairs.push((claim.clone(), source)),
        (left, _) => {
            return Err(format!(
                "there is no snapshot for all of its claims: {}",
                left.join(", ")
            ));
        }
    }
    Ok(pairs)
}

/// The pod that starts on claims of the same names in another namespace.
///
/// # Errors
/// Why it cannot be there twice.
pub fn beside(original: &Value, copy: &Copy, namespace: &str) -> Result<Value, String> {
    if let Some(why) = meets(original) {
        return Err(why);
    }
    let name = original["metadata"]["name"].as_str().unwrap_or_default();
    let restored = claims(original);
    let mut metadata = copy.metadata(name);
    metadata["namespace"] = namespace.into();
    for (key, value) in labels(original) {
        metadata["labels"][key] = value.into();
    }
    let mut spec = original["spec"].as_object().cloned().unwrap_or_default();
    // Where it ran, whom it may push away, how long it may live.
    for key in [
        "nodeName",
        "priority",
        "priorityClassName",
        "preemptionPolicy",
        "serviceAccount",
        "ephemeralContainers",
        "schedulingGates",
        "topologySpreadConstraints",
        "activeDeadlineSeconds",
    ] {
        spec.remove(key);
    }
    if let Some(affinity) = spec.get_mut("affinity").and_then(Value::as_object_mut) {
        affinity.retain(|key, _| key == "nodeAffinity");
    }
    spec.insert("automountServiceAccountToken".to_owned(), false.into());
    spec.insert("terminationGracePeriodSeconds".to_owned(), 0.into());
    if let Some(volumes) = spec.get_mut("volumes").and_then(Value::as_array_mut) {
        volumes.retain(|it| !is_token(it));
        for volume in volumes {
            let of = volume["name"].as_str().unwrap_or_default();
            let claim = restored.iter().find(|(_, volume)| volume == of);
            if let Some((claim, _)) = claim.filter(|_| volume.get("ephemeral").is_some()) {
                *volume = json!({"name": of, "persistentVolumeClaim": {"claimName": claim}});
            }
        }
    }
    for key in ["containers", "initContainers"] {
        if let Some(containers) = spec.get_mut(key).and_then(Value::as_array_mut) {
            // It waits for Velero.
            containers.retain(|it| it["name"] != RESTORE_WAIT);
            containers
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(as_long_as_it_takes);
        }
    }
    Ok(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
}

/// A server that recovers is not to be killed for that, and has nobody to say goodbye to.
fn as_long_as_it_takes(container: &mut Map<String, Value>) {
    for key in ["livenessProbe", "startupProbe"] {
        container.remove(key);
    }
    if let Some(lifecycle) = container
        .get_mut("lifecycle")
        .and_then(Value::as_object_mut)
    {
        lifecycle.remove("preStop");
    }
    if let Some(mounts) = container
        .get_mut("volumeMounts")
        .and_then(Value::as_array_mut)
    {
        mounts.retain(|it| !is_token(it));
    }
}

fn is_token(named: &Value) -> bool {
    named["name"]
        .as_str()
        .is_some_and(|name| name.starts_with(TOKEN))
}

/// What a pod names of its namespace.
#[must_use]
pub fn needs(pod: &Value) -> Needs {
    let spec = &pod["spec"];
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let mut needs = Needs {
        account: spec["serviceAccountName"].as_str().map(str::to_owned),
        service: spec["subdomain"].as_str().map(str::to_owned),
        ..Needs::default()
    };
    let mut secret = |name: &Value| needs.secrets.extend(name.as_str().map(str::to_owned));
    let mut config_map = |name: &Value| {
        let name = name.as_str().filter(|name| *name != ROOT_CA);
        needs.config_maps.extend(name.map(str::to_owned));
    };
    for it in list(&spec["imagePullSecrets"]) {
        secret(&it["name"]);
    }
    for volume in list(&spec["volumes"]) {
        secret(&volume["secret"]["secretName"]);
        config_map(&volume["configMap"]["name"]);
        for source in list(&volume["projected"]["sources"]) {
            secret(&source["secret"]["name"]);
            config_map(&source["configMap"]["name"]);
        }
    }
    for container in ["containers", "initContainers"]
        .map(|key| list(&spec[key]))
        .concat()
    {
        for it in list(&container["env"]) {
            secret(&it["valueFrom"]["secretKeyRef"]["name"]);
            config_map(&it["valueFrom"]["configMapKeyRef"]["name"]);
        }
        for it in list(&container["envFrom"]) {
            secret(&it["secretRef"]["name"]);
            config_map(&it["configMapRef"]["name"]);
        }
    }
    needs
}

/// A Secret or ConfigMap for another namespace; none of a token, which means nothing there.
#[must_use]
pub fn copied(object: &Value, namespace: &str) -> Option<Value> {
    if object["type"] == "kubernetes.io/service-account-token" {
        return None;
    }
    let mut copied = json!({
        "metadata": {"name": object["metadata"]["name"], "namespace": namespace},
    });
    for key in ["apiVersion", "kind", "type", "data", "binaryData"] {
        if let Some(value) = object.get(key) {
            copied[key] = value.clone();
        }
    }
    Some(copied)
}

/// An account without any right, and without the annotations that give some of a cloud.
#[must_use]
pub fn copied_account(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
        "automountServiceAccountToken": false,
    })
}

/// A name for the pods of a copy, and nothing else.
#[must_use]
pub fn named(service: &str, copy: &Copy, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service, "namespace": namespace},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": {VERIFICATION_LABEL: copy.id},
        },
    })
}

/// The content by which a snapshot of another namespace is reached, given the original's.
///
/// # Errors
/// Where the original does not say what it is on the storage.
pub fn content(
    original: &Value,
    copy: &Copy,
    name: &str,
    (namespace, snapshot): (&str, &str),
) -> Result<Value, String> {
    let Some(handle) = original["status"]["snapshotHandle"].as_str() else {
        let of = original["metadata"]["name"].as_str().unwrap_or_default();
        return Err(format!("content {of} has no handle of a snapshot"));
    };
    let mut content = json!({
        "apiVersion": format!("{}/{}", csi::GROUP, csi::VERSION),
        "kind": "VolumeSnapshotContent",
        "metadata": copy.metadata(name),
        "spec": {
            // What is restored stays, whatever becomes of this.
            "deletionPolicy": "Retain",
            "driver": original["spec"]["driver"],
            "source": {"snapshotHandle": handle},
            "volumeSnapshotRef": {"namespace": namespace, "name": snapshot},
        },
    });
    for key in ["volumeSnapshotClassName", "sourceVolumeMode"] {
        if let Some(value) = original["spec"].get(key) {
            content["spec"][key] = value.clone();
        }
    }
    Ok(content)
}

/// The VolumeSnapshot that is bound to such a content.
#[must_use]
pub fn snapshot(content: &Value) -> Value {
    let of = &content["spec"]["volumeSnapshotRef"];
    let mut snapshot = json!({
        "apiVersion": content["apiVersion"],
        "kind": "VolumeSnapshot",
        "metadata": of,
        "spec": {"source": {"volumeSnapshotContentName": content["metadata"]["name"]}},
    });
    if let Some(class) = content["spec"].get("volumeSnapshotClassName") {
        snapshot["spec"]["volumeSnapshotClassName"] = class.clone();
    }
    snapshot
}
