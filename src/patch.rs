//! A plan as RFC 6902 operations on the pod's own JSON. No other module knows that format.
//!
//! Operations are chosen one by one, never found by comparing typed objects: what our types do not
//! know is not touched.

mod proof;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Value, json};

use crate::{
    json,
    plan::{
        Change, Completion, ContainerList, NewContainer, NewMount, NewVolume, Part, Plan, Removal,
    },
    pod::PodView,
    yaml::{
        self,
        edit::{Edit, Obstacle},
    },
};

pub use proof::{Flaw, MOST_ANNOTATIONS, prove};

/// Where a pod's annotations and volumes are.
pub const ANNOTATIONS: &str = "/metadata/annotations";
pub const VOLUMES: &str = "/spec/volumes";

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
    /// Copied from elsewhere in the pod.
    Raw(&'a str),
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
    /// Behind the last container of a list.
    NewContainer(ContainerList),
    /// A part of the init container at this position; `-` is behind its last mount.
    Init(usize, &'static str),
    Pointer(Cow<'a, str>),
}

impl Operation<'_> {
    /// Writes the operation for a pod that stands at `root`.
    fn write(&self, root: &str, out: &mut Vec<u8>) {
        let Self { op, path } = self;
        let (head, new) = match op {
            Op::Add(new) => (r#"{"op":"add","path":""#, Some(new)),
            Op::Replace(new) => (r#"{"op":"replace","path":""#, Some(new)),
            Op::Remove => (r#"{"op":"remove","path":""#, None),
        };
        out.extend_from_slice(head.as_bytes());
        json::escape(root, out);
        path.write(out);
        if let Some(new) = new {
            out.extend_from_slice(br#"","value":"#);
            new.write(out);
            out.push(b'}');
        } else {
            out.extend_from_slice(b"\"}");
        }
    }
}

impl Path<'_> {
    /// Writes the pointer as it stands between quotes.
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Annotation(key) => {
                out.extend_from_slice(b"/metadata/annotations/");
                json::escape_step(key, out);
            }
            Self::NewVolume => out.extend_from_slice(b"/spec/volumes/-"),
            Self::ConfigMap(volume) => {
                out.extend_from_slice(b"/spec/volumes/");
                json::number(*volume, out);
                out.extend_from_slice(b"/configMap/name");
            }
            Self::NewMount(container) => {
                out.extend_from_slice(b"/spec/containers/");
                json::number(*container, out);
                out.extend_from_slice(b"/volumeMounts/-");
            }
            Self::NewContainer(list) => {
                out.extend_from_slice(b"/spec/");
                out.extend_from_slice(list.field().as_bytes());
                out.extend_from_slice(b"/-");
            }
            Self::Init(init, part) => {
                out.extend_from_slice(b"/spec/initContainers/");
                json::number(*init, out);
                out.push(b'/');
                out.extend_from_slice(part.as_bytes());
            }
            Self::Pointer(pointer) => json::escape(pointer, out),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut quoted = Vec::new();
        self.write(&mut quoted);
        quoted.push(b'"');
        let (pointer, _) = str::from_utf8(&quoted)
            .ok()
            .and_then(json::unquote)
            .expect("what we escape can be read");
        f.write_str(&pointer)
    }
}

impl New<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => json::quote(text, out),
            Self::Volume(volume) => volume.write(out),
            Self::Mount(mount) => mount.write(out),
            Self::Raw(text) => out.extend_from_slice(text.as_bytes()),
            Self::Json(value) => {
                let written = serde_json::to_writer(out, value);
                written.expect("values are JSON");
            }
        }
    }
}

/// A patch as it is being written.
struct Text(Vec<u8>);

impl Text {
    fn new() -> Self {
        Self(Vec::with_capacity(USUAL))
    }

    fn add(&mut self, operation: &Operation<'_>, root: &str) {
        let Self(text) = self;
        text.push(if text.is_empty() { b'[' } else { b',' });
        operation.write(root, text);
    }

