//! A plan as RFC 6902 operations on the pod's own JSON. No other module knows that format.
//!
//! Operations are chosen one by one, never found by comparing typed objects: what our types do not
//! know is not touched.

mod proof;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use serde_json::{Value, json};

use crate::{
    json,
    plan::{Change, NewMount, NewVolume, Plan, Removal},
    pod::PodView,
    yaml::{
        self,
        edit::{Edit, Obstacle},
    },
};

pub use proof::{Flaw, prove};

/// How many bytes a patch has at most, usually.
const USUAL: usize = 4096;

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation<'a> {
    pub op: Op<'a>,
    pub path: Path<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Op<'a> {
    Add(New<'a>),
    Replace(New<'a>),
    /// Of what we wrote, and nothing else.
    Remove,
}

/// What an operation puts somewhere.
#[derive(Clone, Debug, PartialEq)]
pub enum New<'a> {
    Text(Cow<'a, str>),
    Volume(NewVolume<'a>),
    Mount(NewMount<'a>),
    /// A parent that was missing, or anything else.
    Json(Value),
}

/// A place in a pod, as a JSON pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path<'a> {
    Annotation(&'a str),
    /// Behind the last volume.
    NewVolume,
    /// The name of the ConfigMap that the volume at this position shows.
    ConfigMap(usize),
    /// Behind the last mount of the container at this position.
    NewMount(usize),
    Pointer(Cow<'a, str>),
}

impl Operation<'_> {
    /// Writes the operation for a pod that stands at `root`.
    fn write(&self, root: &str, out: &mut Vec<u8>) {
        let Self { op, path } = self;
        let (word, new) = match op {
            Op::Add(new) => ("add", Some(new)),
            Op::Replace(new) => ("replace", Some(new)),
            Op::Remove => ("remove", None),
        };
        out.extend_from_slice(b"{\"op\":\"");
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(b"\",\"path\":\"");
        let written = write!(Escaped(out), "{root}{path}");
        written.expect("memory takes everything");
        out.push(b'"');
        if let Some(new) = new {
            out.extend_from_slice(b",\"value\":");
            new.write(out);
        }
        out.push(b'}');
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotation(key) => {
                f.write_str("/metadata/annotations/")?;
                pieces(key).try_for_each(|piece| f.write_str(piece))
            }
            Self::NewVolume => f.write_str("/spec/volumes/-"),
            Self::ConfigMap(volume) => write!(f, "/spec/volumes/{volume}/configMap/name"),
            Self::NewMount(container) => {
                write!(f, "/spec/containers/{container}/volumeMounts/-")
            }
            Self::Pointer(pointer) => f.write_str(pointer),
        }
    }
}

/// What is written to it stands in a string of JSON.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        json::escape(text, self.0);
        Ok(())
    }
}

impl New<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let written = match self {
            Self::Text(text) => {
                json::quote(text, out);
                Ok(())
            }
            Self::Volume(volume) => serde_json::to_writer(out, volume),
            Self::Mount(mount) => serde_json::to_writer(out, mount),
            Self::Json(value) => serde_json::to_writer(out, value),
        };
        written.expect("names and sizes are JSON");
    }
}

/// A JSON patch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch<'a>(pub Vec<Operation<'a>>);

impl Patch<'_> {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patch as RFC 6902 writes it, for a pod that stands at `root` of a larger object.
    #[must_use]
    pub fn to_text(&self, root: &str) -> Vec<u8> {
        let Self(operations) = self;
        let mut out = Vec::with_capacity(USUAL);
        out.push(b'[');
        for (position, operation) in operations.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            operation.write(root, &mut out);
        }
        out.push(b']');
        out
    }

    /// The same, to be looked into.
    #[must_use]
    pub fn to_json(&self, root: &str) -> Value {
        serde_json::from_slice(&self.to_text(root)).expect("what we write is JSON")
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
        let operations = serde_json::from_slice(&self.to_text(root));
        let operations: json_patch::Patch = operations.expect("what we write is RFC 6902");
        json_patch::patch(object, &operations)
    }

    /// The patch without what it borrows from policies and pod.
    #[must_use]
    pub fn into_owned(self) -> Patch<'static> {
        let Self(operations) = self;
        let owned = |new: New<'_>| New::Json(new.into_json());
        let operations = operations
            .into_iter()
            .map(|Operation { op, path }| Operation {
                op: match op {
                    Op::Add(new) => Op::Add(owned(new)),
                    Op::Replace(new) => Op::Replace(owned(new)),
                    Op::Remove => Op::Remove,
                },
                path: Path::Pointer(path.to_string().into()),
            });
        Patch(operations.collect())
    }
}

impl New<'_> {
    fn into_json(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Volume(volume) => volume.json(),
            Self::Mount(mount) => mount.json(),
            Self::Json(value) => value,
        }
    }
}

