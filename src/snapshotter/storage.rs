//! The objects of snapshots: made, marked, deleted.

use std::collections::BTreeMap;

use anyhow::Context as _;
use kube::{
    Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::Request,
};
use serde_json::Value;

use super::Plan;
use crate::{
    csi::{self, Kept, Wanted, labels},
    kubernetes::{Objects, list, object, with_causes},
    snapshot::{Nanos, Snapshot, Taken, Verdict},
    trial::said,
};

/// The requests that make the snapshots, each with the claim that it is of.
pub fn requests(plan: &Plan) -> anyhow::Result<Vec<(String, axum::http::Request<Vec<u8>>)>> {
    let requests = plan.claims.iter().map(|claim| {
        let wanted = Wanted {
            namespace: &plan.namespace,
            name: &claim.snapshot,
            claim: &claim.name,
            class: &claim.class,
            set: &plan.set,
            target: &plan.target,
        };
        let request = Request::new(csi::snapshots(&plan.namespace));
        let body = serde_json::to_vec(&wanted.object())?;
        Ok((
            claim.name.clone(),
            request.create(&PostParams::default(), body)?,
        ))
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
pub async fn withdraw(client: &Client, plan: &Plan) -> Result<(), String> {
    let labels = format!("{}={}", labels::SET, plan.set);
    let found = all(client, plan, &labels).await;
    let found = found.map_err(|error| format!("the snapshots cannot be found: {error:#}"))?;
    for it in &found {
        delete(client, plan, &it.name).await.map_err(|error| {
            let (namespace, name) = (&plan.namespace, &it.name);
            format!("VolumeSnapshot {namespace}/{name} cannot be deleted: {error:#}")
        })?;
    }
    Ok(())
}

/// Writes on each what it is.
pub async fn mark(client: &Client, plan: &Plan, snapshot: &Snapshot) -> Result<(), String> {
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
    let marks = csi::marks(
        verdict == Verdict::Consistent,
        &BTreeMap::from([
            (labels::REASON, reason),
            (labels::POLICY, told(policies.join(","))),
            (
                labels::HELD,
                snapshot.held().map(|it| it.as_millis().to_string()),
            ),
            (labels::SAID, told(values.join(" "))),
        ]),
    );
    for claim in &plan.claims {
        let request = Request::new(csi::snapshots(&plan.namespace));
        let patch = Patch::Merge(&marks);
        let request = request.patch(&claim.snapshot, &PatchParams::default(), &patch);
        let outcome = match request.map_err(kube::Error::BuildRequest) {
            Ok(request) => client.request_text(request).await.map(|_| ()),
            Err(error) => Err(error),
        };
        outcome.map_err(|error| {
            let name = &claim.snapshot;
            format!(
                "VolumeSnapshot {name} cannot be labelled: {}",
                with_causes(&error)
            )
        })?;
    }
    Ok(())
}

/// Deletes what is older than so many consistent sets of the same target.
pub async fn forget(client: &Client, plan: &Plan, keep: usize) -> anyhow::Result<String> {
    let found = all(client, plan, labels::SET).await?;
    let gone = csi::outlived(&found, &plan.target, keep);
    for it in &gone {
        delete(client, plan, &it.name).await?;
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

async fn all(client: &Client, plan: &Plan, labels: &str) -> anyhow::Result<Vec<Kept>> {
    let path = csi::snapshots(&plan.namespace);
    let objects = Objects {
        path: &path,
        labels: Some(labels),
        metadata_only: false,
    };
    let found = list(client, objects, |text| {
        serde_json::from_str(text)
            .ok()
            .and_then(|object: Value| csi::kept(&object))
    });
    Ok(found.await?.into_iter().flatten().collect())
}

async fn delete(client: &Client, plan: &Plan, name: &str) -> anyhow::Result<()> {
    let request = Request::new(csi::snapshots(&plan.namespace));
    let request = request.delete(name, &DeleteParams::default())?;
    match client.request_text(request).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        outcome => {
            outcome.with_context(|| format!("failed to delete VolumeSnapshot {name}"))?;
            Ok(())
        }
    }
}
