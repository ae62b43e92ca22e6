//! Takes the snapshots that ConsistentSnapshot objects ask for, while it leads. What has to be undone stands
//! in the object before a step begins, so that whoever leads next can do it.
mod begin;
mod claims;
mod keeper;
mod known;
mod standings;
mod status;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event as Change, watcher},
    },
};
use tokio::{
    sync::{Notify, watch},
    time::{self, Instant},
};

use self::{
    begin::NotBegun,
    claims::Claims,
    keeper::{Keeper, Object},
    known::{FINALIZER, Key, Known, key},
    standings::Standings,
    status::now,
};
use super::{
    asking::{Asking, Halt, pause},
    metrics::SnapshotMetrics,
};
use crate::{
    kubernetes::{Heard, follow, identity, none_when_absent},
    live::Subject,
    policy::crd::{GROUP, VERSION},
    policy_files::InForce,
    shutdown::{self, Shutdown},
    snapshot::{
        Phase, Snapshot,
        resource::{REQUEST, REQUESTS, Request},
    },
    snapshotter::{Busy, Drive, Kept, Lock, Plan, Times, forget},
    trial::{Hook, word},
};

/// So many are under way at once.
const MOST: usize = 10;

/// After the first signal, what holds may come to its cut for so long: the kubelet gives us 30 s.
const GRACE: Duration = Duration::from_secs(15);

/// How soon it is seen that we may not lead any more.
const GLANCE: Duration = Duration::from_millis(200);

pub struct Snapshots {
    client: Client,
    policies: InForce,
    asking: Asking,
    interval: Duration,
    /// What no other process calls itself.
    identity: String,
    metrics: SnapshotMetrics,
}

/// What became of one that somebody looked after.
enum Left {
    Done,
    /// It has to wait for another one, as is said here.
    Waits(String),
    /// We lead no longer, or stop; whoever leads goes on with it.
    ForAnother,
    Failed(String),
}

#[derive(Default)]
struct Shared {
    known: Mutex<BTreeMap<Key, Known>>,
    claims: Claims,
    stirred: Notify,
}

type Work<'w> = Pin<Box<dyn Future<Output = (Key, Left)> + Send + 'w>>;

impl Snapshots {
    pub fn new(
        client: &Client,
        policies: &InForce,
        asking: &Asking,
        interval: Duration,
        metrics: SnapshotMetrics,
    ) -> Self {
        Self {
            client: client.clone(),
            policies: policies.clone(),
            asking: asking.clone(),
            interval,
            identity: identity(),
            metrics,
        }
    }

    /// Works until the first signal, and undoes what is held then.
    pub async fn run(self, shutdown: Shutdown) {
        let shared = Shared::default();
        let standings = Standings::new(&self.client, &self.asking, self.interval);
        tokio::select! {
            () = self.watch(&shared) => {}
            () = standings.run() => {}
            () = self.work(&shared, &shutdown) => {}
            () = shutdown.aborted() => {}
        }
    }

