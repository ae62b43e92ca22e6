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
            let clean = mount_path.starts_with('/')
                && mount_path.len() > 1
                && !mount_path.contains([':', '\0'])
                && !mount_path.split('/').any(|part| part == "..");
            if !clean {
                self.error(
                    Rule::BadVolume,
                    &["spec", "volumes", name, "mountPath"],
                    format!("{mount_path:?} is no path to mount at"),
                )
                .help("write an absolute path without .. and :");
            }
            if volumes.iter().any(|other| other.mount_path == *mount_path)
                || *mount_path == scripts_path
            {
                self.error(
                    Rule::BadVolume,
                    &["spec", "volumes", name, "mountPath"],
                    format!("another volume is mounted at {mount_path:?}"),
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
