//! Looks at a cluster: each question once, all that need no other at the same time.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{Args, certificate, rights, scripts, trial};
use crate::{
    doctor::{self, Calls, Endpoints, Labels, Lease, Names, Observed, Seen, Trial},
    kubernetes::{self, Answer, Asker, ListError, Objects, list},
};

/// The controller's, as it is shipped.
const LEASE: &str = "leases/quiescent-controller";

pub async fn look(args: &Args) -> anyhow::Result<Observed> {
    let client = args.cluster.client().await?;
    let asker = Asker {
        client,
        patience: args.timeout.to_std(),
    };
    let mut names = args.names();
    let version = asker.get("/version").await.map_err(anyhow::Error::msg);
    let version = version.context("the cluster cannot be asked")?;
    if version.status == 401 {
        bail!("the cluster does not know us: {}", version.message());
    }
    let now = Timestamp::now().as_second();
    let ahead = version.date.map(|date| now - date.as_second());

    let own =
        |group: &str, kind: &str| format!("/{group}/namespaces/{}/{kind}", names.own_namespace);
    let webhooks = |kind: &str| format!("/apis/admissionregistration.k8s.io/v1/{kind}");
    let (mutating, validating, deployments, pods, lease, namespaces, of_velero) = tokio::join!(
        items(&asker, webhooks("mutatingwebhookconfigurations")),
        items(&asker, webhooks("validatingwebhookconfigurations")),
        items(&asker, own("apis/apps/v1", "deployments")),
        items(&asker, own("api/v1", "pods")),
        object(&asker, own("apis/coordination.k8s.io/v1", LEASE)),
        namespaces(&asker),
        OfVelero::look(&asker, &names.velero_namespace),
    );
    if let Some(secret) = doctor::secret(&deployments) {
        secret.clone_into(&mut names.secret);
    }
    let secret = object(&asker, own_secret(&names)).await;
    let services = services(&asker, &names, &mutating, &validating).await;
    let bundles = mutating.known().map_or_else(BTreeMap::new, |all| {
        let validating = validating.known().map_or(&[][..], Vec::as_slice);
        doctor::bundles(&names, all, validating)
    });
    let endpoints = services.get(&(names.own_namespace.clone(), names.service.clone()));
    let endpoints = endpoints.and_then(Seen::known).cloned();
    let shown = certificate::look(certificate::Sight {
        asker: &asker,
        names: &names,
        endpoints: &endpoints.unwrap_or_default(),
        pods: pods.known().map_or(&[][..], Vec::as_slice),
        secret: secret.known(),
        bundles: &bundles,
        now,
    })
    .await;
    let cluster_wide = doctor::is_cluster_wide(&names, &mutating);
    let wanted = args.namespace.as_deref();
    let place = trial::place(wanted, namespaces.known(), &names, cluster_wide);
    let ((trial, calls), rights, missing_scripts) = tokio::join!(
        tried(&asker, place.as_deref(), &bundles),
        rights::look(&asker, &names, &deployments),
        scripts::look(&asker),
    );
    let OfVelero {
        velero,
        node_agents,
        storage,
        schedules,
        backups,
        volume_policies,
    } = of_velero;
    Ok(Observed {
        now,
        ahead,
        mutating,
        validating,
        namespaces,
        services,
        lease: lease.map(|it| read_lease(&it, now - ahead.unwrap_or_default())),
        secret: secret.map(|it| annotations(&it)),
        deployments,
        pods,
        shown,
        trial,
        calls,
        rights,
        missing_scripts,
        velero,
        node_agents,
        storage,
        schedules,
        backups,
        volume_policies,
        names,
    })
}

/// What is seen of Velero.
struct OfVelero {
    velero: Seen<Vec<Value>>,
    node_agents: Seen<Vec<Value>>,
    storage: Seen<Vec<Value>>,
    schedules: Seen<Vec<Value>>,
    backups: Seen<Vec<Value>>,
    volume_policies: BTreeMap<String, Seen<Value>>,
}

impl OfVelero {
    async fn look(asker: &Asker, namespace: &str) -> Self {
        let path = |group: &str, kind: &str| format!("/{group}/namespaces/{namespace}/{kind}");
        let of_its_own = |kind: &str| path("apis/velero.io/v1", kind);
        let (velero, node_agents, storage, schedules, backups) = tokio::join!(
            items(asker, path("apis/apps/v1", "deployments")),
            items(asker, path("apis/apps/v1", "daemonsets")),
            items(asker, of_its_own("backupstoragelocations")),
            items(asker, of_its_own("schedules")),
            backups(asker, of_its_own("backups")),
        );
        let named = schedules.known().map_or(&[][..], Vec::as_slice);
        let mut volume_policies = BTreeMap::new();
        for name in doctor::volume_policies_named(named) {
            let config_map = object(asker, path("api/v1", &format!("configmaps/{name}"))).await;
            volume_policies.insert(name, config_map);
        }
        Self {
            velero,
            node_agents,
            storage,
            schedules,
            backups,
            volume_policies,
        }
    }
}