    async fn watch(&self, shared: &Shared) {
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource(REQUEST, REQUESTS));
        let seconds = u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX);
        let config = watcher::Config::default().timeout(seconds.clamp(10, 290));
        let events = none_when_absent(REQUESTS, watcher(api, config).default_backoff());
        let mut listed: Option<BTreeMap<Key, Known>> = None;
        follow(REQUESTS, events, |heard| {
            let Heard::Event(change) = heard else { return };
            if let Change::InitApply(object) | Change::Apply(object) = &change {
                let Known { ended, is_good, .. } = Known::of(object);
                ended
                    .filter(|_| is_good)
                    .into_iter()
                    .for_each(|it| self.metrics.good(it));
            }
            match change {
                Change::Init => listed = Some(BTreeMap::new()),
                Change::InitApply(object) => {
                    if let Some(listed) = &mut listed {
                        listed.insert(key(&object), Known::of(&object));
                    }
                }
                Change::InitDone => *held(&shared.known) = listed.take().unwrap_or_default(),
                Change::Apply(object) => {
                    held(&shared.known).insert(key(&object), Known::of(&object));
                }
                Change::Delete(object) => {
                    held(&shared.known).remove(&key(&object));
                }
            }
            shared.stirred.notify_one();
        })
        .await;
    }

    async fn work(&self, shared: &Shared, shutdown: &Shutdown) {
        let mut leadership = self.asking.leadership.clone();
        let mut under_way: FuturesUnordered<Work<'_>> = FuturesUnordered::new();
        let mut stops: BTreeMap<Key, watch::Sender<bool>> = BTreeMap::new();
        let mut failures: BTreeMap<Key, (u32, Instant)> = BTreeMap::new();
        let mut waiting: BTreeSet<Key> = BTreeSet::new();
        let mut led = false;
        // When what waits is looked at again, also where nothing is heard: each renewal of the lease stirs.
        let mut again = Instant::now() + self.interval;
        loop {
            if again <= Instant::now() {
                waiting.clear();
                again = Instant::now() + self.interval;
            }
            let draining = shutdown.is_draining();
            let leads = self.asking.leadership.is_held();
            if leads && !led {
                waiting.clear();
            }
            led = leads;
            if draining && under_way.is_empty() {
                return;
            }
            let mut next = again;
            let now = Timestamp::now().as_second();
            let all = held(&shared.known).clone();
            failures.retain(|key, _| all.contains_key(key));
            waiting.retain(|key| all.contains_key(key));
            for (key, known) in all {
                if let Some(stop) = stops.get(&key) {
                    stop.send_replace(known.is_deleted);
                    continue;
                }
                let due = known.is_due(now);
                if let (false, Some(goes)) = (due, known.goes) {
                    let in_seconds = u64::try_from(goes - now).unwrap_or_default();
                    next = next.min(Instant::now() + Duration::from_secs(in_seconds));
                }
                if !due {
                    waiting.remove(&key);
                }
                let later = failures.get(&key).map(|(_, later)| *later);
                if let Some(later) = later.filter(|it| *it > Instant::now()) {
                    next = next.min(later);
                    continue;
                }
                let may = !draining && leads && under_way.len() < MOST;
                if !due || !may || waiting.contains(&key) {
                    continue;
                }
                let (stop, stopped) = watch::channel(known.is_deleted);
                stops.insert(key.clone(), stop);
                under_way.push(Box::pin(async move {
                    let left = self.look_after(&key, shared, stopped, shutdown).await;
                    (key, left)
                }));
            }
            self.metrics.under_way(under_way.len());
            tokio::select! {
                () = shared.stirred.notified() => waiting.clear(),
                () = leadership.changed() => {}
                () = shutdown.draining(), if !draining => {}
                () = time::sleep_until(next) => {}
                Some((key, left)) = under_way.next(), if !under_way.is_empty() => {
                    stops.remove(&key);
                    // What had its claims may have been waited for.
                    if !matches!(left, Left::Waits(_)) {
                        waiting.clear();
                    }
                    let (failed, _) = failures.remove(&key).unwrap_or((0, Instant::now()));
                    match left {
                        // What is heard next tells more.
                        Left::Done | Left::ForAnother | Left::Waits(_) => {
                            waiting.insert(key);
                        }
                        Left::Failed(reason) => {
                            let pause = pause(failed, self.interval);
                            let (namespace, name) = &key;
                            tracing::warn!(namespace, name, reason, again = ?pause, "a ConsistentSnapshot that could not be seen to");
                            failures.insert(key, (failed + 1, Instant::now() + pause));
                        }
                    }
                }
            }
        }
    }

    async fn look_after(
        &self,
        key: &Key,
        shared: &Shared,
        stopped: watch::Receiver<bool>,
        shutdown: &Shutdown,
    ) -> Left {
        match self.turn(key, shared, stopped, shutdown).await {
            Ok(left) => left,
            Err(Halt::NotLeading) => Left::ForAnother,
            Err(Halt::Gone) => Left::Done,
            Err(halt) => Left::Failed(halt.to_string()),
        }
    }

    /// From what an object says now to its end, or to where somebody else goes on.
    async fn turn(
        &self,
        key: &Key,
        shared: &Shared,
        stopped: watch::Receiver<bool>,
        shutdown: &Shutdown,
    ) -> Result<Left, Halt> {
        let (namespace, name) = key;
        let (client, resource) = (self.client.clone(), resource(REQUEST, REQUESTS));
        let api = Api::<DynamicObject>::namespaced_with(client, namespace, &resource);
        let read = self.asking.ask(api.get(name)).await?;
        let object = Object::new(api, &read, &self.identity, &self.asking);
        let finalizers = read.metadata.finalizers.clone().unwrap_or_default();
        let seen = Known::of(&read);
        let state = read.data["status"]["state"].as_str();
        if seen.ended.is_some() || (seen.is_deleted && state.is_none()) {
            return self.leave(&object, &seen, &finalizers).await;
        }
        let (claimed, plan, mut snapshot, request) = if let Some(state) = state {
            let Ok(kept) = serde_json::from_str::<Kept>(state) else {
                let why = "what is kept of it is of another version of this program: look whether its pods are held";
                object.write(&object.about.refused(why, &now())).await?;
                return Ok(self.refused(&object, namespace, why).await);
            };
            // What is to be undone waits for nobody.
            let claims = kept.claims().map(str::to_owned).collect();
            let claimed = shared.claims.take(namespace, claims, name).ok();
            let taken = serde_json::json!({"holder": self.identity});
            object.write(&taken).await?;
            let restored = kept.restore(&self.client, namespace).await;
            let (plan, snapshot) = match restored {
                Ok(restored) => restored,
                Err(error) => return Ok(Left::Failed(format!("{error:#}"))),
            };
            tracing::info!(
                namespace,
                name,
                phase = snapshot.phase().as_str(),
                "a ConsistentSnapshot is gone on with"
            );
            (claimed, plan, snapshot, Request::of(&read.data).ok())
        } else {
            let begun = self.begin(key, &read.data, &shared.claims).await;
            let (claimed, plan, request) = match begun {
                Ok(begun) => begun,
                Err(NotBegun::Later(why)) => {
                    let waits = object.about.waits("Retrying", &why, &now());
                    object.write(&waits).await?;
                    return Ok(Left::Failed(why));
                }
                Err(NotBegun::Busy(why)) => {
                    object.waits(&why).await?;
                    return Ok(Left::Waits(why));
                }
                Err(NotBegun::Refused(why)) => {
                    object.write(&object.about.refused(&why, &now())).await?;
                    return Ok(self.refused(&object, namespace, &why).await);
                }
            };
            let members = plan.members.iter();
            let members = members.map(|it| (it.title(), it.hooks.clone())).collect();
            let snapshot = Snapshot::new(request.terms(), members, plan.claims.len());
            object.finalize(true, &finalizers).await?;
            (Some(claimed), plan, snapshot, Some(request))
        };
        let driven = self.drive(&object, &plan, &mut snapshot, stopped, shutdown);
        let times = match driven.await {
            Ok(times) => times,
            Err(left) => {
                if let (Left::Failed(why), Phase::Pending) = (&left, snapshot.phase()) {
                    let waits = object.about.waits("Retrying", why, &now());
                    object.write(&waits).await?;
                }
                if let Left::Waits(why) = &left {
                    object.waits(why).await?;
                }
                return Ok(left);
            }
        };
        let mut notes: Vec<String> = snapshot.notes().collect();
        if let Some(keep) = request.and_then(|it| it.keep)
            && snapshot.verdict().is_good()
        {
            let told = forget(&self.client, &plan, keep as usize).await;
            notes
                .push(told.unwrap_or_else(|error| format!("nothing older was deleted: {error:#}")));
        }
        let status = object.about.ended(&plan, &snapshot, &notes, &now());
        object.write(&status).await?;
        drop(claimed);
        self.metrics.ended(&snapshot, times);
        let message = status["message"].as_str().unwrap_or_default();
        self.told(&object, namespace, Some(snapshot.verdict()), message)
            .await;
        self.leave(&object, &seen, &finalizers).await
    }

    /// How long it took to come to its end, or who goes on.
    async fn drive(
        &self,
        object: &Object<'_>,
        plan: &Plan,
        snapshot: &mut Snapshot,
        mut stopped: watch::Receiver<bool>,
        shutdown: &Shutdown,
    ) -> Result<Times, Left> {
        let (trigger, ours) = shutdown::channel();
        let keeper = Keeper::new(object, plan);
        let mut phase = keeper.phase.subscribe();
        let lost = || async {
            while self.asking.leadership.is_held() {
                time::sleep(GLANCE).await;
            }
        };
        // What only waits for the storage may be left as it is.
        let leave = async {
            tokio::select! {
                () = lost() => {}
                () = shutdown.draining() => {}
            }
            let _ = phase.wait_for(|it| *it == Phase::Verifying).await;
        };
        let stop = async {
            let graceful = async {
                shutdown.draining().await;
                time::sleep(GRACE).await;
            };
            tokio::select! {
                _ = stopped.wait_for(|it| *it) => {}
                () = lost() => {}
                () = graceful => {}
            }
            trigger.drain();
            std::future::pending::<Infallible>().await
        };
        let driven = async {
            let announce = |subject: &Subject, hook: &Hook| {
                let phase = word(hook.phase());
                tracing::info!(pod = subject.title(), phase, "a hook runs");
            };
            let client = &self.client;
            let mut drive = if snapshot.phase() == Phase::Pending {
                let lock = Lock::take(client, plan).await?;
                Drive::new(client, &ours, plan, lock, announce).await?
            } else {
                let lock = if snapshot.may_hold() {
                    Some(Lock::take_on(client, plan).await)
                } else {
                    None
                };
                Drive::again(client, &ours, plan, lock, announce).await?
            };
            drive.until_done(snapshot, &keeper).await
        };
        tokio::select! {
            biased;
            driven = driven => driven.map_err(|error| match error.downcast_ref::<Busy>() {
                Some(Busy { claim, holder, .. }) => {
                    Left::Waits(format!("claim {claim} is taken by snapshot {holder}"))
                }
                None => Left::Failed(format!("{error:#}")),
            }),
            () = leave => Err(Left::ForAnother),
            never = stop => match never {},
        }
    }

    async fn refused(&self, object: &Object<'_>, namespace: &str, why: &str) -> Left {
        self.metrics.refused();
        self.told(object, namespace, None, why).await;
        Left::Done
    }

    /// It has ended: it may go.
    async fn leave(
        &self,
        object: &Object<'_>,
        seen: &Known,
        finalizers: &[String],
    ) -> Result<Left, Halt> {
        if finalizers.iter().any(|it| it == FINALIZER) || seen.ended.is_none() {
            object.finalize(false, finalizers).await?;
        }
        let goes = seen
            .goes
            .is_some_and(|it| it <= Timestamp::now().as_second());
        if goes && !seen.is_deleted {
            let delete = DeleteParams::default();
            self.asking
                .ask(object.api.delete(&object.name, &delete))
                .await?;
        }
        Ok(Left::Done)
    }
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: GROUP.to_owned(),
        version: VERSION.to_owned(),
        api_version: format!("{GROUP}/{VERSION}"),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
