//! The objects of snapshots: made, marked, deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, bail};
use kube::{
    Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::Request,
};
use serde_json::Value;
use tokio::time::{self, Instant};

use super::{Group, Plan, group, patience::in_time};
use crate::{
    csi::{self, Wanted, groups, labels},
    kubernetes::{ListError, Objects, list, object},
    snapshot::{Nanos, Snapshot, Taken, Verdict},
    trial::said,
};

/// How long the snapshots of a group may be later than the group, and how often they are looked for.
const LATE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(250);

const NOT_FOUND: &str = "the snapshots cannot be found";

/// The requests that make the snapshots, each with what it is of.
pub fn requests(plan: &Plan) -> anyhow::Result<Vec<(String, axum::http::Request<Vec<u8>>)>> {
    let create = |path: String, of: &str, object: Value| {
        let body = serde_json::to_vec(&object)?;
        let request = Request::new(path).create(&PostParams::default(), body)?;
        Ok((of.to_owned(), request))
    };
    let (namespace, target) = (&plan.namespace, &plan.target);
    if let Some(Group { class, version }) = &plan.group {
        let wanted = groups::Wanted {
            version,
            namespace,
            name: &plan.set,
            class,
            target,
        };
        let path = groups::groups(version, namespace);
        return Ok(vec![create(path, "the group", wanted.object())?]);
    }
    let requests = plan.claims.iter().map(|claim| {
        let wanted = Wanted {
            namespace,
            name: &claim.snapshot,
            claim: &claim.name,
            class: &claim.class,
            set: &plan.set,
            target,
        };
        create(csi::snapshots(namespace), &claim.name, wanted.object())
    });
    requests.collect()
}

/// The exact instant of a cut, where the content says it and we may see it.
pub async fn taken(client: &Client, content: &str) -> Option<Taken> {
    let text = object(client, &csi::contents(), content).await.ok()?;
    let content: Value = serde_json::from_str(&text).ok()?;
    let from: Nanos = csi::taken(&content)?;
    Some(Taken { from, within: 0 })
}

/// Deletes all of the set, whether or not somebody has told that it is there.
pub async fn withdraw(client: &Client, plan: &Plan) -> anyhow::Result<()> {
    if let Some(Group { version, .. }) = &plan.group {
        let path = groups::groups(version, &plan.namespace);
        return delete(client, &path, &plan.set).await;
    }
    let path = csi::snapshots(&plan.namespace);
    let labels = format!("{}={}", labels::SET, plan.set);
    let found = all(client, &path, &labels, csi::kept).await;
    for it in found.context(NOT_FOUND)? {
        delete(client, &path, &it.name).await?;
    }
    Ok(())
}

/// What is to be written on each.
pub fn marks(plan: &Plan, snapshot: &Snapshot) -> Value {
    let verdict = snapshot.verdict();
    let reason = match verdict {
        Verdict::Consistent => None,
        _ if snapshot.reasons().is_empty() => Some(verdict.words().to_owned()),
        _ => Some(snapshot.reasons().join("; ")),
    };
    let mut policies: Vec<&str> = plan
        .members
        .iter()
        .filter_map(|it| it.policies.as_deref())
        .collect();
    policies.dedup();
    let runs = snapshot.members().iter().flat_map(|it| it.tried().runs);
    let values = runs
        .flat_map(|run| said(&run.stdout))
        .flat_map(|it| it.values);
    let values: BTreeMap<String, String> = values
        .filter(|(key, _)| key != "phase" && key != "seconds")
        .collect();
    let values: Vec<String> = values
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let told = |text: String| (!text.is_empty()).then_some(text);
    csi::marks(
        &plan.set,
        verdict == Verdict::Consistent,
        &BTreeMap::from([
            (labels::TARGET, Some(plan.target.clone())),
            (labels::REASON, reason),
            (labels::POLICY, told(policies.join(","))),
            (
                labels::HELD,
                snapshot.held().map(|it| it.as_millis().to_string()),
            ),
            (labels::SAID, told(values.join(" "))),
        ]),
    )
}

