//! Pods of the current cluster, with their namespaces, claims and policies.

use std::{path::Path, sync::Arc};

use serde_json::Value;

use super::pods::{Pod, Pods, is_taken};
use crate::{
    cli::audit::cluster::{namespaces, path, resources, seen},
    kubernetes::{self, Objects, list},
    policy::Policy,
};

/// What was seen, the policies of the cluster, and what could not be seen.
pub struct Looked {
    pub pods: Pods,
    pub policies: Vec<Arc<Policy>>,
    pub notes: Vec<String>,
}

pub fn look(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    taken: &[String],
) -> anyhow::Result<Looked> {
    crate::cli::block_on(ask(kubeconfig, context, taken))
}

async fn ask(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    taken: &[String],
) -> anyhow::Result<Looked> {
    let client = kubernetes::current_client(kubeconfig, context).await?;
    // One namespace may be all that we may see.
    let only = match taken {
        [only] if !crate::policy::glob::has_wildcard(only) => Some(only.as_str()),
        _ => None,
    };
    let mut notes = Vec::new();
    let policies = resources(&client, only, &mut notes).await?;
    let known = namespaces(&client, only, &mut notes).await?;
    let mut pods = Pods {
        namespaces: known.unwrap_or_default(),
        ..Pods::default()
    };
    let read = |text: &str| {
        let object: Value = serde_json::from_str(text).unwrap_or_default();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        is_taken(taken, namespace).then(|| (namespace.to_owned(), object.clone()))
    };
    let all = |path| Objects {
        path,
        labels: None,
        metadata_only: false,
    };
    let claims = path(only, "persistentvolumeclaims");
    match seen(list(&client, all(&claims), read).await)? {
        Some(claims) => {
            for (namespace, claim) in claims.into_iter().flatten() {
                pods.claims.add_named(&namespace, &claim);
            }
        }
        None => notes
            .push("we may not list persistentvolumeclaims: which have data is unknown".to_owned()),
    }
    let path = path(only, "pods");
    for (namespace, object) in list(&client, all(&path), read).await?.into_iter().flatten() {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        pods.all.push(Pod {
            title: format!("Pod {namespace}/{name}"),
            claims: pods.claims.of(&namespace, &object),
            namespace,
            object,
            owner: None,
        });
    }
    Ok(Looked {
        pods,
        policies,
        notes,
    })
}
