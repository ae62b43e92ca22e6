//! Watches what decides about scripts, and tells the world of it.
use std::{sync::Arc, time::Duration};

use futures::future;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client,
    api::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, watcher},
    },
};

use super::{
    metrics::ControllerMetrics,
    workloads::Workload,
    world::{Kind, World},
};
use crate::{
    kubernetes::{Heard, follow},
    policy::{MANAGED_BY, MANAGER},
};

pub struct Observer {
    pub client: Client,
    pub world: Arc<World>,
    /// A watch that died in silence is noticed within this time and a little.
    pub interval: Duration,
    pub metrics: ControllerMetrics,
}

impl Observer {
    /// Watches for as long as it is polled. What breaks is begun again, with growing pauses.
    pub async fn run(self) {
        let workloads = async {
            loop {
                let mut reloads = self.world.reloads();
                let all = Kind::WORKLOADS.map(|kind| self.workloads(kind));
                tokio::select! {
                    _ = future::join_all(all) => {}
                    // A new list of everything is judged by the new policies.
                    _ = reloads.changed() => {}
                }
            }
        };
        tokio::join!(self.namespaces(), self.config_maps(), workloads);
    }

    async fn namespaces(&self) {
        let api = Api::<PartialObjectMeta<Namespace>>::all(self.client.clone());
        let events = watcher(api, self.config()).default_backoff();
        follow("namespaces", events, |heard| {
            self.count(Kind::Namespaces, &heard);
            self.world.hear_namespace(heard);
        })
        .await;
    }

    async fn config_maps(&self) {
        let api = Api::<ConfigMap>::all(self.client.clone());
        let ours = self.config().labels(&format!("{MANAGED_BY}={MANAGER}"));
        let events = watcher(api, ours).default_backoff();
        follow("configmaps", events, |heard| {
            self.count(Kind::ConfigMaps, &heard);
            self.world.hear_config_map(heard);
        })
        .await;
    }

    async fn workloads(&self, kind: Kind) {
        let api = Api::<Workload>::all_with(self.client.clone(), &kind.resource());
        let events = watcher(api, self.config()).default_backoff();
        follow(kind.as_str(), events, |heard| {
            self.count(kind, &heard);
            self.world.hear_workload(kind, heard);
        })
        .await;
    }

    fn config(&self) -> watcher::Config {
        let seconds = u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX);
        watcher::Config::default().timeout(seconds.clamp(10, 290))
    }

    fn count<K>(&self, kind: Kind, heard: &Heard<K>) {
        if matches!(heard, Heard::Broke) {
            self.metrics.broke(kind);
        }
    }
}
