//! Follows Velero's Backups and Restores while it leads: reads what became of their hooks once they have
//! ended, one after the other, and tells whose pods went wrong.
mod levels;
mod object;
mod told;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use k8s_openapi::{api::core::v1::ObjectReference, jiff::Timestamp};
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt as _,
        events::{Event, EventType},
        watcher::{self, Event as Change, watcher},
    },
};
use tokio::{sync::Notify, time};

pub use self::levels::ResultLevels;
use self::{
    object::{Slim, resource},
    told::Told,
};
use super::{
    asking::{Asking, Halt},
    metrics::{ResultMetrics, ResultStep},
    notify::Notifier,
    telling::{tell, tell_owner},
    world::World,
};
use crate::{
    kubernetes::{Heard, follow, none_when_absent},
    missed::Owner,
    policy_files::InForce,
    results::{
        self, Outcome, Problem, Volume,
        ledger::{Due, Key, Ledger, Object, Todo},
        notice::{About, body, of_object, of_pods},
        outcomes, tells_of_hooks,
    },
    shutdown::Shutdown,
    velero::objects::{File, Kind},
    velero_files::{Limits, lines, log_of_restore},
};

/// Between two steps, so that the first look at many backups is no burst.
const PACE: Duration = Duration::from_millis(200);

/// A log may be as large as this, packed, and so much of it may be about hooks. One is read at a time.
const LOG: Limits = Limits {
    packed: 16 << 20,
    kept: 8 << 20,
};

/// The same of a list of volumes.
const VOLUMES: Limits = Limits {
    packed: 2 << 20,
    kept: 16 << 20,
};

/// What an operator decides about it.
pub struct BackupPlan {
    pub notifier: Option<Notifier>,
    pub metrics: ResultMetrics,
}

pub struct Backups {
    pub client: Client,
    /// Velero's.
    pub namespace: String,
    /// Where it is noted what was told.
    pub own_namespace: String,
    pub world: Arc<World>,
    pub policies: InForce,
    pub ledger: Arc<Mutex<Ledger>>,
    pub asking: Asking,
    pub interval: Duration,
    pub plan: BackupPlan,
}

impl Backups {
    /// Works until the first signal.
    pub async fn run(self, shutdown: Shutdown) {
        let mut leadership = self.asking.leadership.clone();
        loop {
            let leads = leadership.is_held() && self.world.is_whole();
            if leads {
                tokio::select! {
                    () = shutdown.draining() => return,
                    () = self.lead() => {}
                }
                // Whoever led meanwhile knows better.
                *self.ledger() = Ledger::default();
            }
            tokio::select! {
                () = shutdown.draining() => return,
                () = leadership.changed() => {}
                () = time::sleep(self.interval) => {}
            }
        }
    }

    /// Ends when somebody else leads.
    async fn lead(&self) {
        let told = Told {
            client: &self.client,
            asking: &self.asking,
            namespace: &self.own_namespace,
        };
        match told.read().await {
            Ok(told) => *self.ledger() = Ledger::new(told),
            Err(Halt::Failed(failure, reason)) => {
                let failure = failure.as_str();
                tracing::warn!(failure, reason, "what was told of backups is not known");
                return;
            }
            Err(Halt::NotLeading | Halt::Gone) => return,
        }
        let stirred = Notify::new();
        let watches = async {
            tokio::join!(
                self.watch(Kind::Backup, &stirred),
                self.watch(Kind::Restore, &stirred)
            )
        };
        tokio::select! {
            _ = watches => {}
            () = self.work(&told, &stirred) => {}
        }
    }

