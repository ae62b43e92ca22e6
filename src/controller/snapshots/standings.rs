//! Says on each SnapshotHook whether it is in force and in which pods, while it leads.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event as Change, watcher},
    },
};
use serde_json::{Value, json};
use tokio::{
    sync::Notify,
    time::{self, Instant},
};

use super::{
    super::asking::{Asking, Halt},
    held,
    known::{Key, key},
    resource,
    status::now,
};
use crate::{
    kubernetes::{Heard, follow, none_when_absent},
    snapshot::{
        Standing,
        resource::{HOOK, HOOKS, Named},
    },
};

/// Between two writes, so that many at once are no burst.
const PACE: Duration = Duration::from_millis(20);

pub struct Standings<'s> {
    client: &'s Client,
    asking: &'s Asking,
    interval: Duration,
    known: Mutex<BTreeMap<Key, Hooked>>,
    /// Namespaces that something was heard of.
    stirred: Mutex<BTreeSet<String>>,
    heard: Notify,
}

/// A SnapshotHook as last heard of.
#[derive(Clone)]
struct Hooked {
    generation: Option<i64>,
    uid: Option<String>,
    named: Result<Named, String>,
    status: Value,
}

impl Hooked {
    fn of(object: &DynamicObject) -> Self {
        let metadata = &object.metadata;
        let whole = json!({"metadata": {"name": metadata.name}, "spec": object.data["spec"]});
        Self {
            generation: metadata.generation,
            uid: metadata.uid.clone(),
            named: Named::of(&whole),
            status: object.data["status"].clone(),
        }
    }
}

impl<'s> Standings<'s> {
    pub fn new(client: &'s Client, asking: &'s Asking, interval: Duration) -> Self {
        Self {
            client,
            asking,
            interval,
            known: Mutex::default(),
            stirred: Mutex::default(),
            heard: Notify::new(),
        }
    }

    /// Looks at what was heard of at once, and at all once in an interval.
    pub async fn run(&self) {
        tokio::join!(self.watch(), self.work());
    }

    async fn watch(&self) {
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource(HOOK, HOOKS));
        let seconds = u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX);
        let config = watcher::Config::default().timeout(seconds.clamp(10, 290));
        let events = none_when_absent(HOOKS, watcher(api, config).default_backoff());
        let mut listed = BTreeMap::new();
        follow(HOOKS, events, |heard| {
            let Heard::Event(change) = heard else { return };
            let mut known = held(&self.known);
            match change {
                Change::Init => listed.clear(),
                Change::InitApply(object) => {
                    listed.insert(key(&object), Hooked::of(&object));
                    return;
                }
                Change::InitDone => {
                    *known = std::mem::take(&mut listed);
                    let namespaces = known.keys().map(|(namespace, _)| namespace.clone());
                    held(&self.stirred).extend(namespaces);
                }
                Change::Apply(object) => {
                    let key = key(&object);
                    held(&self.stirred).insert(key.0.clone());
                    known.insert(key, Hooked::of(&object));
                }
                Change::Delete(object) => {
                    let key = key(&object);
                    known.remove(&key);
                    held(&self.stirred).insert(key.0);
                }
            }
            self.heard.notify_one();
        })
        .await;
    }

    async fn work(&self) {
        let mut leadership = self.asking.leadership.clone();
        let mut all_at = Instant::now();
        let mut led = false;
        loop {
            // Each renewal of the lease is a change too.
            tokio::select! {
                () = self.heard.notified() => {}
                () = leadership.changed() => {}
                () = time::sleep_until(all_at) => {}
            }
            let leads = self.asking.leadership.is_held();
            let is_time_for_all = leads && (!led || all_at <= Instant::now());
            led = leads;
            if !leads || is_time_for_all {
                all_at = Instant::now() + self.interval;
            }
            if !leads {
                continue;
            }
            let mut namespaces = std::mem::take(&mut *held(&self.stirred));
            if is_time_for_all {
                let known = held(&self.known);
                namespaces.extend(known.keys().map(|(namespace, _)| namespace.clone()));
            }
            for namespace in namespaces {
                match self.pass(&namespace).await {
                    Ok(()) | Err(Halt::Gone | Halt::NotLeading) => {}
                    Err(Halt::Failed(_, reason)) => tracing::warn!(
                        namespace,
                        reason,
                        again = ?self.interval,
                        "SnapshotHooks that do not say whether they are in force"
                    ),
                }
            }
        }
    }

    /// One that cannot be written keeps no other from being written.
    async fn pass(&self, namespace: &str) -> Result<(), Halt> {
        let of_namespace: Vec<(String, Hooked)> = {
            let known = held(&self.known);
            let of = known.iter().filter(|((it, _), _)| it == namespace);
            of.map(|((_, name), it)| (name.clone(), it.clone()))
                .collect()
        };
        if of_namespace.is_empty() {
            return Ok(());
        }
        let each = of_namespace.iter();
        let all: Vec<Named> = each.filter_map(|(_, it)| it.named.clone().ok()).collect();
        let pods = self.asking.ask(self.running(namespace)).await?;
        let mut failed = Ok(());
        for (name, hooked) in &of_namespace {
            let standing = match &hooked.named {
                Ok(named) => {
                    let is_there = self.asking.ask(self.is_there(namespace, &named.claim));
                    Standing::of(named, &all, is_there.await?, &pods)
                }
                Err(why) => Standing::unreadable(why.clone()),
            };
            let status = standing.status(hooked.generation, &hooked.status, &now());
            let Some(status) = status else { continue };
            match self.say(namespace, name, hooked, &status).await {
                Ok(()) | Err(Halt::Gone) => {}
                Err(Halt::NotLeading) => return Err(Halt::NotLeading),
                Err(halt) => failed = Err(halt),
            }
            time::sleep(PACE).await;
        }
        failed
    }

    async fn say(
        &self,
        namespace: &str,
        name: &str,
        hooked: &Hooked,
        status: &Value,
    ) -> Result<(), Halt> {
        let (client, resource) = (self.client.clone(), resource(HOOK, HOOKS));
        let api = Api::<DynamicObject>::namespaced_with(client, namespace, &resource);
        let patch = json!({"metadata": {"uid": hooked.uid}, "status": status});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        let written = api.patch_status(name, &parameters, &patch);
        let written = self.asking.ask(written).await?;
        // What is heard next says the same.
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(known) = held(&self.known).get_mut(&key) {
            known.status = written.data["status"].clone();
        }
        Ok(())
    }

    /// The pods of a namespace in which hooks can run.
    async fn running(&self, namespace: &str) -> kube::Result<Vec<Value>> {
        let resource = ApiResource::erase::<Pod>(&());
        let client = self.client.clone();
        let api = Api::<DynamicObject>::namespaced_with(client, namespace, &resource);
        let running = ListParams::default().fields("status.phase=Running");
        let pods = api.list(&running).await?.items;
        let pods = pods
            .iter()
            .map(|it| serde_json::to_value(it).unwrap_or_default());
        Ok(pods.collect())
    }

    async fn is_there(&self, namespace: &str, claim: &str) -> kube::Result<bool> {
        let api = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), namespace);
        Ok(api.get_metadata_opt(claim).await?.is_some())
    }
}
