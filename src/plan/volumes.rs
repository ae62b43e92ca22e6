//! The volumes and mounts that policies bring, beside those that are there.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Value, json};

use super::{Change, NewMount, NewVolume, Source};
use crate::{
    pod::{PodView, Taken, Volume, same_path},
    policy::{Policy, VolumeSource, file::Ephemeral},
    select::Reason,
};

/// How many changes a pod needs, usually at most: annotations of three hooks, volumes and mounts.
const MOST_CHANGES: usize = 24;

/// What is to be added so far. A policy whose volumes do not fit adds none of them.
pub struct Volumes<'a, 'v> {
    pod: &'v PodView<'v>,
    /// The pod's own.
    there: Vec<Volume<'v>>,
    /// By container, as far as somebody has asked.
    taken: BTreeMap<usize, Taken<'v>>,
    added: Vec<NewVolume<'a>>,
    updates: Vec<Change<'a>>,
    mounts: Vec<NewMount<'a>>,
}

/// One volume that a policy wants, at its place in the container.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub policy: &'a Policy,
    pub volume: NewVolume<'a>,
    pub mount: NewMount<'a>,
}

impl<'a, 'v> Volumes<'a, 'v> {
    pub fn new(pod: &'v PodView<'v>) -> Self {
        Self {
            pod,
            there: pod.volumes(),
            taken: BTreeMap::new(),
            added: Vec::new(),
            updates: Vec::new(),
            mounts: Vec::new(),
        }
    }

    /// Takes all volumes of a policy, or none of them and says why.
    pub fn add(&mut self, policy: &'a Policy, container: usize) -> Result<(), Reason> {
        let view = &self.pod.containers()[container];
        let taken = self.taken.entry(container);
        taken.or_insert_with(|| view.taken());
        for Wanted { volume, mount, .. } in wanted(policy, container) {
            self.fits(policy, volume)?;
            self.mount_fits(mount)?;
        }
        for one in wanted(policy, container) {
            self.take(one);
        }
        Ok(())
    }

    fn fits(&self, policy: &Policy, volume: NewVolume<'_>) -> Result<(), Reason> {
        let in_pod = self.there(volume.name).map(|(_, it)| match volume.source {
            Source::Scripts { .. } => it
                .config_map
                .as_ref()
                .is_some_and(|source| policy.is_config_map(&source.name)),
            Source::Policy(VolumeSource::EmptyDir(_)) => it.empty_dir.is_some(),
            Source::Policy(VolumeSource::Ephemeral(_)) => it.ephemeral.is_some(),
        });
        let planned = self.added.iter().find(|it| it.name == volume.name);
        let like_planned = planned.is_none_or(|it| match (it.source, volume.source) {
            (Source::Scripts { .. }, Source::Scripts { .. }) => *it == volume,
            (Source::Policy(one), Source::Policy(other)) => {
                std::mem::discriminant(one) == std::mem::discriminant(other)
            }
            _ => false,
        });
        if in_pod.unwrap_or(true) && like_planned {
            Ok(())
        } else {
            Err(Reason::VolumeTaken)
        }
    }

    fn mount_fits(&self, mount: NewMount<'_>) -> Result<(), Reason> {
        let taken = &self.taken[&mount.container];
        let planned = self
            .mounts
            .iter()
            .filter(|it| it.container == mount.container && same_path(it.path, mount.path));
        let mut planned = planned.map(|it| it.volume == mount.volume);
        let mut mounts = taken.mounts.iter();
        let as_wanted = match mounts.find(|it| same_path(&it.mount_path, mount.path)) {
            Some(there) => {
                let writable = mount.read_only || there.read_only != Some(true);
                *there.name == *mount.volume && there.is_whole() && writable
            }
            // What takes the path and is no mount is a device.
            None => !taken.paths().any(|it| same_path(it, mount.path)),
        };
        if as_wanted && planned.all(|same| same) {
            Ok(())
        } else {
            Err(Reason::MountPathTaken)
        }
    }

