//! From what an object asks for to what is to be done, or why that is not begun.

use serde_json::Value;

use super::{
    Snapshots,
    claims::{Claimed, Claims},
    known::Key,
};
use crate::{
    live::labels,
    snapshot::resource::{self, Group, Request},
    snapshotter::{Grouping, Plan, Target, Wanted, backed_up},
};

/// Why one is not begun.
pub enum NotBegun {
    /// It never will be.
    Refused(String),
    /// Another one is at its claims.
    Busy(String),
    /// The cluster could not be asked.
    Later(String),
}

impl Snapshots {
    /// What is to be done, where nobody else is at the same claims.
    pub(super) async fn begin<'c>(
        &self,
        (namespace, name): &Key,
        object: &Value,
        claims: &'c Claims,
    ) -> Result<(Claimed<'c>, Plan, Request), NotBegun> {
        let request = Request::of(object).map_err(NotBegun::Refused)?;
        let target = request.target.as_ref().and_then(resource::Wanted::text);
        let target = target.map(|it| it.parse::<Target>()).transpose();
        let target = target.map_err(NotBegun::Refused)?;
        let selector = request
            .selector
            .as_ref()
            .map(|_| labels(&object["spec"]["selector"]));
        let wanted = Wanted {
            namespace: Some(namespace),
            target: target.as_ref(),
            selector: selector.as_deref(),
            class: request.snapshot_class_name.as_deref(),
            group: grouping(request.group),
        };
        let policies = (!request.without_hooks).then(|| self.policies.get().with(&[]));
        let plan = async {
            let plan = Plan::make(&self.client, wanted, policies).await?;
            let backup = backed_up(&self.client, &plan).await?;
            anyhow::Ok((plan, backup))
        };
        let (plan, backup) = plan.await.map_err(|error| {
            let why = format!("{error:#}");
            if passes(&error) {
                NotBegun::Later(why)
            } else {
                NotBegun::Refused(why)
            }
        })?;
        if let Some(backup) = backup {
            return Err(NotBegun::Busy(backup.to_string()));
        }
        let wanted = plan.claims.iter().map(|it| it.name.clone()).collect();
        let claimed = claims.take(namespace, wanted, name);
        let claimed = claimed.map_err(NotBegun::Busy)?;
        Ok((claimed, plan, request))
    }
}

/// Whether it may be otherwise soon: the cluster could not be asked.
fn passes(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|it| match it.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => status.code == 429 || status.code >= 500,
        Some(_) => true,
        None => false,
    })
}

const fn grouping(asked: Group) -> Grouping {
    match asked {
        Group::Auto => Grouping::Auto,
        Group::Always => Grouping::Always,
        Group::Never => Grouping::Never,
    }
}
