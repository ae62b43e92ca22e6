//! A plan as RFC 6902 operations on the pod's own JSON. No other module knows that format.
//!
//! Operations are chosen one by one, never found by comparing typed objects: what our types do not
//! know is not touched.

mod proof;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    plan::{Change, Plan, Removal},
    pod::PodView,
    yaml::{
        self,
        edit::{Edit, Obstacle},
    },
};

pub use proof::{Flaw, prove};

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub op: Op,
    /// A JSON pointer (RFC 6901).
    pub path: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Add(Value),
    Replace(Value),
    /// Of what we wrote, and nothing else.
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
            .map(|Operation { op, path }| {
                let path = format!("{root}{path}");
                match op {
                    Op::Add(value) => json!({"op": "add", "path": path, "value": value}),
                    Op::Replace(value) => json!({"op": "replace", "path": path, "value": value}),
                    Op::Remove => json!({"op": "remove", "path": path}),
                }
            })
            .collect()
    }

    /// Takes items out of a List. Positions are given from the last one on.
    #[must_use]
    pub fn without_items(positions: &[usize]) -> Self {
        let paths = positions.iter();
        let paths = paths.map(|position| format!("/items/{position}"));
        Self(paths.map(remove).collect())
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

/// Carries patches out on the text of one document, each for the pod at its pointer.
///
/// Whatever else is in the text stays as it is written. The new text is read again and means exactly
/// what the patches make of the document.
///
/// # Errors
/// Why the text cannot be changed where it stands.
pub fn write(text: &str, patches: &[(String, Patch)]) -> Result<String, Obstacle> {
    let root = read(text)?;
    let mut wanted = root.to_json();
    let mut edit = Edit::new(text, &root);
    for (pointer, patch) in patches {
        patch
            .apply(&mut wanted, pointer)
            .map_err(|_| Obstacle::Differs)?;
        let Patch(operations) = patch;
        for Operation { op, path } in operations {
            let path = steps(&format!("{pointer}{path}"));
            let (last, parent) = path.split_last().ok_or(Obstacle::Form)?;
            match op {
                Op::Add(value) if last == "-" => edit.push(parent, value.clone())?,
                Op::Add(value) => edit.insert(parent, last, value.clone())?,
                Op::Replace(value) => edit.replace(&path, value.clone())?,
                Op::Remove => edit.remove(&path)?,
            }
        }
    }
    let new = edit.finish()?;
    let is_json = |text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if read(&new)?.to_json() == wanted && is_json(text) == is_json(&new) {
        Ok(new)
    } else {
        Err(Obstacle::Differs)
    }
}

/// The only document of a text.
fn read(text: &str) -> Result<yaml::Node, Obstacle> {
    let documents = yaml::parse(text).map_err(|_| Obstacle::Differs)?;
    let mut roots = documents.into_iter().filter_map(|document| document.root);
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root),
        _ => Err(Obstacle::Differs),
    }
}

/// The steps of a JSON pointer.
fn steps(pointer: &str) -> Vec<String> {
    let steps = pointer.split('/').skip(1);
    steps
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect()
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
                operations.push(add("/spec/volumes/-".to_owned(), volume.json()));
            }
            Change::Scripts {
                volume, config_map, ..
            } => operations.push(Operation {
                op: Op::Replace(config_map.as_str().into()),
                path: format!("/spec/volumes/{volume}/configMap/name"),
            }),
            Change::Mount(mount) => {
                parents.mounts(mount.container, &mut operations);
                let path = format!("/spec/containers/{}/volumeMounts/-", mount.container);
                operations.push(add(path, mount.json()));
            }
            Change::NoAnnotation { key, .. } => {
                operations.push(remove(format!("/metadata/annotations/{}", escape(key))));
            }
            Change::Annotation {
                key,
                value,
                instead_of,
            } => {
                parents.annotations(&mut operations);
                let value = value.as_str().into();
                operations.push(Operation {
                    op: if instead_of.is_some() {
                        Op::Replace(value)
                    } else {
                        Op::Add(value)
                    },
                    path: annotation_path(key),
                });
            }
        }
    }
    Patch(operations)
}

const fn add(path: String, value: Value) -> Operation {
    Operation {
        op: Op::Add(value),
        path,
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

fn annotation_path(key: &str) -> String {
    format!("/metadata/annotations/{}", escape(key))
}

/// `~` first: the other way round `/` would end as `~01`.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The operations that take out of a pod what was put in, parents that it would leave empty too.
#[must_use]
pub fn withdrawal(removals: &[Removal], pod: &Value) -> Patch {
    let mut operations = Vec::new();
    let mut gone: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for removal in removals {
        match removal {
            Removal::Annotation { key, back: None } => {
                let keys = gone.entry("/metadata/annotations".to_owned());
                keys.or_default().insert(key.clone());
            }
            Removal::Annotation {
                key,
                back: Some(value),
            } => operations.push(Operation {
                op: Op::Replace(value.as_str().into()),
                path: annotation_path(key),
            }),
            Removal::Mount { container, mount } => {
                let mounts = format!("/spec/containers/{container}/volumeMounts");
                gone.entry(mounts).or_default().insert(mount.to_string());
            }
            Removal::Volume(volume) => {
                let volumes = gone.entry("/spec/volumes".to_owned());
                volumes.or_default().insert(volume.to_string());
            }
        }
    }
    for (parent, children) in &gone {
        let there = pod.pointer(parent).map_or(0, size);
        if there > children.len() {
            // From the last one on, so that the positions of the others stay.
            let mut children: Vec<&String> = children.iter().collect();
            children.sort_by_key(|child| std::cmp::Reverse(child.parse::<usize>().ok()));
            let paths = children.iter();
            let paths = paths.map(|child| format!("{parent}/{}", escape(child)));
            operations.extend(paths.map(remove));
        } else if parent == "/metadata/annotations" && pod.get("metadata").map_or(0, size) == 1 {
            operations.push(remove("/metadata".to_owned()));
        } else {
            operations.push(remove(parent.clone()));
        }
    }
    Patch(operations)
}

fn remove(path: String) -> Operation {
    Operation {
        op: Op::Remove,
        path,
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Object(entries) => entries.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    }
}
