//! What is kept of snapshots that are under way, so that somebody else can go on with them.

use std::collections::BTreeMap;

use anyhow::bail;
use kube::Client;
use serde::{Deserialize, Serialize};

use super::{Claim, Clock, Group, Plan};
use crate::{
    kubernetes::{ListError, object},
    live::Subject,
    snapshot::Snapshot,
};

/// So much is kept of what a hook printed: its result stands at the end.
const PRINTED: usize = 4096;

#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    target: String,
    set: String,
    members: Vec<Member>,
    claims: Vec<Claim>,
    group: Option<Group>,
    notes: Vec<String>,
    snapshot: Snapshot,
}

#[derive(Debug, Serialize, Deserialize)]
struct Member {
    pod: String,
    policies: Option<String>,
}

impl Kept {
    #[must_use]
    pub fn of(plan: &Plan, snapshot: &Snapshot) -> Self {
        let members = plan.members.iter().map(|it| Member {
            pod: it.name.clone(),
            policies: it.policies.clone(),
        });
        Self {
            target: plan.target.clone(),
            set: plan.set.clone(),
            members: members.collect(),
            claims: plan.claims.clone(),
            group: plan.group.clone(),
            notes: plan.notes.clone(),
            snapshot: snapshot.shortened(PRINTED),
        }
    }

    /// The claims that it is of.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.claims.iter().map(|it| it.name.as_str())
    }

    /// Goes on from where it was: what was held is undone, and no pre hook runs twice.
    ///
    /// # Errors
    /// When the cluster cannot be asked for its pods.
    pub async fn restore(
        self,
        client: &Client,
        namespace: &str,
    ) -> anyhow::Result<(Plan, Snapshot)> {
        let Self {
            target,
            set,
            members,
            claims,
            group,
            notes,
            mut snapshot,
        } = self;
        if members.len() != snapshot.members().len() || claims.len() != snapshot.cuts().len() {
            bail!("what was kept does not fit together");
        }
        let clock = Clock::of(client).await?;
        let mut subjects = Vec::new();
        for (
            Member {
                pod: name,
                policies,
            },
            member,
        ) in members.into_iter().zip(snapshot.members())
        {
            let path = format!("/api/v1/namespaces/{namespace}/pods");
            let pod = match object(client, &path, &name).await {
                Err(ListError::Absent { .. }) => "{}".to_owned(),
                pod => pod?,
            };
            subjects.push(Subject {
                namespace: namespace.to_owned(),
                name,
                policies,
                hooks: member.tried().hooks,
                labels: BTreeMap::new(),
                pod,
            });
        }
        snapshot.recover(clock.now());
        let plan = Plan {
            namespace: namespace.to_owned(),
            target,
            set,
            members: subjects,
            claims,
            group,
            notes,
            clock,
        };
        Ok((plan, snapshot))
    }
}
