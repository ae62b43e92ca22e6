//! The volumes and mounts that policies bring, beside those that are there.

use serde_json::{Value, json};

use super::{Change, NewMount, NewVolume, Source, coordinator};
use crate::{
    json,
    pod::{PodView, Storage, Volume, same_path},
    policy::{Policy, VolumeSource, file::Ephemeral},
    select::Reason,
};

/// How many changes a pod needs, usually at most: annotations of three hooks, volumes and mounts.
const MOST_CHANGES: usize = 24;

/// What is to be added so far. A policy whose volumes do not fit adds none of them.
pub struct Volumes<'a, 's, 'v> {
    storage: &'s Storage<'v>,
    changes: Vec<Change<'a>>,
}

/// One volume that a policy wants, at its place in the container.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub policy: &'a Policy,
    pub volume: NewVolume<'a>,
    pub mount: NewMount<'a>,
}

impl<'a, 's, 'v> Volumes<'a, 's, 'v> {
    pub fn new(storage: &'s Storage<'v>) -> Self {
        Self {
            storage,
            changes: Vec::with_capacity(MOST_CHANGES),
        }
    }

    fn added(&self) -> impl Iterator<Item = &NewVolume<'a>> {
        self.changes.iter().filter_map(|change| match change {
            Change::Volume(volume) => Some(volume),
            _ => None,
        })
    }

    fn mounts(&self) -> impl Iterator<Item = &NewMount<'a>> {
        self.changes.iter().filter_map(|change| match change {
            Change::Mount(mount) => Some(mount),
            _ => None,
        })
    }

    /// Takes all volumes of a policy, or none of them and says why.
    pub fn add(&mut self, policy: &'a Policy, container: usize) -> Result<(), Reason> {
        for Wanted { volume, mount, .. } in wanted(policy, container) {
            self.fits(policy, volume)?;
            self.mount_fits(mount)?;
        }
        let of_coordinator = coordinator::volume(policy);
        if let Some(volume) = of_coordinator {
            self.fits(policy, volume)?;
        }
        for one in wanted(policy, container) {
            self.take(one);
        }
        let new = of_coordinator.filter(|volume| self.there(volume.name).is_none());
        self.changes.extend(new.map(Change::Volume));
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
        let planned = self.added().find(|it| it.name == volume.name);
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
        let taken = &self.storage.taken[mount.container];
        let planned = self
            .mounts()
            .filter(|it| it.container == mount.container && same_path(it.path, mount.path));
        let mut planned = planned.map(|it| it.volume == mount.volume);
        let mut mounts = taken.mounts.iter();
        let as_wanted = match mounts.find(|it| same_path(&it.mount_path, mount.path)) {
            Some(there) => {
                let writable = mount.read_only || there.read_only != Some(true);
                *there.name == *mount.volume && there.is_whole() && writable
            }
            None => !taken.devices().any(|it| same_path(it, mount.path)),
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
                        self.changes.push(Change::Scripts {
                            volume: position,
                            name: volume.name,
                            config_map,
                        });
                    }
                }
            }
            None if self.added().any(|it| it.name == volume.name) => {}
            None => self.changes.push(Change::Volume(volume)),
        }
        let mut mounts = self.storage.taken[mount.container].mounts.iter();
        let mounted = mounts.any(|it| same_path(&it.mount_path, mount.path));
        if !mounted && !self.mounts().any(|it| *it == mount) {
            self.changes.push(Change::Mount(mount));
        }
    }

    fn there(&self, name: &str) -> Option<(usize, &'s Volume<'v>)> {
        let mut volumes = self.storage.volumes.iter().enumerate();
        volumes.find(|(_, volume)| *volume.name == *name)
    }

    /// All that is to be done, volumes before their mounts.
    pub fn into_changes(self) -> Vec<Change<'a>> {
        let Self {
            storage: _,
            mut changes,
        } = self;
        changes.sort_by_key(|change| match change {
            Change::Volume(_) => 0,
            Change::Scripts { .. } => 1,
            Change::Mount(_) => 2,
            Change::Container(_)
            | Change::NoAnnotation { .. }
            | Change::Annotation { .. }
            | Change::Complete(_) => 3,
        });
        changes
    }
}

impl NewVolume<'_> {
    /// Writes the volume as a pod has it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self { name, source } = self;
        out.extend_from_slice(br#"{"name":"#);
        json::quote(name, out);
        match source {
            // Optional, so that no pod waits for a ConfigMap that nobody has restored yet. The mode
            // is 0555.
            Source::Scripts { config_map } => {
                out.extend_from_slice(br#","configMap":{"name":"#);
                json::quote(config_map, out);
                out.extend_from_slice(br#","optional":true,"defaultMode":365}}"#);
            }
            Source::Policy(VolumeSource::EmptyDir(empty_dir)) => {
                out.extend_from_slice(br#","emptyDir":"#);
                let written = serde_json::to_writer(&mut *out, empty_dir);
                written.expect("sizes are JSON");
                out.push(b'}');
            }
            Source::Policy(VolumeSource::Ephemeral(ephemeral)) => {
                out.extend_from_slice(br#","ephemeral":"#);
                let written = serde_json::to_writer(&mut *out, &claim(ephemeral));
                written.expect("a claim is JSON");
                out.push(b'}');
            }
        }
    }

    /// The volume as a pod has it.
    #[must_use]
    pub fn json(&self) -> Value {
        read(|out| self.write(out))
    }
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
    /// Writes the mount as a container has it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self {
            container: _,
            volume,
            path,
            read_only,
        } = self;
        out.extend_from_slice(br#"{"name":"#);
        json::quote(volume, out);
        out.extend_from_slice(br#","mountPath":"#);
        json::quote(path, out);
        out.extend_from_slice(if *read_only {
            br#","readOnly":true}"#
        } else {
            b"}"
        });
    }

    /// The mount as a container has it.
    #[must_use]
    pub fn json(&self) -> Value {
        read(|out| self.write(out))
    }
}

fn read(write: impl Fn(&mut Vec<u8>)) -> Value {
    let mut text = Vec::new();
    write(&mut text);
    serde_json::from_slice(&text).expect("what we write is JSON")
}

/// The volume of a pod that has the name of one that a policy wants, and is another one.
#[must_use]
pub fn taken<'a>(policy: &'a Policy, pod: &PodView<'_>) -> Option<&'a str> {
    let storage = Storage::read(pod, |_| false).ok()?;
    let there = Volumes::new(&storage);
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