    async fn watch(&self, kind: Kind, stirred: &Notify) {
        let of_kind = resource(kind);
        let api = Api::<Slim>::namespaced_with(self.client.clone(), &self.namespace, &of_kind);
        let seconds = u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX);
        let config = watcher::Config::default().timeout(seconds.clamp(10, 290));
        let events = watcher(api, config).default_backoff();
        let events = none_when_absent(kind.plural(), events);
        follow(kind.plural(), events, |heard| {
            let Heard::Event(change) = heard else { return };
            let mut ledger = self.ledger();
            match change {
                Change::Init => ledger.lists(kind),
                Change::InitApply(object) | Change::Apply(object) => {
                    ledger.hear(object.key(kind), object.kept(kind));
                }
                Change::Delete(object) => ledger.forget(&object.key(kind)),
                Change::InitDone => ledger.listed(kind),
            }
            drop(ledger);
            stirred.notify_one();
        })
        .await;
    }

    /// Does what is due, one thing after the other.
    async fn work(&self, told: &Told<'_>, stirred: &Notify) {
        while self.asking.leadership.is_held() {
            let now = Timestamp::now().as_second();
            let due = {
                let mut ledger = self.ledger();
                ledger.prune(|namespace, pod| self.world.has_pod(namespace, pod), now);
                ledger.due(now)
            };
            let until = match due {
                Due::Now(key, todo) => {
                    self.step(told, &key, todo, now).await;
                    time::sleep(PACE).await;
                    continue;
                }
                Due::At(at) => u64::try_from(at - now).unwrap_or_default(),
                Due::Never => u64::MAX,
            };
            let wait = Duration::from_secs(until).min(self.interval);
            tokio::select! {
                () = stirred.notified() => {}
                () = time::sleep(wait) => {}
            }
        }
    }

    async fn step(&self, told: &Told<'_>, key: &Key, todo: Todo, now: i64) {
        let (object, problems) = {
            let ledger = self.ledger();
            let Some(object) = ledger.object(key).cloned() else {
                return;
            };
            (object, ledger.problems(key).to_vec())
        };
        let (step, done) = match todo {
            Todo::Take => {
                let taken = self.take(key, &object).await;
                let taken = taken.map(|outcomes| self.ledger().take(key, outcomes, now));
                (
                    ResultStep::Read,
                    taken.map_err(|error| format!("{error:#}")),
                )
            }
            Todo::Tell => {
                let said = self.tell(key, &object, &problems).await;
                let said = said.map(|()| self.ledger().done(key));
                (ResultStep::Tell, said.map_err(|halt| halt.to_string()))
            }
            Todo::Notify => {
                let sent = self.notify(key, &object, &problems).await;
                (ResultStep::Notify, sent.map(|()| self.ledger().done(key)))
            }
            Todo::Note => {
                let all = self.ledger().told_with(key, now);
                let noted = told.write(&all).await;
                let noted = noted.map(|()| {
                    let mut ledger = self.ledger();
                    ledger.were_told(all);
                    ledger.done(key);
                });
                (ResultStep::Note, noted.map_err(|halt| halt.to_string()))
            }
            Todo::Nothing => return,
        };
        let (kind, name, did) = (key.kind.word(), &*key.name, step.as_str());
        match done {
            Ok(()) => {
                self.plan.metrics.done(step);
                tracing::debug!(kind, name, did, "results");
            }
            Err(reason) => {
                if !self.asking.leadership.is_held() {
                    return;
                }
                self.plan.metrics.failed(step);
                let again = self.ledger().failed(key, Timestamp::now().as_second());
                tracing::warn!(
                    kind,
                    name,
                    did,
                    reason,
                    again,
                    "results that could not be seen to"
                );
            }
        }
    }

    /// What became of the hooks of one that has ended.
    async fn take(&self, key: &Key, object: &Object) -> anyhow::Result<Vec<Outcome>> {
        let Key { kind, name } = key;
        let (client, namespace) = (&self.client, &*self.namespace);
        let log = match kind {
            Kind::Backup => {
                lines(
                    client,
                    namespace,
                    *kind,
                    name,
                    File::Log,
                    LOG,
                    tells_of_hooks,
                )
                .await?
            }
            // What its hooks did stands in the log of the server alone.
            Kind::Restore => {
                let ended = object.ended.unwrap_or_default() - RESTORE_LASTS;
                let since = Timestamp::from_second(ended).ok();
                log_of_restore(client, namespace, name, since).await?
            }
        };
        let runs = results::hooks(&log);
        let volumes = if object.partly && *kind == Kind::Backup && !runs.is_empty() {
            self.volumes(key).await?
        } else {
            Vec::new()
        };
        let policies = self.policies.get();
        let has_post = |policy: &str, namespace: &str| {
            let policy = policies.get(policy, namespace)?;
            Some(policy.hooks.post.is_some())
        };
        Ok(outcomes(*kind, &runs, &volumes, has_post))
    }

    async fn volumes(&self, key: &Key) -> anyhow::Result<Vec<Volume>> {
        let Key { kind, name } = key;
        let infos = lines(
            &self.client,
            &self.namespace,
            *kind,
            name,
            File::Volumes,
            VOLUMES,
            |_| true,
        );
        results::volumes(&infos.await?).context("its list of volumes cannot be read")
    }

    /// Owners first, then the object itself.
    async fn tell(&self, key: &Key, object: &Object, problems: &[Problem]) -> Result<(), Halt> {
        let about = self.about(key, object);
        let owners = |namespace: &str, pod: &str| self.world.owner(namespace, pod);
        let uids = |namespace: &str, pod: &str| owners(namespace, pod).map(|it| it.uid);
        for (_, notice) in of_pods(about, problems, uids) {
            if let Some(owner) = owners(&notice.namespace, &notice.pod) {
                let event = event(notice.reason.as_str(), notice.sentence);
                self.tell_owner(&notice.namespace, &owner, event).await?;
                time::sleep(PACE).await;
            }
        }
        let reference = ObjectReference {
            api_version: Some("velero.io/v1".to_owned()),
            kind: Some(key.kind.as_str().to_owned()),
            name: Some(key.name.clone()),
            namespace: Some(self.namespace.clone()),
            uid: Some(object.uid.clone()),
            ..ObjectReference::default()
        };
        for (reason, sentence) in of_object(about, problems) {
            let event = event(reason.as_str(), sentence);
            tell(&self.client, &self.asking, event, &reference).await?;
        }
        Ok(())
    }

    async fn tell_owner(&self, namespace: &str, owner: &Owner, event: Event) -> Result<(), Halt> {
        match tell_owner(&self.client, &self.asking, namespace, owner, event).await {
            // With its namespace.
            Err(Halt::Gone) => Ok(()),
            told => told,
        }
    }

    async fn notify(&self, key: &Key, object: &Object, problems: &[Problem]) -> Result<(), String> {
        let Some(notifier) = &self.plan.notifier else {
            return Ok(());
        };
        let ended = object.ended.and_then(|it| Timestamp::from_second(it).ok());
        let ended = ended.unwrap_or_else(Timestamp::now).to_string();
        let about = self.about(key, object);
        notifier
            .send(&body(notifier.format, about, problems, &ended))
            .await
    }

    fn about<'a>(&'a self, key: &'a Key, object: &'a Object) -> About<'a> {
        About {
            key,
            schedule: &object.schedule,
            namespace: &self.namespace,
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A panic elsewhere leaves each backup as it was heard of last.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far back the log of the server is read for a restore, in seconds.
const RESTORE_LASTS: i64 = 6 * 60 * 60;

fn event(reason: &str, note: String) -> Event {
    Event {
        type_: EventType::Warning,
        reason: reason.to_owned(),
        note: Some(note),
        action: "Backup".to_owned(),
        secondary: None,
    }
}