    fn finish(self) -> Vec<u8> {
        let Self(mut text) = self;
        text.extend_from_slice(if text.is_empty() { b"[]" } else { b"]" });
        text
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
        let mut text = Text::new();
        for operation in operations {
            text.add(operation, root);
        }
        text.finish()
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
            Self::Raw(text) => serde_json::from_str(text).expect("what is read is JSON"),
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
    let mut operations = Vec::new();
    each(plan, pod, |operation| operations.push(operation));
    Patch(operations)
}

/// The same as RFC 6902 writes it, if there is anything to do.
#[must_use]
pub fn patch_text(plan: &Plan<'_>, pod: &PodView<'_>) -> Option<Vec<u8>> {
    let written = || {
        let mut text = Text::new();
        each(plan, pod, |operation| text.add(&operation, ""));
        text.finish()
    };
    (!plan.is_empty()).then(written)
}

fn each<'a>(plan: &'a Plan<'_>, pod: &PodView<'_>, mut take: impl FnMut(Operation<'a>)) {
    let mut parents = Parents::default();
    for change in &plan.changes {
        let operation = match change {
            Change::Volume(volume) => {
                parents.volumes(pod, &mut take);
                add(Path::NewVolume, New::Volume(*volume))
            }
            Change::Scripts {
                volume, config_map, ..
            } => Operation {
                op: Op::Replace(New::Text(Cow::Borrowed(config_map))),
                path: Path::ConfigMap(*volume),
            },
            Change::Mount(mount) => {
                parents.mounts(mount.container, pod, &mut take);
                add(Path::NewMount(mount.container), New::Mount(*mount))
            }
            Change::Container(container) => {
                let NewContainer { list, json, .. } = &**container;
                parents.containers(*list, pod, &mut take);
                add(Path::NewContainer(*list), New::Json(json.clone()))
            }
            Change::Complete(Completion { init, part, value }) => {
                let place = match part {
                    Part::Field(key) => key,
                    Part::Mounts => "volumeMounts",
                    Part::Mount => "volumeMounts/-",
                };
                add(Path::Init(*init, place), New::Raw(value))
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
                parents.annotations(pod, &mut take);
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
        take(operation);
    }
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
    init_containers: bool,
    /// The container whose mounts were the last. Those of one container come together.
    mounts: Option<usize>,
}

impl Parents {
    fn annotations<'a>(&mut self, pod: &PodView<'_>, take: &mut impl FnMut(Operation<'a>)) {
        if std::mem::replace(&mut self.annotations, true) {
            return;
        }
        let metadata = pod.metadata.as_ref();
        if metadata.is_none() {
            take(parent("/metadata", json!({})));
        }
        if metadata.is_none_or(|metadata| metadata.annotations.is_none()) {
            take(parent(ANNOTATIONS, json!({})));
        }
    }

    /// A pod has containers; init containers there may be none.
    fn containers<'a>(
        &mut self,
        list: ContainerList,
        pod: &PodView<'_>,
        take: &mut impl FnMut(Operation<'a>),
    ) {
        let missing = list == ContainerList::Init && pod.spec.init_containers.is_none();
        if missing && !std::mem::replace(&mut self.init_containers, true) {
            take(parent("/spec/initContainers", json!([])));
        }
    }

    fn volumes<'a>(&mut self, pod: &PodView<'_>, take: &mut impl FnMut(Operation<'a>)) {
        if !std::mem::replace(&mut self.volumes, true) && pod.spec.volumes.is_none() {
            take(parent(VOLUMES, json!([])));
        }
    }

    fn mounts<'a>(
        &mut self,
        container: usize,
        pod: &PodView<'_>,
        take: &mut impl FnMut(Operation<'a>),
    ) {
        if self.mounts.replace(container) == Some(container) {
            return;
        }
        let there = pod.containers().get(container);
        if there.is_some_and(|container| container.volume_mounts.is_none()) {
            let path = format!("/spec/containers/{container}/volumeMounts");
            take(parent(path, json!([])));
        }
    }
}

/// A step of a pointer.
#[must_use]
pub fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// The operations that take out of a pod what was put in, parents that it would leave empty too.
#[must_use]
pub fn withdrawal(removals: &[Removal], pod: &Value) -> Patch<'static> {
    let mut operations = Vec::new();
    let mut gone: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for removal in removals {
        match removal {
            Removal::Annotation { key, back: None } => {
                let keys = gone.entry(ANNOTATIONS.to_owned());
                keys.or_default().insert(key.clone());
            }
            Removal::Annotation {
                key,
                back: Some(value),
            } => operations.push(Operation {
                op: Op::Replace(New::Text(value.clone().into())),
                path: below(ANNOTATIONS, key),
            }),
            Removal::Mount { container, mount } => {
                let mounts = format!("/spec/containers/{container}/volumeMounts");
                gone.entry(mounts).or_default().insert(mount.to_string());
            }
            Removal::Container(list, container) => {
                let containers = gone.entry(format!("/spec/{}", list.field()));
                containers.or_default().insert(container.to_string());
            }
            Removal::Volume(volume) => {
                let volumes = gone.entry(VOLUMES.to_owned());
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
        } else if parent == ANNOTATIONS && pod.get("metadata").map_or(0, size) == 1 {
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
