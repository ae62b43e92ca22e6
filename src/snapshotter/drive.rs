//! Carries the steps of a snapshot out: hooks by exec, cuts by the API server.

use std::time::Duration;

use anyhow::anyhow;
use futures::StreamExt as _;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{WatchStreamExt as _, utils::Backoff, watcher},
};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{self, Instant},
};

use super::{Group, Lock, Plan, group, patience::patiently, sight::Sight, storage};
use crate::{
    csi::{self, groups},
    kubernetes::{Running, with_causes},
    live::{Live, Subject, abandoned},
    shutdown::Shutdown,
    snapshot::{Cut, Event, PATIENCE, Snapshot, Step, Taken},
    trial,
    velero::HookPhase,
};

/// How long requests that were under way may take before what they made is deleted.
const LATE: Duration = Duration::from_secs(10);

/// How soon a watch that broke is begun again: something is held meanwhile.
struct Soon;

impl Iterator for Soon {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(250))
    }
}

impl Backoff for Soon {
    fn reset(&mut self) {}
}

/// How long what is seen took; nothing where it did not come so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// From the request until the last was cut.
    pub cut: Option<Duration>,
    /// From the request until all can be restored.
    pub ready: Option<Duration>,
}

/// Keeps the state before each step, so that somebody else can go on with it.
pub trait Keep {
    /// # Errors
    /// Why it is not kept: then nothing is begun, and what has to be undone is undone all the same.
    fn keep(&self, snapshot: &Snapshot) -> impl Future<Output = Result<(), String>>;
}

/// Nobody else goes on with it.
pub struct Unkept;

impl Keep for Unkept {
    async fn keep(&self, _: &Snapshot) -> Result<(), String> {
        Ok(())
    }
}

/// What is under way beside the state.
pub struct Drive<'d> {
    live: Live<'d>,
    plan: &'d Plan,
    /// Until nothing is held any more.
    lock: Option<Lock>,
    /// Whether something was let go of.
    undid: bool,
    /// Pre hooks that were not waited for.
    late: Vec<Option<Running>>,
    tell: mpsc::UnboundedSender<(usize, Cut)>,
    seen: mpsc::UnboundedReceiver<(usize, Cut)>,
    /// Ends with us.
    watching: JoinSet<()>,
    creating: JoinSet<Result<(), String>>,
    asked: Option<Instant>,
    waits: Option<Instant>,
}

impl<'d> Drive<'d> {
    /// Follows the snapshots from now on, so that their cuts are heard of at once. The claims of the plan
    /// are locked until nothing is held any more.
    pub async fn new(
        client: &'d Client,
        shutdown: &'d Shutdown,
        plan: &'d Plan,
        lock: Lock,
        announce: fn(&Subject, &trial::Hook),
    ) -> anyhow::Result<Self> {
        let mut drive = Self::of(client, shutdown, plan, announce);
        let ready = match group::prepare(client, plan).await {
            Ok(()) => drive.watch().await,
            unlabelled => unlabelled,
        };
        if ready.is_err() {
            group::leave(client, plan).await;
            lock.give_up().await;
        } else {
            drive.lock = Some(lock);
        }
        ready.map(|()| drive)
    }

    /// Goes on with what another process has begun. The lock is there where something may be held.
    pub async fn again(
        client: &'d Client,
        shutdown: &'d Shutdown,
        plan: &'d Plan,
        lock: Option<Lock>,
        announce: fn(&Subject, &trial::Hook),
    ) -> anyhow::Result<Self> {
        let mut drive = Self::of(client, shutdown, plan, announce);
        let may_hold = lock.is_some();
        drive.lock = lock;
        match drive.watch().await {
            // No cut has to be seen for what is held to be let go of.
            Err(error) if may_hold => {
                let reason = format!("{error:#}");
                tracing::warn!(reason, "snapshots are not watched while pods are let go of");
            }
            watched => watched?,
        }
        Ok(drive)
    }

    fn of(
        client: &'d Client,
        shutdown: &'d Shutdown,
        plan: &'d Plan,
        announce: fn(&Subject, &trial::Hook),
    ) -> Self {
        let (tell, seen) = mpsc::unbounded_channel();
        Self {
            live: Live {
                client,
                shutdown,
                hold: Duration::ZERO,
                tell: announce,
            },
            plan,
            lock: None,
            undid: false,
            late: plan.members.iter().map(|_| None).collect(),
            tell,
            seen,
            watching: JoinSet::new(),
            creating: JoinSet::new(),
            asked: None,
            waits: None,
        }
    }

