//! What a policy changes in a pod that it selects: the plan of the engine for a pod that has nothing
//! yet, with conditions for what a pod may have already.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cel::{all, any, list, quote, value};
use crate::{
    json,
    patch::{ANNOTATIONS, MOST_ANNOTATIONS, VOLUMES},
    plan::{Change, PROVENANCE, Source, WRITTEN, plan},
    pod::{PodView, Storage},
    policy::{Policy, VolumeSource},
    select::{Facts, Namespace, Settings, Verdict},
    velero::{BACKUP_VOLUMES, HookPhase, LEGACY_PRE, RESTORE_NAME_LABEL},
};

/// Stands for the container's name, which an expression finds.
const CONTAINER: &str = "\u{1}";

/// What the plan of a policy has for a pod without anything.
pub struct Changes {
    annotations: Vec<(&'static str, String)>,
    volumes: Vec<Volume>,
    backup_volumes: Vec<String>,
    parameters: Vec<String>,
}

struct Volume {
    name: String,
    value: Value,
    mount: Value,
    path: String,
    /// Whether a volume `v` of that name is the same.
    same: String,
    writable: bool,
}

impl Changes {
    pub fn of(policy: &Policy, settings: &Settings) -> Self {
        let pod = json!({"spec": {"containers": [{"name": CONTAINER}]}}).to_string();
        let pod = PodView::parse(&pod).expect("a pod of ours can be read");
        let storage = Storage::read(&pod, |_| true).expect("it has no volumes");
        let facts = Facts {
            namespace: "",
            about_namespace: Namespace::Unknown,
            owner: None,
            settings,
        };
        let plan = plan(&[Verdict::Selected(policy, 0)], &pod, &storage, facts);
        let mut annotations = Vec::new();
        let mut volumes = BTreeMap::new();
        let mut mounts = Vec::new();
        for change in &plan.changes {
            match change {
                Change::Annotation { key, value, .. } if *key != BACKUP_VOLUMES => {
                    annotations.push((*key, value.to_string()));
                }
                Change::Volume(volume) => {
                    let same = match volume.source {
                        Source::Scripts { config_map } => format!(
                            "has(v.configMap) && v.configMap.name == {}",
                            quote(config_map)
                        ),
                        Source::Policy(VolumeSource::EmptyDir(_)) => "has(v.emptyDir)".to_owned(),
                        Source::Policy(VolumeSource::Ephemeral(_)) => "has(v.ephemeral)".to_owned(),
                    };
                    volumes.insert(volume.name, (volume.json(), same));
                }
                Change::Mount(mount) => mounts.push(*mount),
                Change::Annotation { .. }
                | Change::Scripts { .. }
                | Change::NoAnnotation { .. }
                | Change::Container(_)
                | Change::Complete(_) => {}
            }
        }
        let volumes = mounts.into_iter().filter_map(|mount| {
            let (value, same) = volumes.remove(mount.volume)?;
            Some(Volume {
                name: mount.volume.to_owned(),
                value,
                mount: mount.json(),
                path: mount.path.to_owned(),
                same,
                writable: !mount.read_only,
            })
        });
        Self {
            annotations,
            volumes: volumes.collect(),
            backup_volumes: policy.backup_volumes.clone(),
            parameters: policy
                .parameters
                .values()
                .map(|parameter| parameter.annotation.clone())
                .collect(),
        }
    }

    /// Whether the pod has a hook where the policy would write one.
    pub fn has_hooks(&self) -> String {
        let command = |key: &str| format!("{} in variables.annotations", quote(key));
        let phases = HookPhase::ALL.into_iter();
        let ours = phases.map(|phase| phase.keys().command);
        let ours = ours.filter(|key| self.annotations.iter().any(|(ours, _)| ours == key));
        let mut keys: Vec<&str> = ours.collect();
        if keys.contains(&HookPhase::Pre.keys().command) {
            keys.push(LEGACY_PRE.command);
        }
        any(keys.into_iter().map(command).collect())
    }

    /// What else must hold of a selected pod, so that the changes are right.
    pub fn fits(&self) -> String {
        let mut parts = Vec::new();
        if self.writes(HookPhase::Pre) || self.writes(HookPhase::Post) {
            parts.push(format!(
                "!variables.annotations.exists(key, key in {})",
                list(backup_keys())
            ));
        }
        // The API server may ask again about what this has written.
        parts.push(format!("!({} in variables.annotations)", quote(PROVENANCE)));
        if !self.parameters.is_empty() {
            let set = list(&self.parameters);
            parts.push(format!("!variables.annotations.exists(key, key in {set})"));
            parts.push(format!(
                "!variables.namespaceAnnotations.exists(key, key in {set})"
            ));
        }
        for volume in &self.volumes {
            parts.push(volume.fits());
        }
        let ours: usize = self
            .annotations
            .iter()
            .map(|(key, value)| key.len() + value.len() + LONGEST_NAME)
            .sum();
        parts.push(format!(
            "variables.annotations.map(key, size(bytes(key)) + size(bytes(variables.annotations[key]))).sum() + {ours} <= {MOST_ANNOTATIONS}"
        ));
        all(parts)
    }

    fn writes(&self, phase: HookPhase) -> bool {
        let command = phase.keys().command;
        self.annotations.iter().any(|(key, _)| *key == command)
    }

