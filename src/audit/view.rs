//! What is read of a pod beside what the engine reads: what runs in it, and what its volumes are.

use crate::{
    json::{Text, There, view},
    recognise::Clues,
};

view! {
    pub struct Seen<'a> {
        metadata: Option<About<'a>> = "metadata",
        spec: Body<'a> = "spec",
        status: Option<Status<'a>> = "status",
    }

    pub struct About<'a> {
        name: Option<Text<'a>> = "name",
        uid: Option<There> = "uid",
    }

    pub struct Body<'a> {
        containers: Option<Vec<Clues<'a>>> = "containers",
        init_containers: Option<Vec<Clues<'a>>> = "initContainers",
        volumes: Option<Vec<Volume<'a>>> = "volumes",
    }

    pub struct Status<'a> {
        phase: Option<Text<'a>> = "phase",
    }

    pub struct Volume<'a> {
        name: Text<'a> = "name",
        claim: Option<There> = "persistentVolumeClaim",
        ephemeral: Option<There> = "ephemeral",
        csi: Option<There> = "csi",
        empty_dir: Option<There> = "emptyDir",
        host_path: Option<There> = "hostPath",
        config_map: Option<ConfigMap<'a>> = "configMap",
        secret: Option<There> = "secret",
        projected: Option<There> = "projected",
        downward_api: Option<There> = "downwardAPI",
    }

    pub struct ConfigMap<'a> {
        name: Text<'a> = "name",
    }
}

/// What a volume is, as far as a backup cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A claim, or one that comes and goes with the pod.
    Claim,
    EmptyDir,
    HostPath,
    /// Objects of Kubernetes, which are backed up as such.
    Objects,
    /// One of those that only a file copy can save, if anything.
    Other,
}

impl Volume<'_> {
    /// Whether it is gone when the pod is: such a claim is the pod's own, and a CSI volume without one too.
    pub const fn is_fleeting(&self) -> bool {
        self.empty_dir.is_some() || self.ephemeral.is_some() || self.csi.is_some()
    }

    pub const fn kind(&self) -> Kind {
        if self.claim.is_some() || self.ephemeral.is_some() {
            Kind::Claim
        } else if self.empty_dir.is_some() {
            Kind::EmptyDir
        } else if self.host_path.is_some() {
            Kind::HostPath
        } else if self.config_map.is_some()
            || self.secret.is_some()
            || self.projected.is_some()
            || self.downward_api.is_some()
        {
            Kind::Objects
        } else {
            Kind::Other
        }
    }
}

impl<'a> Seen<'a> {
    pub fn volumes(&self) -> &[Volume<'a>] {
        self.spec.volumes.as_deref().unwrap_or_default()
    }

    pub fn phase(&self) -> Option<&str> {
        self.status.as_ref()?.phase.as_deref()
    }

    /// Velero passes over pods that have ended.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase(), Some("Succeeded" | "Failed"))
    }

    /// Whether an API server made it. A manifest is of a pod to come.
    pub fn exists(&self) -> bool {
        let metadata = self.metadata.as_ref();
        metadata.is_some_and(|it| it.uid.is_some()) || self.phase().is_some()
    }
}