    /// Waits until all that there is has been listed.
    async fn watch(&mut self) -> anyhow::Result<()> {
        let (plan, client) = (self.plan, self.live.client);
        let set = format!("{}={}", csi::labels::SET, plan.set);
        let (listed, mut all_listed) = mpsc::channel::<()>(1);
        let sight = Sight::of(plan);
        let snapshots = GroupVersionKind::gvk(csi::GROUP, csi::VERSION, "VolumeSnapshot");
        let snapshots = ApiResource::from_gvk_with_plural(&snapshots, "volumesnapshots");
        let snapshots = Api::namespaced_with(client.clone(), &plan.namespace, &snapshots);
        if let Some(Group { version, .. }) = &plan.group {
            let kind = GroupVersionKind::gvk(&groups::api(), version, "VolumeGroupSnapshot");
            let kind = ApiResource::from_gvk_with_plural(&kind, "volumegroupsnapshots");
            let kind = Api::namespaced_with(client.clone(), &plan.namespace, &kind);
            let config = watcher::Config::default().labels(&set);
            let (sight, tell) = (sight.clone(), self.tell.clone());
            self.watching
                .spawn(follow(kind, config, listed.clone(), move |it| {
                    for seen in sight.group(it) {
                        let _ = tell.send(seen);
                    }
                }));
        }
        // What a group makes has no label of ours.
        let config = match &plan.group {
            None => watcher::Config::default().labels(&set),
            Some(_) => watcher::Config::default(),
        };
        let tell = self.tell.clone();
        self.watching
            .spawn(follow(snapshots, config, listed, move |it| {
                for seen in sight.snapshot(it) {
                    let _ = tell.send(seen);
                }
            }));
        match time::timeout(LATE, all_listed.recv()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(anyhow!(
                "the snapshots of {} cannot be watched: may we list and watch them?",
                plan.namespace
            )),
        }
    }

    /// Nothing is held any more: others may have the claims.
    async fn let_go(&mut self) -> Result<(), String> {
        let Some(lock) = self.lock.take() else {
            return Ok(());
        };
        group::leave(self.live.client, self.plan).await;
        lock.release(self.undid).await
    }

    /// Whether something may be held or made: what undoes it is kept, and the claims are ours.
    async fn may_begin(&self, snapshot: &Snapshot, keep: &impl Keep) -> Result<(), Event> {
        keep.keep(snapshot).await.map_err(Event::GaveUp)?;
        match &self.lock {
            Some(lock) => lock.is_ours().await.map_err(Event::Lost),
            None => Ok(()),
        }
    }

    /// A post hook. Where it may let go of what somebody else holds by now, that one is told first.
    async fn undo(&self, member: usize, hook: &trial::Hook) -> Event {
        if let Some(lock) = &self.lock {
            lock.about_to_undo().await;
        }
        self.run(member, hook).await.0
    }

    /// The first signal ends it early, with all that has to be undone; only a second one leaves that out.
    /// What only looks ends where it is not kept, and may be gone on with later.
    pub async fn until_done(
        &mut self,
        snapshot: &mut Snapshot,
        keep: &impl Keep,
    ) -> anyhow::Result<Times> {
        let shutdown = self.live.shutdown;
        let plan = self.plan;
        tokio::select! {
            times = self.steps(snapshot, keep) => times.map_err(|why| anyhow!(why)),
            () = shutdown.aborted() => {
                let each = plan.members.iter().map(|it| abandoned(it).to_string());
                Err(anyhow!("{}", each.collect::<Vec<_>>().join("\n")))
            }
        }
    }

    async fn steps(&mut self, snapshot: &mut Snapshot, keep: &impl Keep) -> Result<Times, String> {
        let mut times = Times::default();
        loop {
            if self.live.shutdown.is_draining() {
                snapshot.advance(Event::Stopped);
            }
            if let Some(why) = self.lock.as_ref().and_then(Lock::lost) {
                snapshot.advance(Event::Lost(why));
            }
            let step = snapshot.next_step();
            let may_hold = matches!(step, Step::Run { .. } | Step::Linger { .. } | Step::Cut(_));
            if !may_hold && let Err(why) = self.let_go().await {
                snapshot.advance(Event::Lost(why));
            }
            let event = match step {
                Step::Run { member, hook, .. } if hook.phase() == HookPhase::Pre => {
                    match self.may_begin(snapshot, keep).await {
                        Ok(()) => {
                            let (event, running) = self.run(member, &hook).await;
                            self.late[member] = running;
                            event
                        }
                        Err(event) => event,
                    }
                }
                // Nobody is held any longer than it takes to undo it: keeping goes on beside it.
                Step::Run {
                    after,
                    member,
                    hook,
                } => {
                    time::sleep(after).await;
                    self.undid = true;
                    let (event, _) = tokio::join!(self.undo(member, &hook), keep.keep(snapshot));
                    event
                }
                Step::Linger { member, most } => {
                    let ended = if let Some(running) = &mut self.late[member] {
                        time::timeout(most, running.ended()).await.is_ok()
                    } else {
                        // Nobody can be asked about it any more: it is undone once more.
                        time::sleep(most).await;
                        true
                    };
                    Event::Lingered { member, ended }
                }
                Step::Cut(most) => {
                    let may_begin = match self.asked {
                        None => self.may_begin(snapshot, keep).await,
                        Some(_) => Ok(()),
                    };
                    match may_begin {
                        Ok(()) => {
                            if self.asked.is_none() {
                                self.ask();
                            }
                            let event = self.wait(self.asked, most, snapshot, "cut").await;
                            times.cut = self.asked.map(|it| it.elapsed());
                            event
                        }
                        Err(event) => event,
                    }
                }
                Step::Examine => {
                    keep.keep(snapshot).await?;
                    Event::Examined(self.examine(snapshot).await)
                }
                Step::AwaitReady(most) => {
                    keep.keep(snapshot).await?;
                    let since = *self.waits.get_or_insert_with(Instant::now);
                    self.wait(Some(since), most, snapshot, "ready").await
                }
                Step::Withdraw => {
                    // Without it the post hooks run once more, and that is all.
                    let _ = keep.keep(snapshot).await;
                    // What is still being asked for would come after it was deleted.
                    let requests = async { while self.creating.join_next().await.is_some() {} };
                    let _ = time::timeout(LATE, requests).await;
                    let (client, plan) = (self.live.client, self.plan);
                    let withdrawn = patiently(PATIENCE, || storage::withdraw(client, plan)).await;
                    Event::Withdrawn(withdrawn.map_err(|error| format!("{error:#}")))
                }
                Step::Mark => {
                    keep.keep(snapshot).await?;
                    if snapshot.cuts().iter().all(|it| it.ready) {
                        times.ready = self.asked.map(|it| it.elapsed());
                    }
                    let (client, plan) = (self.live.client, self.plan);
                    let marks = storage::marks(plan, snapshot);
                    let marked = patiently(PATIENCE, || storage::mark(client, plan, &marks)).await;
                    Event::Marked(marked.map_err(|error| format!("{error:#}")))
                }
                Step::Done => return Ok(times),
            };
            snapshot.advance(event);
        }
    }

