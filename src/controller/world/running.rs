//! What is kept of a pod that runs, beside what policies read of it.
use super::{super::workloads::Workload, moment};
use crate::{
    missed::{Found, Owner, Standing},
    replica::Moment,
};

/// A pod that is there.
pub struct Running {
    /// Whether it has been told to go.
    pub going: bool,
    uid: Box<str>,
    pub version: Box<str>,
    created: Moment,
    owner: Option<Box<Owner>>,
    /// Absent where nothing in it looks like a database, and where it goes anyway.
    pub standing: Option<Standing>,
}

impl Running {
    pub fn new(pod: &Workload) -> Option<Self> {
        let meta = &pod.metadata;
        let mut owners = meta.owner_references.iter().flatten();
        let owner = owners.find(|it| it.controller == Some(true));
        let owner = owner.map(|it| Owner {
            api_version: it.api_version.clone(),
            kind: it.kind.clone(),
            name: it.name.clone(),
            uid: it.uid.clone(),
        });
        let created = meta.creation_timestamp.as_ref();
        Some(Self {
            going: meta.deletion_timestamp.is_some(),
            uid: meta.uid.as_deref()?.into(),
            version: meta.resource_version.as_deref()?.into(),
            created: created.map_or(0, |time| moment(time.0)),
            owner: owner.map(Box::new),
            standing: None,
        })
    }

    pub fn uid(&self) -> &str {
        &self.uid
    }

    pub fn is_of(&self, owner: &str) -> bool {
        self.owner.as_ref().is_some_and(|it| it.uid == owner)
    }

    /// What owns it; itself, by its name, where nothing does.
    pub fn owner(&self, pod: &str) -> Owner {
        let itself = || Owner {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: pod.to_owned(),
            uid: self.uid.to_string(),
        };
        self.owner.as_deref().cloned().unwrap_or_else(itself)
    }

    /// The pod, where something is to be said or done about it.
    pub fn found(&self, namespace: &str, pod: &str) -> Option<Found> {
        let standing = self.standing.as_ref()?;
        standing.matters().then(|| Found {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            uid: self.uid.to_string(),
            created: self.created,
            owner: self.owner.as_deref().cloned(),
            standing: standing.clone(),
        })
    }
}
