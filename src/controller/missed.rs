//! Does something about pods that lack their hooks, once in an interval and while it leads: puts right
//! what can be put right on a running pod, and tells owners of the others.
use std::{sync::Arc, time::Duration};

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType},
};
use serde_json::json;
use tokio::time::{self, MissedTickBehavior};

use super::{
    asking::{Asking, Failure, Halt},
    heal::Heal,
    metrics::ControllerMetrics,
    telling::tell_owner,
    world::{Repair, World, moment},
};
use crate::{
    missed::{Action, Found, Mend, Notice, Told, notices},
    shutdown::Shutdown,
};

/// Between two writes, so that the first pass in a large cluster is no burst.
const PACE: Duration = Duration::from_millis(50);

/// So many Events are written in one pass at most; the others wait for the next.
const NOTICES: usize = 100;

/// After so many failures a pass ends: it may be the same everywhere.
const FAILURES: u32 = 10;

pub struct Missed {
    pub client: Client,
    pub world: Arc<World>,
    pub asking: Asking,
    pub interval: Duration,
    pub repair: bool,
    pub heal: Option<Heal>,
    pub metrics: ControllerMetrics,
}

impl Missed {
    /// Works until the first signal.
    pub async fn run(self, shutdown: Shutdown) {
        let mut ticks = time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Told::default();
        loop {
            tokio::select! {
                () = shutdown.draining() => return,
                _ = ticks.tick() => {}
            }
            if !self.world.is_whole() || !self.asking.leadership.is_held() {
                // Whoever led meanwhile has told others.
                told = Told::default();
                continue;
            }
            tokio::select! {
                () = self.pass(&mut told, &shutdown) => {}
                () = shutdown.aborted() => return,
            }
        }
    }

    async fn pass(&self, told: &mut Told, shutdown: &Shutdown) {
        let found = self.world.missed();
        let mut failures = 0;
        let may_go_on = || !shutdown.is_draining();
        let repairs = found.iter().filter(|it| it.standing.mend == Mend::InPlace);
        for pod in repairs.filter(|_| self.repair) {
            if !may_go_on() {
                return;
            }
            let done = self.repair(pod).await;
            if !self.noted(
                done,
                Action::Repair,
                &pod.namespace,
                &pod.pod,
                &mut failures,
            ) {
                return;
            }
        }
        let now = moment(Timestamp::now());
        // Of what was repaired just now nothing is there at the next look.
        let due = told.due(notices(&found), now);
        for notice in due.iter().take(NOTICES) {
            if !may_go_on() {
                return;
            }
            let done = self.tell(notice).await.map(|()| true);
            if done.is_ok() {
                told.given(notice, now);
            }
            let about = &notice.about.name;
            if !self.noted(done, Action::Tell, &notice.namespace, about, &mut failures) {
                return;
            }
        }
        if let Some(heal) = &self.heal
            && may_go_on()
        {
            let (done, namespace, pod) = match heal.pass(&found).await {
                Ok(Some(healed)) => (Ok(true), healed.namespace, healed.pod),
                Ok(None) => return,
                Err(halt) => (Err(halt), String::new(), String::new()),
            };
            self.noted(done, Action::Heal, &namespace, &pod, &mut failures);
        }
    }

    /// Counts and logs what became of a step; says whether the next may follow.
    fn noted(
        &self,
        done: Result<bool, Halt>,
        action: Action,
        namespace: &str,
        name: &str,
        failures: &mut u32,
    ) -> bool {
        let step = action.as_str();
        match done {
            Ok(true) => {
                self.metrics.mended(action);
                tracing::info!(namespace, name, step, "missed hooks");
            }
            Ok(false) | Err(Halt::Gone) => {}
            Err(Halt::NotLeading) => return false,
            Err(Halt::Failed(failure, reason)) => {
                self.metrics.unmended(failure);
                tracing::warn!(
                    namespace,
                    name,
                    step,
                    failure = failure.as_str(),
                    reason,
                    "missed hooks could not be seen to"
                );
                *failures += 1;
            }
        }
        *failures < FAILURES
    }

    /// Writes what the webhook would have written, unless the pod is another one by now.
    async fn repair(&self, pod: &Found) -> Result<bool, Halt> {
        let Some(repair) = self.world.repair(&pod.namespace, &pod.pod) else {
            return Ok(false);
        };
        let Repair {
            uid,
            version,
            annotations,
        } = repair;
        let patch = json!({"metadata": {
            "uid": uid, "resourceVersion": version, "annotations": annotations,
        }});
        let api = Api::<Pod>::namespaced(self.client.clone(), &pod.namespace);
        let (patching, patch) = (PatchParams::default(), Patch::Merge(patch));
        let written = api.patch(&pod.pod, &patching, &patch);
        let done = match self.asking.ask(written).await {
            Ok(_) => Ok(true),
            // Somebody changed it: it is heard of, and looked at again.
            Err(Halt::Failed(Failure::Conflict, _)) => Ok(false),
            Err(halt) => Err(halt),
        };
        time::sleep(PACE).await;
        done
    }

    async fn tell(&self, notice: &Notice) -> Result<(), Halt> {
        let event = Event {
            type_: if notice.is_warning() {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: notice.title(),
            note: Some(notice.sentence()),
            action: "Audit".to_owned(),
            secondary: None,
        };
        let (namespace, about) = (&*notice.namespace, &notice.about);
        tell_owner(&self.client, &self.asking, namespace, about, event).await?;
        time::sleep(PACE).await;
        Ok(())
    }
}