/// Carries patches out on the text of one document, each for the pod at its pointer.
///
/// Whatever else is in the text stays as it is written. The new text is read again and means exactly
/// what the patches make of the document.
///
/// # Errors
/// Why the text cannot be changed where it stands.
pub fn write(text: &str, patches: &[(String, Patch<'_>)]) -> Result<String, Obstacle> {
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
                Op::Add(new) if last == "-" => edit.push(parent, new.clone().into_json())?,
                Op::Add(new) => edit.insert(parent, last, new.clone().into_json())?,
                Op::Replace(new) => edit.replace(&path, new.clone().into_json())?,
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
pub fn patch<'a>(plan: &'a Plan<'_>, pod: &PodView<'_>) -> Patch<'a> {
    let mut parents = Parents::default();
    let mut operations = Vec::with_capacity(plan.changes.len() + 4);
    for change in &plan.changes {
        let operation = match change {
            Change::Volume(volume) => {
                parents.volumes(pod, &mut operations);
                add(Path::NewVolume, New::Volume(*volume))
            }
            Change::Scripts {
                volume, config_map, ..
            } => Operation {
                op: Op::Replace(New::Text(Cow::Borrowed(config_map))),
                path: Path::ConfigMap(*volume),
            },
            Change::Mount(mount) => {
                parents.mounts(mount.container, pod, &mut operations);
                add(Path::NewMount(mount.container), New::Mount(*mount))
            }
            Change::NoAnnotation { key, .. } => Operation {
                op: Op::Remove,
                path: Path::Annotation(key),
            },
            Change::Annotation {
                key,
                value,
                instead_of,
            } => {
                parents.annotations(pod, &mut operations);
                let value = New::Text(Cow::Borrowed(value));
                Operation {
                    op: match instead_of {
                        Some(_) => Op::Replace(value),
                        None => Op::Add(value),
                    },
                    path: Path::Annotation(key),
                }
            }
        };
        operations.push(operation);
    }
    Patch(operations)
}

const fn add<'a>(path: Path<'a>, new: New<'a>) -> Operation<'a> {
    Operation {
        op: Op::Add(new),
        path,
    }
}

fn parent<'a>(pointer: impl Into<Cow<'a, str>>, empty: Value) -> Operation<'a> {
    add(Path::Pointer(pointer.into()), New::Json(empty))
}

/// Which parents were seen to.
#[derive(Default)]
struct Parents {
    annotations: bool,
    volumes: bool,
    mounts: Vec<usize>,
}

impl Parents {
    fn annotations(&mut self, pod: &PodView<'_>, operations: &mut Vec<Operation<'_>>) {
        if std::mem::replace(&mut self.annotations, true) {
            return;
        }
        let metadata = pod.metadata.as_ref();
        if metadata.is_none() {
            operations.push(parent("/metadata", json!({})));
        }
        if metadata.is_none_or(|metadata| metadata.annotations.is_none()) {
            operations.push(parent("/metadata/annotations", json!({})));
        }
    }

    fn volumes(&mut self, pod: &PodView<'_>, operations: &mut Vec<Operation<'_>>) {
        if !std::mem::replace(&mut self.volumes, true) && pod.spec.volumes.is_none() {
            operations.push(parent("/spec/volumes", json!([])));
        }
    }

    fn mounts(&mut self, container: usize, pod: &PodView<'_>, operations: &mut Vec<Operation<'_>>) {
        if self.mounts.contains(&container) {
            return;
        }
        self.mounts.push(container);
        let there = pod.containers().get(container);
        if there.is_some_and(|container| container.volume_mounts.is_none()) {
            let path = format!("/spec/containers/{container}/volumeMounts");
            operations.push(parent(path, json!([])));
        }
    }
}

/// A step of a pointer.
#[must_use]
pub fn escape(step: &str) -> String {
    pieces(step).collect()
}

/// A step of a pointer, in pieces: `~` and `/` have other spellings there.
fn pieces(step: &str) -> impl Iterator<Item = &str> {
    let mut rest = step;
    let parts = std::iter::from_fn(move || {
        let special = rest.bytes().position(|byte| matches!(byte, b'~' | b'/'));
        let Some(special) = special else {
            let last = std::mem::take(&mut rest);
            return (!last.is_empty()).then_some([last, ""]);
        };
        let (plain, from) = rest.split_at(special);
        rest = &from[1..];
        let spelled = if from.starts_with('~') { "~0" } else { "~1" };
        Some([plain, spelled])
    });
    parts.flatten()
}

/// The operations that take out of a pod what was put in, parents that it would leave empty too.
#[must_use]
pub fn withdrawal(removals: &[Removal], pod: &Value) -> Patch<'static> {
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
                op: Op::Replace(New::Text(value.clone().into())),
                path: below("/metadata/annotations", key),
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
            operations.extend(children.iter().map(|child| Operation {
                op: Op::Remove,
                path: below(parent, child),
            }));
        } else if parent == "/metadata/annotations" && pod.get("metadata").map_or(0, size) == 1 {
            operations.push(remove("/metadata".to_owned()));
        } else {
            operations.push(remove(parent.clone()));
        }
    }
    Patch(operations)
}

const fn remove(pointer: String) -> Operation<'static> {
    Operation {
        op: Op::Remove,
        path: Path::Pointer(Cow::Owned(pointer)),
    }
}

fn below(parent: &str, step: &str) -> Path<'static> {
    Path::Pointer(format!("{parent}/{}", escape(step)).into())
}

fn size(value: &Value) -> usize {
    match value {
        Value::Object(entries) => entries.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    }
}