/// The trial, and what the API server had counted before it.
async fn tried(
    asker: &Asker,
    place: Option<&str>,
    bundles: &BTreeMap<String, Vec<u8>>,
) -> (Seen<Trial>, Seen<Calls>) {
    let calls = || async {
        let metrics = seen(asker.get("/metrics").await);
        metrics.map(|it| Calls::of(&it.text, |entry| bundles.contains_key(entry)))
    };
    let before = calls().await;
    let Some(place) = place else {
        return (Seen::Absent, before);
    };
    let trial = trial::run(asker, place).await;
    let after = calls().await;
    let both = before.known().zip(after.known());
    let meanwhile = both.map(|(before, after)| after.since(before));
    (trial.map(|it| Trial { meanwhile, ..it }), before)
}

fn annotations(object: &Value) -> Labels {
    let annotations = object["metadata"]["annotations"].clone();
    serde_json::from_value(annotations).unwrap_or_default()
}

fn own_secret(names: &Names) -> String {
    format!(
        "/api/v1/namespaces/{}/secrets/{}",
        names.own_namespace, names.secret
    )
}

/// What came of a question.
pub fn seen(answer: Result<Answer, String>) -> Seen<Answer> {
    match answer {
        Ok(answer) if answer.is_success() => Seen::Known(answer),
        Ok(answer) => match answer.status {
            401 | 403 => Seen::Forbidden,
            404 => Seen::Absent,
            _ => Seen::Failed(answer.message()),
        },
        Err(why) => Seen::Failed(why),
    }
}

async fn object(asker: &Asker, path: String) -> Seen<Value> {
    match seen(asker.get(&path).await) {
        Seen::Known(answer) => match serde_json::from_str(&answer.text) {
            Ok(object) => Seen::Known(object),
            Err(error) => Seen::Failed(error.to_string()),
        },
        Seen::Absent => Seen::Absent,
        Seen::Forbidden => Seen::Forbidden,
        Seen::Failed(why) => Seen::Failed(why),
    }
}

/// Kinds of which there are few.
async fn items(asker: &Asker, path: String) -> Seen<Vec<Value>> {
    let listed = object(asker, path).await;
    listed.map(|mut it| match it["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    })
}

/// Goes through kinds of which there may be many.
pub async fn each<T>(
    asker: &Asker,
    objects: Objects<'_>,
    read: impl FnMut(&str) -> T,
) -> Seen<Vec<T>> {
    match asker.in_time(list(&asker.client, objects, read)).await {
        Ok(Ok(all)) => Seen::Known(all),
        Ok(Err(ListError::Forbidden { .. })) => Seen::Forbidden,
        Ok(Err(ListError::Absent { .. })) => Seen::Absent,
        Ok(Err(error)) => Seen::Failed(kubernetes::with_causes(&error)),
        Err(why) => Seen::Failed(why),
    }
}

async fn namespaces(asker: &Asker) -> Seen<BTreeMap<String, Labels>> {
    let all = Objects {
        path: "/api/v1/namespaces",
        labels: None,
        metadata_only: true,
    };
    let read = |text: &str| {
        let object: Value = serde_json::from_str(text).unwrap_or_default();
        let metadata = &object["metadata"];
        let labels = serde_json::from_value(metadata["labels"].clone());
        (
            metadata["name"].as_str().unwrap_or_default().to_owned(),
            labels.unwrap_or_default(),
        )
    };
    each(asker, all, read)
        .await
        .map(|all| all.into_iter().collect())
}

/// Of each backup what is judged of it: there may be thousands.
async fn backups(asker: &Asker, path: String) -> Seen<Vec<Value>> {
    let all = Objects {
        path: &path,
        labels: Some("velero.io/schedule-name"),
        metadata_only: false,
    };
    let read = |text: &str| {
        let object: Value = serde_json::from_str(text).unwrap_or_default();
        let (metadata, status) = (&object["metadata"], &object["status"]);
        json!({
            "metadata": {"name": metadata["name"], "labels": metadata["labels"]},
            "status": {
                "phase": status["phase"],
                "startTimestamp": status["startTimestamp"],
                "hookStatus": status["hookStatus"],
            },
        })
    };
    each(asker, all, read).await
}

async fn services(
    asker: &Asker,
    names: &Names,
    mutating: &Seen<Vec<Value>>,
    validating: &Seen<Vec<Value>>,
) -> BTreeMap<(String, String), Seen<Endpoints>> {
    let all = |seen: &Seen<Vec<Value>>| seen.known().cloned().unwrap_or_default();
    let mut found = BTreeMap::new();
    for (namespace, name) in doctor::services(names, &all(mutating), &all(validating)) {
        let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
        let service = object(asker, path).await;
        let behind = match service {
            Seen::Known(service) if service["spec"]["type"] == "ExternalName" => {
                Seen::Failed("it is a name outside of the cluster".to_owned())
            }
            Seen::Absent => Seen::Absent,
            // Who may not see Services may see who is behind them.
            _ => {
                let slices = format!(
                    "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{name}"
                );
                items(asker, slices)
                    .await
                    .map(|it| Endpoints::of_slices(&it))
            }
        };
        found.insert((namespace, name), behind);
    }
    found
}

/// `now` is by the API server's clock; the holder's may be another one still.
fn read_lease(lease: &Value, now: i64) -> Lease {
    let spec = &lease["spec"];
    let renewed = spec["renewTime"]
        .as_str()
        .and_then(|it| it.parse::<Timestamp>().ok());
    Lease {
        holder: spec["holderIdentity"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        age: renewed.map(|it| now - it.as_second()),
        seconds: spec["leaseDurationSeconds"].as_i64().unwrap_or(15),
    }
}
