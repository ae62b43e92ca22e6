//! The log of Velero's own pod, which alone tells of the hooks of a restore.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ListParams, LogParams},
};

use crate::velero::{
    log::Entry,
    objects::{SERVER_CONTAINER, SERVER_LABELS},
};

/// Its lines about one restore.
pub async fn log_of_restore(
    client: &Client,
    namespace: &str,
    restore: &str,
) -> anyhow::Result<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let labels = ListParams::default().labels(SERVER_LABELS);
    let servers = pods
        .list(&labels)
        .await
        .context("failed to list Velero's pods")?;
    let parameters = LogParams {
        container: Some(SERVER_CONTAINER.to_owned()),
        ..LogParams::default()
    };
    let mut lines = String::new();
    for name in servers.items.into_iter().filter_map(|it| it.metadata.name) {
        let log = pods.logs(&name, &parameters).await;
        let log = log.with_context(|| format!("failed to read the log of {namespace}/{name}"))?;
        let is_of_it = |line: &&str| Entry::read(line).field("restore") == Some(restore);
        for line in log.lines().filter(is_of_it) {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    Ok(lines)
}
