//! Has pods made anew that lack their hooks: one in a pass, by an eviction, which respects
//! PodDisruptionBudgets, and only after the API server has shown that the next pod gets them.
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Pod},
        policy::v1::Eviction,
    },
    apimachinery::pkg::apis::meta::v1::{DeleteOptions, Preconditions},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{DynamicObject, ObjectMeta, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};

use super::{
    asking::{Asking, Failure, Halt},
    world::{Kind, World, moment},
};
use crate::{
    audit::Verdict,
    missed::{Found, Healed, Healing, anew, candidates, is_ready, last, to_forget},
};

/// What was healed, for whoever leads next. It stands in the namespace of the lease.
const NOTES: &str = "quiescent-healed";

/// So many owners are tried in one pass.
const TRIES: usize = 5;

pub struct Heal {
    pub client: Client,
    pub world: Arc<World>,
    pub asking: Asking,
    /// That of the lease.
    pub namespace: String,
    /// Where the next pass begins.
    pub turn: AtomicUsize,
}

impl Heal {
    /// Evicts one pod at most, and says which.
    pub async fn pass(&self, found: &[Found]) -> Result<Option<Found>, Halt> {
        let now = moment(Timestamp::now());
        if candidates(found, &BTreeMap::new(), now).is_empty() {
            return Ok(None);
        }
        let notes = self.notes().await?;
        if let Some((uid, last)) = last(&notes, now)
            && !self.is_back(uid, last).await?
        {
            tracing::debug!(
                namespace = last.namespace,
                owner = last.name,
                "nothing else is healed before what was healed last is ready again"
            );
            return Ok(None);
        }
        let mut candidates = candidates(found, &notes, now);
        if !candidates.is_empty() {
            // Whoever cannot be healed for now must not keep the others waiting for ever.
            let turn = self.turn.fetch_add(TRIES, Ordering::Relaxed);
            let begin = turn % candidates.len();
            candidates.rotate_left(begin);
        }
        let mut failed = None;
        for healing in candidates.iter().take(TRIES) {
            match self.heal(found, &notes, healing).await {
                Ok(true) => return Ok(Some(healing.found.clone())),
                Ok(false) => {}
                Err(Halt::NotLeading) => return Err(Halt::NotLeading),
                Err(halt) => failed = Some(halt),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// Evicts a pod if everything speaks for it.
    async fn heal(
        &self,
        all: &[Found],
        notes: &BTreeMap<String, Healed>,
        healing: &Healing<'_>,
    ) -> Result<bool, Halt> {
        let Healing { found, owner, note } = healing;
        let (namespace, pod) = (&*found.namespace, &*found.pod);
        let left = |because: &str| {
            tracing::debug!(namespace, pod, because, "not healed now");
            Ok(false)
        };
        let Some(object) = self.owner(namespace, &owner.kind, &owner.name).await? else {
            return Ok(false);
        };
        if !is_ready(&object) || self.world.has_one_going(&owner.uid) {
            return left("not all pods of its owner are ready");
        }
        if !self
            .would_be_protected(found, &anew(&object, owner, pod))
            .await?
        {
            return left("a new pod would not get its hooks now: is the webhook there?");
        }
        if !self.evict(found, true).await? {
            return left("a PodDisruptionBudget allows no disruption");
        }
        self.note(all, notes, &owner.uid, note).await?;
        self.evict(found, false).await
    }

    /// Whether the owner of what was healed has all its pods again, or is gone.
    async fn is_back(&self, uid: &str, healed: &Healed) -> Result<bool, Halt> {
        let owner = self.owner(&healed.namespace, &healed.kind, &healed.name);
        let ready = |owner: Value| is_ready(&owner) && !self.world.has_one_going(uid);
        Ok(owner.await?.is_none_or(ready))
    }

    async fn owner(&self, namespace: &str, kind: &str, name: &str) -> Result<Option<Value>, Halt> {
        let resource = ApiResource {
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            api_version: "apps/v1".to_owned(),
            kind: kind.to_owned(),
            plural: format!("{}s", kind.to_lowercase()),
        };
        let api = self.objects(namespace, &resource);
        let object = self.asking.ask(api.get_opt(name)).await?;
        Ok(object.map(|it| serde_json::to_value(it).expect("what was JSON can be JSON again")))
    }

    /// Has the API server make a pod without storing it, with all that it calls, and looks at it.
    async fn would_be_protected(&self, found: &Found, pod: &Value) -> Result<bool, Halt> {
        let api = self.objects(&found.namespace, &Kind::Pods.resource());
        let pod: DynamicObject = serde_json::from_value(pod.clone()).expect("a pod is an object");
        let tried = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let made = match self.asking.ask(api.create(&tried, &pod)).await {
            Ok(made) => made,
            // A quota, or another webhook: no new pod would come.
            Err(Halt::Failed(Failure::Invalid, _)) => return Ok(false),
            Err(halt) => return Err(halt),
        };
        let text = serde_json::to_string(&made).expect("what was JSON can be JSON again");
        let standing = self.world.standing(&found.namespace, &text);
        Ok(standing.is_some_and(|it| it.reason.verdict() == Verdict::Protected))
    }

    /// Whether the pod goes; not if a PodDisruptionBudget says no.
    async fn evict(&self, found: &Found, dry_run: bool) -> Result<bool, Halt> {
        let api = Api::<Pod>::namespaced(self.client.clone(), &found.namespace);
        let exactly = DeleteOptions {
            preconditions: Some(Preconditions {
                uid: Some(found.uid.clone()),
                resource_version: None,
            }),
            ..DeleteOptions::default()
        };
        let eviction = Eviction {
            metadata: ObjectMeta {
                name: Some(found.pod.clone()),
                ..ObjectMeta::default()
            },
            delete_options: Some(exactly),
        };
        // `Api::evict` spells `deleteOptions` in a way that the API server passes over in silence.
        let posting = PostParams {
            dry_run,
            ..PostParams::default()
        };
        let posted =
            api.create_subresource::<_, Value>("eviction", &found.pod, &posting, &eviction);
        match self.asking.ask(posted).await {
            Ok(_) => Ok(true),
            Err(Halt::Gone | Halt::Failed(Failure::TooManyRequests | Failure::Conflict, _)) => {
                Ok(false)
            }
            Err(halt) => Err(halt),
        }
    }

    /// What was noted, by the owner's uid. What nobody can read was not written by us.
    async fn notes(&self) -> Result<BTreeMap<String, Healed>, Halt> {
        let notes = self.asking.ask(self.config_maps().get_opt(NOTES)).await?;
        let data = notes.and_then(|it| it.data).unwrap_or_default();
        let read = data
            .into_iter()
            .filter_map(|(uid, text)| Some((uid, serde_json::from_str(&text).ok()?)));
        Ok(read.collect())
    }

    /// Notes an owner, and forgets those whose time is over.
    async fn note(
        &self,
        found: &[Found],
        notes: &BTreeMap<String, Healed>,
        uid: &str,
        note: &Healed,
    ) -> Result<(), Halt> {
        let old = to_forget(found, notes, note.at).into_iter();
        let mut data: BTreeMap<String, Value> = old.map(|uid| (uid, Value::Null)).collect();
        let text = serde_json::to_string(note).expect("a note is JSON");
        data.insert(uid.to_owned(), text.into());
        let api = self.config_maps();
        let patch = Patch::Merge(json!({"data": data}));
        let (patching, posting) = (PatchParams::default(), PostParams::default());
        let patched = api.patch(NOTES, &patching, &patch);
        match self.asking.ask(patched).await {
            Err(Halt::Gone) => {
                data.retain(|_, text| !text.is_null());
                let new = json!({"metadata": {"name": NOTES}, "data": data});
                let new = serde_json::from_value(new).expect("a ConfigMap of texts");
                self.asking.ask(api.create(&posting, &new)).await?;
            }
            Ok(_) => {}
            Err(halt) => return Err(halt),
        }
        Ok(())
    }

    fn objects(&self, namespace: &str, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}
