//! What matching and planning need of a pod, borrowed from its JSON.
//!
//! Everything else in the pod is passed over: never decoded, and so never lost. Fields that are
//! `null` count as absent, as they do for the API server.

mod text;

use serde::Deserialize;

pub use text::{Pairs, Text};

/// A pod, or the template of one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct PodView<'a> {
    pub metadata: Option<Metadata<'a>>,
    #[serde(default, deserialize_with = "or_default")]
    pub spec: Spec<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct Metadata<'a> {
    pub name: Option<Text<'a>>,
    pub generate_name: Option<Text<'a>>,
    pub labels: Option<Pairs<'a>>,
    pub annotations: Option<Pairs<'a>>,
    pub owner_references: Option<Vec<OwnerReference<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct OwnerReference<'a> {
    #[serde(default)]
    pub kind: Text<'a>,
    #[serde(default)]
    pub name: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct Spec<'a> {
    pub containers: Option<Vec<Container<'a>>>,
    pub init_containers: Option<Vec<Container<'a>>>,
    pub volumes: Option<Vec<Volume<'a>>>,
    pub restart_policy: Option<Text<'a>>,
    pub node_selector: Option<Pairs<'a>>,
    pub os: Option<Os<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct Os<'a> {
    #[serde(default)]
    pub name: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct Container<'a> {
    #[serde(default)]
    pub name: Text<'a>,
    pub image: Option<Text<'a>>,
    pub ports: Option<Vec<ContainerPort>>,
    pub volume_mounts: Option<Vec<VolumeMount<'a>>>,
    pub volume_devices: Option<Vec<VolumeDevice<'a>>>,
    /// `Always` makes an init container a native sidecar.
    pub restart_policy: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    pub container_port: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct VolumeMount<'a> {
    #[serde(default)]
    pub name: Text<'a>,
    #[serde(default)]
    pub mount_path: Text<'a>,
    pub read_only: Option<bool>,
    pub sub_path: Option<Text<'a>>,
    pub sub_path_expr: Option<Text<'a>>,
}

/// A volume as a block device, which takes a path as a mount does.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct VolumeDevice<'a> {
    #[serde(default)]
    pub device_path: Text<'a>,
}

impl VolumeMount<'_> {
    /// Whether the root of the volume is mounted, and not a part of it.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.sub_path.is_none() && self.sub_path_expr.is_none()
    }
}

/// A volume, with as much of its source as tells ours from others.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct Volume<'a> {
    #[serde(default)]
    pub name: Text<'a>,
    pub config_map: Option<ConfigMapSource<'a>>,
    pub empty_dir: Option<serde::de::IgnoredAny>,
    pub ephemeral: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct ConfigMapSource<'a> {
    #[serde(default)]
    pub name: Text<'a>,
}

/// `null` is what is absent.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
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
