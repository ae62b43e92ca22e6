//! The volumes and mounts that policies bring, beside those that are there.

use serde_json::{Value, json};

use super::{Change, NewMount, NewVolume, Source};
use crate::{
    pod::{PodView, Volume, clean_path},
    policy::{Policy, VolumeSource},
    select::Reason,
};

/// What is to be added so far. A policy whose volumes do not fit adds none of them.
pub struct Volumes<'v> {
    pod: &'v PodView<'v>,
    added: Vec<NewVolume>,
    updates: Vec<Change>,
    mounts: Vec<NewMount>,
}

/// One volume that a policy wants, at its place in the container.
pub struct Wanted {
    pub volume: NewVolume,
    pub mount: NewMount,
    /// What the names of all versions of the scripts' ConfigMap begin with.
    pub config_map_prefix: String,
}

impl<'v> Volumes<'v> {
    pub const fn new(pod: &'v PodView<'v>) -> Self {
        Self {
            pod,
            added: Vec::new(),
            updates: Vec::new(),
            mounts: Vec::new(),
        }
    }

    /// Takes all volumes of a policy, or none of them and says why.
    pub fn add(&mut self, policy: &Policy, container: usize) -> Result<(), Reason> {
        let wanted = wanted(policy, container);
        for Wanted {
            volume,
            mount,
            config_map_prefix,
        } in &wanted
        {
            self.fits(volume, config_map_prefix)?;
            self.mount_fits(mount)?;
        }
        for one in wanted {
            self.take(one);
        }
        Ok(())
    }

    fn fits(&self, volume: &NewVolume, config_map_prefix: &str) -> Result<(), Reason> {
        let in_pod = self
            .there(&volume.name)
            .map(|(_, it)| match &volume.source {
                Source::Scripts { .. } => it
                    .config_map
                    .as_ref()
                    .is_some_and(|source| source.name.starts_with(config_map_prefix)),
                Source::Policy(VolumeSource::EmptyDir(_)) => it.empty_dir.is_some(),
                Source::Policy(VolumeSource::Ephemeral(_)) => it.ephemeral.is_some(),
            });
        let planned = self.added.iter().find(|it| it.name == volume.name);
        let like_planned = planned.is_none_or(|it| match (&it.source, &volume.source) {
            (Source::Scripts { .. }, Source::Scripts { .. }) => it == volume,
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

    fn mount_fits(&self, mount: &NewMount) -> Result<(), Reason> {
        let container = &self.pod.containers()[mount.container];
        let path = clean_path(&mount.path);
        let planned = self
            .mounts
            .iter()
            .filter(|it| it.container == mount.container && clean_path(&it.path) == path);
        let mut planned = planned.map(|it| it.volume == mount.volume);
        let as_wanted = match container
            .mounts()
            .iter()
            .find(|it| clean_path(&it.mount_path) == path)
        {
            Some(there) => {
                let writable = mount.read_only || there.read_only != Some(true);
                *there.name == *mount.volume && there.is_whole() && writable
            }
            // What takes the path and is no mount is a device.
            None => !container.paths().any(|it| clean_path(it) == path),
        };
        if as_wanted && planned.all(|same| same) {
            Ok(())
        } else {
            Err(Reason::MountPathTaken)
        }
    }

    fn take(&mut self, wanted: Wanted) {
        let Wanted { volume, mount, .. } = wanted;
        match self.there(&volume.name) {
            Some((position, present)) => {
                if let Source::Scripts { config_map } = volume.source {
                    let current = present.config_map.as_ref().map(|source| &*source.name);
                    if current != Some(config_map.as_str()) {
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
        let container = &self.pod.containers()[mount.container];
        let mounted = container
            .mounts()
            .iter()
            .any(|it| clean_path(&it.mount_path) == clean_path(&mount.path));
        if !mounted && !self.mounts.contains(&mount) {
            self.mounts.push(mount);
        }
    }

    fn there(&self, name: &str) -> Option<(usize, &'v Volume<'v>)> {
        let mut volumes = self.pod.volumes().iter().enumerate();
        volumes.find(|(_, volume)| *volume.name == *name)
    }

    pub fn into_changes(self) -> Vec<Change> {
        let Self {
            pod: _,
            added,
            updates,
            mounts,
        } = self;
        let volumes = added.into_iter().map(Change::Volume);
        let mounts = mounts.into_iter().map(Change::Mount);
        volumes.chain(updates).chain(mounts).collect()
    }
}

impl NewVolume {
    /// The volume as a pod has it.
    #[must_use]
    pub fn json(&self) -> Value {
        let Self { name, source } = self;
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
}

impl NewMount {
    /// The mount as a container has it.
    #[must_use]
    pub fn json(&self) -> Value {
        let Self {
            container: _,
            volume,
            path,
            read_only,
        } = self;
        let mut json = json!({"name": volume, "mountPath": path});
        if *read_only {
            json["readOnly"] = true.into();
        }
        json
    }
}

pub fn wanted(policy: &Policy, container: usize) -> Vec<Wanted> {
    let config_map_prefix = format!("quiescent-{}-", policy.name);
    let scripts = policy.config_map().map(|config_map| Wanted {
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
        config_map_prefix: config_map_prefix.clone(),
    });
    let others = policy.volumes.iter().map(|volume| Wanted {
        volume: NewVolume {
            name: volume.name.clone(),
            source: Source::Policy(volume.source.clone()),
        },
        mount: NewMount {
            container,
            volume: volume.name.clone(),
            path: volume.mount_path.clone(),
            read_only: false,
        },
        config_map_prefix: config_map_prefix.clone(),
    });
    scripts.into_iter().chain(others).collect()
}
