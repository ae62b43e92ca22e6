//! What matching and planning need of a pod, borrowed from its JSON.
//!
//! Everything else in the pod is passed over: never decoded, and so never lost. Fields that are
//! `null` count as absent, as they do for the API server.

use std::fmt;

use crate::json::{self, Fault, FromJson, List, Pairs, Raw, Text, There, view};

view! {
    /// A pod, or the template of one.
    pub struct PodView<'a> {
        metadata: Option<Metadata<'a>> = "metadata",
        spec: Spec<'a> = "spec",
    }

    pub struct Metadata<'a> {
        name: Option<Text<'a>> = "name",
        generate_name: Option<Text<'a>> = "generateName",
        labels: Option<Pairs<'a>> = "labels",
        annotations: Option<Pairs<'a>> = "annotations",
        owner_references: Option<List<'a, OwnerReference<'a>>> = "ownerReferences",
    }

    pub struct OwnerReference<'a> {
        kind: Text<'a> = "kind",
        name: Text<'a> = "name",
    }

    pub struct Spec<'a> {
        containers: Option<Vec<Container<'a>>> = "containers",
        init_containers: Option<List<'a, Container<'a>>> = "initContainers",
        volumes: Option<List<'a, Volume<'a>>> = "volumes",
        restart_policy: Option<Text<'a>> = "restartPolicy",
        node_selector: Option<Pairs<'a>> = "nodeSelector",
        os: Option<Os<'a>> = "os",
    }

    pub struct Os<'a> {
        name: Text<'a> = "name",
    }

    pub struct Container<'a> {
        name: Text<'a> = "name",
        image: Option<Text<'a>> = "image",
        command: Option<List<'a, Text<'a>>> = "command",
        args: Option<List<'a, Text<'a>>> = "args",
        ports: Option<List<'a, ContainerPort<'a>>> = "ports",
        volume_mounts: Option<List<'a, VolumeMount<'a>>> = "volumeMounts",
        volume_devices: Option<List<'a, VolumeDevice<'a>>> = "volumeDevices",
        /// `Always` makes an init container a native sidecar.
        restart_policy: Option<Text<'a>> = "restartPolicy",
        env: Option<Raw<'a>> = "env",
        env_from: Option<Raw<'a>> = "envFrom",
        resources: Option<Raw<'a>> = "resources",
        security_context: Option<Raw<'a>> = "securityContext",
        image_pull_policy: Option<Raw<'a>> = "imagePullPolicy",
    }

    pub struct ContainerPort<'a> {
        container_port: Option<i64> = "containerPort",
    }

    pub struct VolumeMount<'a> {
        name: Text<'a> = "name",
        mount_path: Text<'a> = "mountPath",
        read_only: Option<bool> = "readOnly",
        sub_path: Option<Text<'a>> = "subPath",
        sub_path_expr: Option<Text<'a>> = "subPathExpr",
    }

    /// A volume as a block device, which takes a path as a mount does.
    pub struct VolumeDevice<'a> {
        device_path: Text<'a> = "devicePath",
    }

    /// A volume, with as much of its source as tells ours from others.
    pub struct Volume<'a> {
        name: Text<'a> = "name",
        config_map: Option<ConfigMapSource<'a>> = "configMap",
        empty_dir: Option<There> = "emptyDir",
        ephemeral: Option<There> = "ephemeral",
    }

    pub struct ConfigMapSource<'a> {
        name: Text<'a> = "name",
    }
}

impl fmt::Display for OwnerReference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl VolumeMount<'_> {
    /// Whether the root of the volume is mounted, and not a part of it.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.sub_path.is_none() && self.sub_path_expr.is_none()
    }
}

/// Whether two paths are one, as the kubelet compares them: `/a//b/./` is `/a/b`.
#[must_use]
pub fn same_path(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    one == other
        || !end_differently(one, other)
            && loop {
                match (last_part(&mut one), last_part(&mut other)) {
                    (None, None) => break true,
                    (one, other) if one == other => {}
                    _ => break false,
                }
            }
}

/// Whether two paths end in different letters of their last parts, and so are two.
fn end_differently(one: &[u8], other: &[u8]) -> bool {
    let last = |path: &[u8]| {
        path.last()
            .copied()
            .filter(|end| !matches!(end, b'/' | b'.'))
    };
    matches!((last(one), last(other)), (Some(one), Some(other)) if one != other)
}

/// Takes the last part off a path. Empty ones and `.` are none.
fn last_part<'p>(path: &mut &'p [u8]) -> Option<&'p [u8]> {
    while !path.is_empty() {
        let slash = path.iter().rposition(|byte| *byte == b'/');
        let part = &path[slash.map_or(0, |slash| slash + 1)..];
        *path = &path[..slash.unwrap_or(0)];
        if !matches!(part, b"" | b".") {
            return Some(part);
        }
    }
    None
}

/// A pod's volumes and what they take in each container.
#[derive(Debug)]
pub struct Storage<'v> {
    pub volumes: Vec<Volume<'v>>,
    /// By container; nothing for those that nobody wanted to know about.
    pub taken: Vec<Taken<'v>>,
}

