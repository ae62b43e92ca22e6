//! Several claims as one VolumeGroupSnapshot: whether that can be done, and what is written on the claims
//! for it.

use anyhow::{Context as _, anyhow};
use kube::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Plan;
use crate::{
    csi::{self, Class, groups},
    kubernetes::{Asker, ListError, Objects, list},
};

/// Whether claims are cut in one moment by their storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Where it can be done.
    #[default]
    Auto,
    Always,
    Never,
}

/// How a group is made. Its name is that of the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub class: String,
    /// Of the API.
    pub version: String,
}

/// What the claims of a plan have in common.
pub struct Claims<'c> {
    pub namespace: &'c str,
    pub drivers: &'c [String],
    /// A VolumeSnapshotClass that somebody named.
    pub class: Option<&'c str>,
}

/// The version of the API of groups, where the cluster has it.
pub async fn version(client: &Client) -> anyhow::Result<Option<&'static str>> {
    let answer = asker(client).get(&groups::root()).await;
    let answer = answer.map_err(|why| anyhow!("the cluster cannot be asked: {why}"))?;
    let root = serde_json::from_str(&answer.text).unwrap_or_default();
    Ok(groups::version(&root).filter(|_| answer.is_success()))
}

/// The group that is to be made of these claims, if any, and its class.
///
/// # Errors
/// Why there is none, where there has to be one.
pub async fn chosen(
    client: &Client,
    grouping: Grouping,
    claims: Claims<'_>,
) -> anyhow::Result<Option<(Group, Class)>> {
    match grouping {
        Grouping::Never => Ok(None),
        Grouping::Auto => Ok(possible(client, claims).await?.ok()),
        Grouping::Always => match possible(client, claims).await? {
            Ok(group) => Ok(Some(group)),
            Err(why) => Err(anyhow!("no group of these claims: {why}")),
        },
    }
}

async fn possible(
    client: &Client,
    claims: Claims<'_>,
) -> anyhow::Result<Result<(Group, Class), String>> {
    let Claims {
        namespace,
        drivers,
        class,
    } = claims;
    if let Some(class) = class {
        return Ok(Err(format!(
            "a group takes no VolumeSnapshotClass, and {class} was named"
        )));
    }
    let [driver, others @ ..] = drivers else {
        return Ok(Err("there is no claim".to_owned()));
    };
    if others.is_empty() {
        return Ok(Err("there is only one claim".to_owned()));
    }
    if let Some(other) = others.iter().find(|it| *it != driver) {
        return Ok(Err(format!(
            "they are of two drivers, {driver} and {other}"
        )));
    }
    let Some(version) = version(client).await? else {
        return Ok(Err("this cluster knows no VolumeGroupSnapshots".to_owned()));
    };
    let path = groups::classes(version);
    let objects = Objects {
        path: &path,
        labels: None,
        metadata_only: false,
    };
    let classes = list(client, objects, |text| {
        let object: Option<Value> = serde_json::from_str(text).ok();
        object.and_then(|it| groups::class(&it))
    });
    let classes: Vec<_> = match classes.await {
        Ok(classes) => classes.into_iter().flatten().collect(),
        Err(error @ (ListError::Forbidden { .. } | ListError::Absent { .. })) => {
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let Ok(class) = csi::class_for(&classes, driver, None) else {
        return Ok(Err(format!(
            "{driver} has not one VolumeGroupSnapshotClass, nor one that is its default"
        )));
    };
    if let Some(right) = missing_right(client, namespace).await? {
        return Ok(Err(format!("we may not {right} in {namespace}")));
    }
    let group = Group {
        class: class.name.clone(),
        version: version.to_owned(),
    };
    Ok(Ok((group, class.clone())))
}

/// The first right that a group needs and we do not have.
async fn missing_right(client: &Client, namespace: &str) -> anyhow::Result<Option<String>> {
    const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let of_groups = ["create", "list", "watch", "patch", "delete"];
    let api = groups::api();
    let of_groups = of_groups.map(|verb| (verb, api.as_str(), "volumegroupsnapshots"));
    let of_claims = ("patch", "", "persistentvolumeclaims");
    for (verb, group, resource) in of_groups.into_iter().chain([of_claims]) {
        let asked = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group, "resource": resource,
            }},
        });
        let answer = asker(client).post(REVIEWS, &asked).await;
        let answer = answer.map_err(|why| anyhow!("our rights cannot be asked for: {why}"))?;
        let review: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        if review["status"]["allowed"] != true {
            return Ok(Some(format!("{verb} {resource}")));
        }
    }
    Ok(None)
}

/// Has the claims of a plan say that they belong to its group, if it is one. What a run has left on them
/// that did not come to its end goes.
pub async fn prepare(client: &Client, plan: &Plan) -> anyhow::Result<()> {
    let named = plan.group.as_ref().map(|_| plan.set.as_str());
    for claim in &plan.claims {
        let labelled = relabel(client, &path(plan, &claim.name), |_| {
            named.map(str::to_owned)
        })
        .await;
        let labelled = labelled.map_err(|why| anyhow!(why));
        labelled
            .with_context(|| format!("failed to label claim {}/{}", plan.namespace, claim.name))?;
    }
    Ok(())
}

/// Takes away what was written on the claims, where nobody else has written his since.
pub async fn leave(client: &Client, plan: &Plan) {
    if plan.group.is_none() {
        return;
    }
    for claim in &plan.claims {
        let others = |it: Option<&str>| it.filter(|it| *it != plan.set).map(str::to_owned);
        if let Err(reason) = relabel(client, &path(plan, &claim.name), others).await {
            let claim = &claim.name;
            tracing::warn!(claim, %reason, "the label of its group stays on a claim until its next snapshot");
        }
    }
}

/// Has a claim belong to the group that `wanted` says, given the one that it belongs to. What somebody else
/// writes meanwhile is not written over unseen.
async fn relabel(
    client: &Client,
    path: &str,
    wanted: impl Fn(Option<&str>) -> Option<String>,
) -> Result<(), String> {
    loop {
        let answer = asker(client).get(path).await?;
        if !answer.is_success() {
            return Err(answer.message());
        }
        let claim: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        let metadata = &claim["metadata"];
        let label = metadata["labels"][groups::MEMBER].as_str();
        let wanted = wanted(label);
        if label == wanted.as_deref() {
            return Ok(());
        }
        let fields = json!({"metadata": {
            "resourceVersion": metadata["resourceVersion"], "labels": {groups::MEMBER: wanted},
        }});
        let answer = asker(client).merge(path, &fields).await?;
        if answer.is_success() {
            return Ok(());
        }
        if answer.status != 409 {
            return Err(answer.message());
        }
    }
}

fn path(plan: &Plan, claim: &str) -> String {
    let namespace = &plan.namespace;
    format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}")
}

fn asker(client: &Client) -> Asker {
    Asker {
        client: client.clone(),
        patience: super::clock::PATIENCE,
    }
}
