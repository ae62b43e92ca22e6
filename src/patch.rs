//! A plan as RFC 6902 operations on the pod's own JSON. No other module knows that format.
//!
//! Operations are chosen one by one, never found by comparing typed objects: what our types do not
//! know is not touched.

mod proof;

use serde_json::{Value, json};

use crate::{
    plan::{Change, NewMount, NewVolume, Plan, Source},
    pod::PodView,
    policy::VolumeSource,
};

pub use proof::{Flaw, prove};

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub op: Op,
    /// A JSON pointer (RFC 6901).
    pub path: String,
    pub value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Add,
    Replace,
    /// Of annotations that we wrote, and nothing else.
    Remove,
}

/// A JSON patch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch(pub Vec<Operation>);

impl Patch {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patch as RFC 6902 writes it, for a pod that stands at `root` of a larger object.
    #[must_use]
    pub fn to_json(&self, root: &str) -> Value {
        let Self(operations) = self;
        operations
            .iter()
            .map(|Operation { op, path, value }| {
                let path = format!("{root}{path}");
                match op {
                    Op::Add => json!({"op": "add", "path": path, "value": value}),
                    Op::Replace => json!({"op": "replace", "path": path, "value": value}),
                    Op::Remove => json!({"op": "remove", "path": path}),
                }
            })
            .collect()
    }

    /// Carries the patch out on the pod at `root` of an object.
    ///
    /// # Errors
    /// When an operation does not apply. The object is as it was, then.
    pub fn apply(&self, object: &mut Value, root: &str) -> Result<(), json_patch::PatchError> {
        let operations = serde_json::from_value(self.to_json(root));
        let operations: json_patch::Patch = operations.expect("what we write is RFC 6902");
        json_patch::patch(object, &operations)
    }
}

/// The operations that carry a plan out, parents before their children.
#[must_use]
pub fn patch(plan: &Plan<'_>, pod: &PodView<'_>) -> Patch {
    let mut parents = Parents::new(pod);
    let mut operations = Vec::with_capacity(plan.changes.len() + 4);
    for change in &plan.changes {
        match change {
            Change::Volume(volume) => {
                parents.volumes(&mut operations);
                operations.push(add("/spec/volumes/-".to_owned(), volume_json(volume)));
            }
            Change::Scripts {
                volume, config_map, ..
            } => operations.push(Operation {
                op: Op::Replace,
                path: format!("/spec/volumes/{volume}/configMap/name"),
                value: config_map.as_str().into(),
            }),
            Change::Mount(mount) => {
                parents.mounts(mount.container, &mut operations);
                let path = format!("/spec/containers/{}/volumeMounts/-", mount.container);
                operations.push(add(path, mount_json(mount)));
            }
            Change::NoAnnotation { key, .. } => operations.push(Operation {
                op: Op::Remove,
                path: format!("/metadata/annotations/{}", escape(key)),
                value: Value::Null,
            }),
            Change::Annotation {
                key,
                value,
                instead_of,
            } => {
                parents.annotations(&mut operations);
                operations.push(Operation {
                    op: if instead_of.is_some() {
                        Op::Replace
                    } else {
                        Op::Add
                    },
                    path: format!("/metadata/annotations/{}", escape(key)),
                    value: value.as_str().into(),
                });
            }
        }
    }
    Patch(operations)
}

const fn add(path: String, value: Value) -> Operation {
    Operation {
        op: Op::Add,
        path,
        value,
    }
}

/// Which parents are missing still.
struct Parents<'v> {
    pod: &'v PodView<'v>,
    annotations: bool,
    volumes: bool,
    mounts: Vec<usize>,
}

impl<'v> Parents<'v> {
    const fn new(pod: &'v PodView<'v>) -> Self {
        Self {
            pod,
            annotations: false,
            volumes: false,
            mounts: Vec::new(),
        }
    }

    fn annotations(&mut self, operations: &mut Vec<Operation>) {
        if std::mem::replace(&mut self.annotations, true) {
            return;
        }
        let metadata = self.pod.metadata.as_ref();
        if metadata.is_none() {
            operations.push(add("/metadata".to_owned(), json!({})));
        }
        if metadata.is_none_or(|metadata| metadata.annotations.is_none()) {
            operations.push(add("/metadata/annotations".to_owned(), json!({})));
        }
    }

    fn volumes(&mut self, operations: &mut Vec<Operation>) {
        if !std::mem::replace(&mut self.volumes, true) && self.pod.spec.volumes.is_none() {
            operations.push(add("/spec/volumes".to_owned(), json!([])));
        }
    }

    fn mounts(&mut self, container: usize, operations: &mut Vec<Operation>) {
        if self.mounts.contains(&container) {
            return;
        }
        self.mounts.push(container);
        let there = self.pod.containers().get(container);
        if there.is_some_and(|container| container.volume_mounts.is_none()) {
            let path = format!("/spec/containers/{container}/volumeMounts");
            operations.push(add(path, json!([])));
        }
    }
}

/// `~` first: the other way round `/` would end as `~01`.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn volume_json(volume: &NewVolume) -> Value {
    let NewVolume { name, source } = volume;
    match source {
        // Optional, so that no pod waits for a ConfigMap that nobody has restored yet.
        Source::Scripts { config_map } => json!({
            "name": name,
            "configMap": {"name": config_map, "optional": true, "defaultMode": 0o555},
        }),
        Source::Policy(VolumeSource::EmptyDir(empty_dir)) => json!({
            "name": name,
            "emptyDir": empty_dir,
        }),
        Source::Policy(VolumeSource::Ephemeral(ephemeral)) => {
            let mut spec = json!({
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": ephemeral.size}},
            });
            if let Some(class) = &ephemeral.storage_class {
                spec["storageClassName"] = class.as_str().into();
            }
            json!({"name": name, "ephemeral": {"volumeClaimTemplate": {"spec": spec}}})
        }
    }
}

fn mount_json(mount: &NewMount) -> Value {
    let NewMount {
        container: _,
        volume,
        path,
        read_only,
    } = mount;
    let mut json = json!({"name": volume, "mountPath": path});
    if *read_only {
        json["readOnly"] = true.into();
    }
    json
}