/// What volumes take in one container, as mounts and as devices.
#[derive(Debug, Default)]
pub struct Taken<'v> {
    pub mounts: Vec<VolumeMount<'v>>,
    devices: Vec<VolumeDevice<'v>>,
}

impl<'v> Storage<'v> {
    /// Reads what was put off in a pod until somebody asks, and keeps what is about volumes, of the
    /// containers that are wanted: all of them together may have as many mounts as a body has room for.
    ///
    /// # Errors
    /// As those of `check`.
    pub fn read(pod: &PodView<'v>, wanted: impl Fn(usize) -> bool) -> Result<Self, Fault> {
        let PodView {
            metadata,
            spec,
            borrowed: _,
        } = pod;
        let Spec {
            containers: _,
            init_containers,
            volumes,
            restart_policy: _,
            node_selector: _,
            os: _,
            borrowed: _,
        } = spec;
        metadata.check()?;
        init_containers.check()?;
        let taken = pod.containers().iter().enumerate().map(|(at, container)| {
            if wanted(at) {
                Taken::read(container)
            } else {
                container.check().map(|()| Taken::default())
            }
        });
        Ok(Self {
            volumes: items(volumes.as_ref())?,
            taken: taken.collect::<Result<_, _>>()?,
        })
    }
}

impl<'v> Taken<'v> {
    fn read(container: &Container<'v>) -> Result<Self, Fault> {
        let Container {
            name: _,
            image: _,
            command,
            args,
            ports,
            volume_mounts,
            volume_devices,
            restart_policy: _,
            env: _,
            env_from: _,
            resources: _,
            security_context: _,
            image_pull_policy: _,
            borrowed: _,
        } = container;
        command.check()?;
        args.check()?;
        ports.check()?;
        Ok(Self {
            mounts: items(volume_mounts.as_ref())?,
            devices: items(volume_devices.as_ref())?,
        })
    }
}

fn items<'a, T: FromJson<'a>>(list: Option<&List<'a, T>>) -> Result<Vec<T>, Fault> {
    list.map_or_else(|| Ok(Vec::new()), List::read)
}

impl Taken<'_> {
    /// The paths at which there are devices.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.devices.iter().map(|device| &*device.device_path)
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let mounts = self.mounts.iter().map(|mount| &*mount.mount_path);
        mounts.chain(self.devices())
    }
}

impl<'a> PodView<'a> {
    /// Reads a pod from JSON.
    ///
    /// # Errors
    /// When the text is no JSON, or what is read of it has another type than a pod's.
    pub fn parse(json: &'a str) -> Result<Self, json::Error> {
        let pod: Self = json::read(json)?;
        let checked = pod.check();
        checked.map_err(|fault| json::Error::new(fault, json))?;
        Ok(pod)
    }

    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.labels.as_ref()?.get(key)
    }

    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let labels = self.metadata.as_ref().and_then(|it| it.labels.as_ref());
        labels.into_iter().flat_map(Pairs::iter)
    }

    /// Keys and values of the annotations, not yet decoded.
    pub fn annotation_texts(&self) -> impl Iterator<Item = (&Text<'a>, &Text<'a>)> {
        let metadata = self.metadata.as_ref();
        let annotations = metadata.and_then(|it| it.annotations.as_ref());
        annotations.into_iter().flat_map(Pairs::texts)
    }

    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let metadata = self.metadata.as_ref();
        let annotations = metadata.and_then(|it| it.annotations.as_ref());
        annotations.into_iter().flat_map(Pairs::iter)
    }

    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.annotations.as_ref()?.get(key)
    }

    pub fn owners(&self) -> impl Iterator<Item = OwnerReference<'a>> {
        let metadata = self.metadata.as_ref();
        let owners = metadata.and_then(|it| it.owner_references.as_ref());
        owners.into_iter().flat_map(List::iter)
    }

    #[must_use]
    pub fn containers(&self) -> &[Container<'a>] {
        self.spec.containers.as_deref().unwrap_or_default()
    }

    pub fn init_containers(&self) -> impl Iterator<Item = Container<'a>> {
        self.spec.init_containers.iter().flat_map(List::iter)
    }
}

impl<'a> Container<'a> {
    /// The words of its command and arguments, as far as the pod says them.
    #[must_use]
    pub fn words(&self) -> Vec<Text<'a>> {
        let said = self.command.iter().chain(&self.args);
        said.flat_map(List::iter).collect()
    }

    #[must_use]
    pub fn is_native_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }

    #[must_use]
    pub fn has_port(&self, port: u16) -> bool {
        let mut ports = self.ports.iter().flat_map(List::iter);
        ports.any(|it| it.container_port == Some(port.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::same_path;

    #[test]
    fn paths_are_compared_as_the_kubelet_does() {
        for (one, other) in [
            ("/a/b", "/a/b"),
            ("/a//b/./", "/a/b"),
            ("a/b", "/a/b/."),
            ("/", ""),
        ] {
            assert!(same_path(one, other), "{one} {other}");
            assert!(same_path(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("/a/b", "/a/c"),
            ("/a/b", "/c/b"),
            ("/a/b.", "/a/b"),
            ("/a", "/a/b/"),
            ("/b/a", "/a"),
        ] {
            assert!(!same_path(one, other), "{one} {other}");
            assert!(!same_path(other, one), "{one} {other}");
        }
    }
}