    async fn run(&self, member: usize, hook: &trial::Hook) -> (Event, Option<Running>) {
        let began = self.plan.clock.now();
        let (run, running) = self.live.run(&self.plan.members[member], hook).await;
        let time = (began, self.plan.clock.now());
        (Event::Ran { member, run, time }, running)
    }

    /// Asks for all snapshots at the same time.
    fn ask(&mut self) {
        self.asked = Some(Instant::now());
        let requests = match storage::requests(self.plan) {
            Ok(requests) => requests,
            Err(error) => {
                self.creating
                    .spawn(async move { Err(format!("{error:#}")) });
                return;
            }
        };
        for (claim, request) in requests {
            let client = self.live.client.clone();
            self.creating.spawn(async move {
                let made = client.request_text(request).await;
                made.map(|_| ())
                    .map_err(|error| format!("no snapshot of {claim}: {}", with_causes(&error)))
            });
        }
    }

    /// The next thing that is seen of a snapshot, or why nothing more is waited for.
    async fn wait(
        &mut self,
        since: Option<Instant>,
        most: Duration,
        snapshot: &Snapshot,
        what: &str,
    ) -> Event {
        let until = since.unwrap_or_else(Instant::now) + most;
        loop {
            tokio::select! {
                biased;
                seen = self.seen.recv() => match seen {
                    Some((claim, cut)) => return Event::Seen { claim, cut },
                    None => return Event::GaveUp("the watch of the snapshots ended".to_owned()),
                },
                Some(made) = self.creating.join_next(), if !self.creating.is_empty() => {
                    if let Ok(Err(why)) = made {
                        return Event::GaveUp(why);
                    }
                }
                () = self.live.shutdown.draining() => return Event::Stopped,
                why = until_lost(self.lock.as_ref()) => return Event::Lost(why),
                () = time::sleep_until(until) => {
                    let said = snapshot.cuts().iter().find_map(|it| it.error.as_deref());
                    let said = said.map_or_else(String::new, |it| format!(": {it}"));
                    return Event::GaveUp(format!("not {what} within {most:?}{said}"));
                }
            }
        }
    }

    async fn examine(&self, snapshot: &Snapshot) -> Vec<Option<Taken>> {
        let mut all = Vec::new();
        for cut in snapshot.cuts() {
            all.push(match &cut.content {
                Some(content) => storage::taken(self.live.client, content).await,
                None => None,
            });
        }
        all
    }
}

async fn until_lost(lock: Option<&Lock>) -> String {
    match lock {
        Some(lock) => lock.until_lost().await,
        None => std::future::pending().await,
    }
}

/// Has each object that is there or comes looked at, and drops `listed` when it has been through once.
async fn follow(
    objects: Api<DynamicObject>,
    config: watcher::Config,
    listed: mpsc::Sender<()>,
    look: impl Fn(&Value),
) {
    let mut listed = Some(listed);
    let mut events = Box::pin(watcher(objects, config).backoff(Soon));
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(it) | watcher::Event::InitApply(it)) => {
                look(&serde_json::to_value(&it).unwrap_or_default());
            }
            Ok(watcher::Event::InitDone) => drop(listed.take()),
            Ok(watcher::Event::Init | watcher::Event::Delete(_)) => {}
            Err(error) => {
                tracing::warn!(reason = %with_causes(&error), "the watch of snapshots broke");
            }
        }
    }
}