    /// The operations, as one list. `variables.at` is the container's position.
    pub fn operations(&self) -> String {
        let mut parts = vec![when(
            "!has(object.metadata.annotations)",
            &add(ANNOTATIONS, "{}"),
        )];
        if !self.volumes.is_empty() {
            parts.push(when("!has(object.spec.volumes)", &add(VOLUMES, "[]")));
            parts.push(when(
                "!has(variables.target.volumeMounts)",
                &add_at(
                    "\"/spec/containers/\" + string(variables.at) + \"/volumeMounts\"",
                    "[]",
                ),
            ));
        }
        for volume in &self.volumes {
            let Volume {
                name,
                value: volume,
                mount,
                path,
                ..
            } = volume;
            parts.push(when(
                &format!("!variables.volumes.exists(v, v.name == {})", quote(name)),
                &add(&format!("{VOLUMES}/-"), &value(volume)),
            ));
            parts.push(when(
                &format!(
                    "!variables.mounts.exists(m, {})",
                    at_path(path, "m.mountPath")
                ),
                &add_at(
                    "\"/spec/containers/\" + string(variables.at) + \"/volumeMounts/-\"",
                    &value(mount),
                ),
            ));
        }
        let restores = self.restores();
        let (mut backup, mut restore) = (Vec::new(), Vec::new());
        for (key, text) in &self.annotations {
            if *key == WRITTEN {
                let (with, without) = (quote(text), quote(&without_restore(text)));
                if text.starts_with("restore@") {
                    restore.push(annotate(key, &with));
                } else {
                    backup.push(annotate(key, &format!("({restores} ? {with} : {without})")));
                }
            } else if key.starts_with(HookPhase::PostRestore.prefix()) {
                restore.push(annotate(key, &says(text)));
            } else {
                backup.push(annotate(key, &says(text)));
            }
        }
        parts.push(format!("[{}]", backup.join(", ")));
        if !restore.is_empty() {
            parts.push(format!("({restores} ? [{}] : [])", restore.join(", ")));
        }
        parts.extend(self.backup_volumes());
        parts.join(" +\n")
    }

    /// Whether the pod gets the restore hook.
    fn restores(&self) -> String {
        if !self.writes(HookPhase::PostRestore) {
            return "false".to_owned();
        }
        let keys = HookPhase::PostRestore.keys().all();
        all(vec![
            format!("!({} in variables.labels)", quote(RESTORE_NAME_LABEL)),
            format!("!variables.annotations.exists(key, key in {})", list(keys)),
        ])
    }

    /// The operation that adds to Velero's set of volumes what is missing in it.
    fn backup_volumes(&self) -> Option<String> {
        if self.backup_volumes.is_empty() {
            return None;
        }
        let key = quote(BACKUP_VOLUMES);
        let there =
            format!("({key} in variables.annotations ? variables.annotations[{key}] : \"\")");
        let ours = list(self.volumes.iter().map(|it| &it.name));
        let names = list(&self.backup_volumes);
        let missing = format!(
            "{names}.filter(n, !(n in {there}.split(\",\")) && (n in {ours} || variables.volumes.exists(v, v.name == n)))"
        );
        let whole = format!("(({there} == \"\" ? [] : [{there}]) + {missing}).join(\",\")");
        let operation = annotate(BACKUP_VOLUMES, &whole);
        Some(format!("(size({missing}) > 0 ? [{operation}] : [])"))
    }
}

/// The record of hooks that we wrote, without the restore hook's.
fn without_restore(record: &str) -> String {
    let entries = record
        .split(',')
        .filter(|entry| !entry.starts_with("restore@"));
    entries.collect::<Vec<_>>().join(",")
}

/// As long as a container's name may be.
const LONGEST_NAME: usize = 63;

/// Every key of a hook that runs when a pod is backed up.
fn backup_keys() -> impl Iterator<Item = &'static str> {
    let keys = [HookPhase::Pre.keys(), HookPhase::Post.keys(), LEGACY_PRE];
    keys.into_iter().flat_map(|keys| keys.all())
}

impl Volume {
    /// Whether neither the volume's name nor its place is another's.
    fn fits(&self) -> String {
        let Self {
            name,
            path,
            same,
            writable,
            ..
        } = self;
        let name = quote(name);
        let writable = if *writable {
            " && !(has(m.readOnly) && m.readOnly)"
        } else {
            ""
        };
        all(vec![
            format!("variables.volumes.all(v, v.name != {name} || ({same}))"),
            format!(
                "variables.mounts.all(m, !{} || (m.name == {name} && !has(m.subPath) && !has(m.subPathExpr){writable}))",
                at_path(path, "m.mountPath")
            ),
            format!(
                "!(has(variables.target.volumeDevices) && variables.target.volumeDevices.exists(d, {}))",
                at_path(path, "d.devicePath")
            ),
        ])
    }
}

/// Whether a path is this one, as the kubelet compares them.
fn at_path(path: &str, other: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.map(|part| super::cel::regex(part, "")).collect();
    let between = "/(?:[.]?/)*";
    let regex = format!("^(?:{between})?{}(?:/[.]?)*$", parts.join(between));
    super::cel::matches(&regex, other)
}

/// The text of an annotation, with the container's name where it is.
fn says(text: &str) -> String {
    if text == CONTAINER {
        "variables.container".to_owned()
    } else {
        quote(text)
    }
}

fn when(condition: &str, operation: &str) -> String {
    format!("({condition} ? [{operation}] : [])")
}

fn annotate(key: &str, text: &str) -> String {
    let mut step = Vec::new();
    json::escape_step(key, &mut step);
    let step = String::from_utf8_lossy(&step);
    add(&format!("{ANNOTATIONS}/{step}"), text)
}

fn add(path: &str, value: &str) -> String {
    add_at(&quote(path), value)
}

fn add_at(path: &str, value: &str) -> String {
    format!("JSONPatch{{op: \"add\", path: {path}, value: {value}}}")
}
