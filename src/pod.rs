//! What matching and planning need of a pod, borrowed from its JSON.
//!
//! Everything else in the pod is passed over: never decoded, and so never lost. Fields that are
//! `null` count as absent, as they do for the API server.

mod text;
mod view;

use serde::de::IgnoredAny;

pub use text::{Pairs, Text};
pub(crate) use view::view;

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
        owner_references: Option<Vec<OwnerReference<'a>>> = "ownerReferences",
    }

    pub struct OwnerReference<'a> {
        kind: Text<'a> = "kind",
        name: Text<'a> = "name",
    }

    pub struct Spec<'a> {
        containers: Option<Vec<Container<'a>>> = "containers",
        init_containers: Option<Vec<Container<'a>>> = "initContainers",
        volumes: Option<Vec<Volume<'a>>> = "volumes",
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
        ports: Option<Vec<ContainerPort<'a>>> = "ports",
        volume_mounts: Option<Vec<VolumeMount<'a>>> = "volumeMounts",
        volume_devices: Option<Vec<VolumeDevice<'a>>> = "volumeDevices",
        /// `Always` makes an init container a native sidecar.
        restart_policy: Option<Text<'a>> = "restartPolicy",
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
        empty_dir: Option<IgnoredAny> = "emptyDir",
        ephemeral: Option<IgnoredAny> = "ephemeral",
    }

    pub struct ConfigMapSource<'a> {
        name: Text<'a> = "name",
    }
}

impl VolumeMount<'_> {
    /// Whether the root of the volume is mounted, and not a part of it.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.sub_path.is_none() && self.sub_path_expr.is_none()
    }
}

/// A path as the kubelet compares it: `/a//b/./` is `/a/b`.
#[must_use]
pub fn clean_path(path: &str) -> String {
    let parts = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    let parts: Vec<&str> = parts.collect();
    format!("/{}", parts.join("/"))
}

impl<'a> PodView<'a> {
    /// Reads a pod from JSON.
    ///
    /// # Errors
    /// When the text is no JSON, or what is read of it has another type than a pod's.
    pub fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.labels.as_ref()?.get(key)
    }

    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.metadata.as_ref().and_then(|it| it.labels.as_ref());
        labels.into_iter().flat_map(Pairs::iter)
    }

    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        let annotations = self
            .metadata
            .as_ref()
            .and_then(|it| it.annotations.as_ref());
        annotations.into_iter().flat_map(Pairs::iter)
    }

    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.annotations.as_ref()?.get(key)
    }

    #[must_use]
    pub fn owners(&self) -> &[OwnerReference<'a>] {
        let owners = self
            .metadata
            .as_ref()
            .and_then(|it| it.owner_references.as_deref());
        owners.unwrap_or_default()
    }

    #[must_use]
    pub fn containers(&self) -> &[Container<'a>] {
        self.spec.containers.as_deref().unwrap_or_default()
    }

    #[must_use]
    pub fn init_containers(&self) -> &[Container<'a>] {
        self.spec.init_containers.as_deref().unwrap_or_default()
    }

    #[must_use]
    pub fn volumes(&self) -> &[Volume<'a>] {
        self.spec.volumes.as_deref().unwrap_or_default()
    }
}

impl<'a> Container<'a> {
    #[must_use]
    pub fn mounts(&self) -> &[VolumeMount<'a>] {
        self.volume_mounts.as_deref().unwrap_or_default()
    }

    /// The paths that volumes take in this container, as mounts and as devices.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let devices = self.volume_devices.iter().flatten();
        let devices = devices.map(|device| &*device.device_path);
        self.mounts()
            .iter()
            .map(|mount| &*mount.mount_path)
            .chain(devices)
    }

    #[must_use]
    pub fn is_native_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }

    #[must_use]
    pub fn has_port(&self, port: u16) -> bool {
        let ports = self.ports.as_deref().unwrap_or_default();
        ports
            .iter()
            .any(|it| it.container_port == Some(port.into()))
    }
}
