//! The log of Velero's own pod, which alone tells of the hooks of a restore.

use anyhow::Context as _;
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{ListParams, LogParams},
};

use crate::velero::{
    log::Entry,
    objects::{SERVER_CONTAINER, SERVER_LABELS},
};

/// So much of the log of a pod is looked at.
const LOOKED_AT: i64 = 64 << 20;

/// Its lines about one restore, which began at `since` where that is known.
pub async fn log_of_restore(
    client: &Client,
    namespace: &str,
    restore: &str,
    since: Option<Timestamp>,
) -> anyhow::Result<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let labels = ListParams::default().labels(SERVER_LABELS);
    let servers = pods
        .list(&labels)
        .await
        .context("failed to list Velero's pods")?;
    let parameters = LogParams {
        container: Some(SERVER_CONTAINER.to_owned()),
        since_time: since,
        limit_bytes: since.map(|_| LOOKED_AT),
        ..LogParams::default()
    };
    let mut kept = String::new();
    for name in servers.items.into_iter().filter_map(|it| it.metadata.name) {
        let failed = || format!("failed to read the log of {namespace}/{name}");
        let log = pods.log_stream(&name, &parameters).await;
        let mut lines = log.with_context(failed)?.lines();
        while let Some(line) = lines.try_next().await.with_context(failed)? {
            if Entry::read(&line).field("restore") == Some(restore) {
                kept.push_str(&line);
                kept.push('\n');
            }
        }
    }
    Ok(kept)
}
