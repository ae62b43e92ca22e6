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
    #[serde(default)]
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
