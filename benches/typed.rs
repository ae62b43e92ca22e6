//! A webhook in the way that is usual in Rust: `AdmissionReview<Pod>` of kube and k8s-openapi, the
//! pod changed as a value, and the patch found by comparing it with the one that came.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Pod, Volume, VolumeMount};
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};

const HOOKS: [(&str, &str); 8] = [
    (
        "pre.hook.backup.velero.io/command",
        "[\"/bin/sh\",\"/quiescent/postgresql-dump/pre.sh\"]",
    ),
    ("pre.hook.backup.velero.io/container", "postgresql"),
    ("pre.hook.backup.velero.io/on-error", "Fail"),
    ("pre.hook.backup.velero.io/timeout", "10m0s"),
    (
        "post.hook.backup.velero.io/command",
        "[\"/bin/sh\",\"/quiescent/postgresql-dump/post.sh\"]",
    ),
    ("post.hook.backup.velero.io/container", "postgresql"),
    ("post.hook.backup.velero.io/on-error", "Continue"),
    ("post.hook.backup.velero.io/timeout", "30s"),
];

pub fn parse(body: &[u8]) -> AdmissionReview<Pod> {
    serde_json::from_slice(body).unwrap()
}

/// A whole review of a pod that gets hooks and a volume.
pub fn review(body: &[u8]) -> Vec<u8> {
    let request: AdmissionRequest<Pod> = parse(body).try_into().unwrap();
    let pod = request.object.as_ref().unwrap();
    let mut changed = pod.clone();
    change(&mut changed);
    let patch = json_patch::diff(
        &serde_json::to_value(pod).unwrap(),
        &serde_json::to_value(&changed).unwrap(),
    );
    let response = AdmissionResponse::from(&request).with_patch(patch).unwrap();
    serde_json::to_vec(&response.into_review()).unwrap()
}

fn change(pod: &mut Pod) {
    let annotations = pod.metadata.annotations.get_or_insert_with(BTreeMap::new);
    annotations.extend(HOOKS.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let spec = pod.spec.as_mut().unwrap();
    spec.volumes.get_or_insert_with(Vec::new).push(Volume {
        name: "quiescent-dump".to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    });
    let mounts = &mut spec.containers[0].volume_mounts;
    mounts.get_or_insert_with(Vec::new).push(VolumeMount {
        name: "quiescent-dump".to_owned(),
        mount_path: "/quiescent/dump".to_owned(),
        ..VolumeMount::default()
    });
}