/// Writes on each what it is.
pub async fn mark(client: &Client, plan: &Plan, marks: &Value) -> anyhow::Result<()> {
    let path = csi::snapshots(&plan.namespace);
    let names = match &plan.group {
        None => plan.claims.iter().map(|it| it.snapshot.clone()).collect(),
        Some(Group { version, .. }) => {
            let names = members(client, plan).await;
            let of_group = groups::groups(version, &plan.namespace);
            patch(client, &of_group, &plan.set, marks).await?;
            names?
        }
    };
    for name in &names {
        patch(client, &path, name, marks).await?;
    }
    Ok(())
}

async fn patch(client: &Client, path: &str, name: &str, marks: &Value) -> anyhow::Result<()> {
    let fields = Patch::Merge(marks);
    let request = Request::new(path).patch(name, &PatchParams::default(), &fields)?;
    let written = in_time(client.request_text(request)).await;
    written.with_context(|| format!("{name} cannot be labelled"))?;
    Ok(())
}

/// The snapshots that a group has made, when all are there.
async fn members(client: &Client, plan: &Plan) -> anyhow::Result<Vec<String>> {
    let path = csi::snapshots(&plan.namespace);
    let until = Instant::now() + LATE;
    loop {
        let of_group = |object: &Value| {
            let name = object["metadata"]["name"].as_str()?;
            (groups::of(object) == Some(&plan.set)).then(|| name.to_owned())
        };
        let found = all(client, &path, "", of_group).await.context(NOT_FOUND)?;
        let (there, wanted) = (found.len(), plan.claims.len());
        if there == wanted {
            return Ok(found);
        }
        if Instant::now() >= until {
            bail!("the group has {there} snapshots, of {wanted} claims");
        }
        time::sleep(AGAIN).await;
    }
}

/// Deletes what is older than so many consistent sets of the same target.
pub async fn forget(client: &Client, plan: &Plan, keep: usize) -> anyhow::Result<String> {
    let path = csi::snapshots(&plan.namespace);
    // What belongs to a group goes with it.
    let alone = |object: &Value| csi::kept(object).filter(|_| groups::of(object).is_none());
    let mut found = all(client, &path, labels::SET, alone).await?;
    let of_groups = match group::version(client).await? {
        None => String::new(),
        Some(version) => groups::groups(version, &plan.namespace),
    };
    let mut grouped = Vec::new();
    if !of_groups.is_empty() {
        match all(client, &of_groups, labels::SET, csi::kept).await {
            Ok(kept) => grouped = kept,
            Err(ListError::Forbidden { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let are_groups: BTreeSet<String> = grouped.iter().map(|it| it.name.clone()).collect();
    found.extend(grouped);
    let gone = csi::outlived(&found, &plan.target, keep);
    for it in &gone {
        let path = if are_groups.contains(&it.name) {
            &of_groups
        } else {
            &path
        };
        delete(client, path, &it.name).await?;
    }
    let names: Vec<&str> = gone.iter().map(|it| it.name.as_str()).collect();
    Ok(if names.is_empty() {
        format!("nothing is older than the {keep} to keep")
    } else {
        format!(
            "deleted, older than the {keep} to keep: {}",
            names.join(", ")
        )
    })
}

/// What is to be known of the objects with these labels.
async fn all<T>(
    client: &Client,
    path: &str,
    labels: &str,
    known: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>, ListError> {
    let objects = Objects {
        path,
        labels: Some(labels),
        metadata_only: false,
    };
    let found = list(client, objects, |text| {
        let object: Option<Value> = serde_json::from_str(text).ok();
        object.and_then(|it| known(&it))
    });
    Ok(found.await?.into_iter().flatten().collect())
}

async fn delete(client: &Client, path: &str, name: &str) -> anyhow::Result<()> {
    let request = Request::new(path).delete(name, &DeleteParams::default())?;
    let deleted = async {
        match client.request_text(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            deleted => deleted.map(|_| ()),
        }
    };
    let deleted = in_time(deleted).await;
    deleted.with_context(|| format!("failed to delete {name}"))
}
