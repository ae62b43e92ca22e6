//! What a policy brings into the pod beside its hooks.

use super::{
    super::{Rule, Volume, VolumeSource, file, name},
    Compiler,
};

impl Compiler<'_, '_> {
    pub(super) fn volumes(&mut self, spec: &file::Spec, policy: &str) -> Vec<Volume> {
        let scripts_volume = format!("quiescent-{policy}");
        let scripts_path = format!("/quiescent/{policy}");
        let mut volumes: Vec<Volume> = Vec::new();
        for (name, written) in &spec.volumes {
            let path = ["spec", "volumes", name];
            let file::Volume {
                mount_path,
                empty_dir,
                ephemeral,
            } = written;
            if !name::is_dns_label(name) || *name == scripts_volume {
                self.key_error(Rule::BadVolume, &path, format!("no volume here can have the name {name:?}"))
                    .help("use small letters, digits and -, at most 63, and not the name of the volume with the scripts");
            }
            if !is_mount_path(mount_path) {
                self.error(
                    Rule::BadVolume,
                    &["spec", "volumes", name, "mountPath"],
                    format!("{mount_path:?} is no path to mount at"),
                )
                .help("write an absolute path to a folder of its own, without . and .. and : and a / at its end");
            }
            let taken = volumes.iter().any(|other| other.mount_path == *mount_path);
            if taken || is_within(mount_path, &scripts_path) || is_within(&scripts_path, mount_path)
            {
                self.error(
                    Rule::BadVolume,
                    &["spec", "volumes", name, "mountPath"],
                    format!("{mount_path:?} meets another volume: the scripts are mounted at {scripts_path:?}"),
                );
            }
            let source = match (empty_dir, ephemeral) {
                (Some(empty_dir), None) => {
                    self.quantity(
                        empty_dir.size_limit.as_ref(),
                        &["spec", "volumes", name, "emptyDir", "sizeLimit"],
                    );
                    VolumeSource::EmptyDir(empty_dir.clone())
                }
                (None, Some(ephemeral)) => {
                    self.quantity(
                        Some(&ephemeral.size),
                        &["spec", "volumes", name, "ephemeral", "size"],
                    );
                    self.storage_class(ephemeral.storage_class.as_ref(), name);
                    VolumeSource::Ephemeral(ephemeral.clone())
                }
                _ => {
                    self.error(
                        Rule::BadVolume,
                        &path,
                        "a volume is one of emptyDir and ephemeral",
                    )
                    .help("write emptyDir: {sizeLimit: 10Gi}");
                    continue;
                }
            };
            volumes.push(Volume {
                name: name.clone(),
                mount_path: mount_path.clone(),
                source,
            });
        }
        volumes
    }

    fn storage_class(&mut self, class: Option<&String>, volume: &str) {
        if let Some(class) = class.filter(|class| !name::is_dns_subdomain(class)) {
            self.error(
                Rule::BadVolume,
                &["spec", "volumes", volume, "ephemeral", "storageClass"],
                format!("no storage class can have the name {class:?}"),
            )
            .help("write one that kubectl get storageclass lists, or leave it out for the default");
        }
    }

    fn quantity(&mut self, quantity: Option<&String>, path: &[&str]) {
        if let Some(quantity) = quantity.filter(|quantity| !name::is_quantity(quantity)) {
            self.error(Rule::BadVolume, path, format!("{quantity:?} is no size"))
                .help("write a number and a unit, such as 10Gi");
        }
    }

    pub(super) fn backup_volumes(&mut self, spec: &file::Spec) {
        for (index, name) in spec.backup_volumes.add.iter().enumerate() {
            if !name::is_dns_label(name) {
                let index = index.to_string();
                self.error(Rule::BadBackupVolume, &["spec", "backupVolumes", "add", &index], format!("no volume can have the name {name:?}, so Velero would pass over it in silence"));
            }
        }
    }
}

/// A path as it comes out of cleaning, to a folder in which a container can do without its own.
fn is_mount_path(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let plain = |part: &&str| !matches!(*part, "" | "." | "..");
    let systems = ["proc", "sys", "dev"];
    path.starts_with('/')
        && !path.contains([':', '\0'])
        && parts.iter().all(plain)
        && !parts.first().is_some_and(|first| systems.contains(first))
}

fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