    fn take(&mut self, wanted: Wanted<'a>) {
        let Wanted { volume, mount, .. } = wanted;
        match self.there(volume.name) {
            Some((position, present)) => {
                if let Source::Scripts { config_map } = volume.source {
                    let current = present.config_map.as_ref().map(|source| &*source.name);
                    if current != Some(config_map) {
                        self.updates.push(Change::Scripts {
                            volume: position,
                            name: volume.name,
                            config_map,
                        });
                    }
                }
            }
            None if self.added.iter().any(|it| it.name == volume.name) => {}
            None => self.added.push(volume),
        }
        let mut mounts = self.taken[&mount.container].mounts.iter();
        let mounted = mounts.any(|it| same_path(&it.mount_path, mount.path));
        if !mounted && !self.mounts.contains(&mount) {
            self.mounts.push(mount);
        }
    }

    fn there(&self, name: &str) -> Option<(usize, &Volume<'v>)> {
        let mut volumes = self.there.iter().enumerate();
        volumes.find(|(_, volume)| *volume.name == *name)
    }

    pub fn into_changes(self) -> Vec<Change<'a>> {
        let Self {
            pod: _,
            there: _,
            taken: _,
            added,
            updates,
            mounts,
        } = self;
        let volumes = added.into_iter().map(Change::Volume);
        let mounts = mounts.into_iter().map(Change::Mount);
        let mut changes = Vec::with_capacity(MOST_CHANGES);
        changes.extend(volumes.chain(updates).chain(mounts));
        changes
    }
}

impl NewVolume<'_> {
    /// The volume as a pod has it.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::to_value(self).expect("names and sizes are JSON")
    }
}

impl Serialize for NewVolume<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { name, source } = self;
        let mut volume = serializer.serialize_map(None)?;
        volume.serialize_entry("name", name)?;
        match source {
            Source::Scripts { config_map } => volume.serialize_entry(
                "configMap",
                &ConfigMap {
                    name: config_map,
                    optional: true,
                    default_mode: 0o555,
                },
            ),
            Source::Policy(VolumeSource::EmptyDir(empty_dir)) => {
                volume.serialize_entry("emptyDir", empty_dir)
            }
            Source::Policy(VolumeSource::Ephemeral(ephemeral)) => {
                volume.serialize_entry("ephemeral", &claim(ephemeral))
            }
        }?;
        volume.end()
    }
}

/// The scripts as a volume.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigMap<'a> {
    name: &'a str,
    /// So that no pod waits for a ConfigMap that nobody has restored yet.
    optional: bool,
    default_mode: u16,
}

fn claim(ephemeral: &Ephemeral) -> Value {
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": ephemeral.size}},
    });
    if let Some(class) = &ephemeral.storage_class {
        spec["storageClassName"] = class.as_str().into();
    }
    json!({"volumeClaimTemplate": {"spec": spec}})
}

impl NewMount<'_> {
    /// The mount as a container has it.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::to_value(self).expect("names and paths are JSON")
    }
}

/// The volume of a pod that has the name of one that a policy wants, and is another one.
#[must_use]
pub fn taken<'a>(policy: &'a Policy, pod: &PodView<'_>) -> Option<&'a str> {
    let there = Volumes::new(pod);
    let mut volumes = wanted(policy, 0).map(|it| it.volume);
    let taken = volumes.find(|volume| there.fits(policy, *volume).is_err());
    taken.map(|volume| volume.name)
}

/// The volumes that a policy wants, its scripts first.
pub fn wanted(policy: &Policy, container: usize) -> impl Iterator<Item = Wanted<'_>> {
    let scripts = policy.config_map().map(|config_map| Wanted {
        policy,
        volume: NewVolume {
            name: policy.scripts_volume(),
            source: Source::Scripts { config_map },
        },
        mount: NewMount {
            container,
            volume: policy.scripts_volume(),
            path: policy.scripts_path(),
            read_only: true,
        },
    });
    let others = policy.volumes.iter().map(move |volume| Wanted {
        policy,
        volume: NewVolume {
            name: &volume.name,
            source: Source::Policy(&volume.source),
        },
        mount: NewMount {
            container,
            volume: &volume.name,
            path: &volume.mount_path,
            read_only: false,
        },
    });
    scripts.into_iter().chain(others)
}
