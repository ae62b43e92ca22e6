//! Says on each policy of the cluster whether it is in force, while it leads.
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use tokio::time::{self, Instant};

use super::{
    asking::{Asking, Halt, pause},
    metrics::ControllerMetrics,
};
use crate::{
    policy::MANAGER,
    policy_files::InForce,
    policy_resources::{Due, Resources},
    shutdown::Shutdown,
};

/// Between two writes, so that many at once are no burst.
const PACE: Duration = Duration::from_millis(20);

pub struct Policies {
    pub client: Client,
    pub resources: Resources,
    pub in_force: InForce,
    pub asking: Asking,
    pub interval: Duration,
    pub metrics: ControllerMetrics,
}

impl Policies {
    /// Looks at what was heard of at once and at everything once in an interval, until the first signal.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut due = Instant::now();
        let mut failures = 0;
        loop {
            tokio::select! {
                () = shutdown.draining() => return,
                () = self.resources.judged(), if failures == 0 => {}
                () = self.asking.leadership.changed() => {}
                () = time::sleep_until(due) => {}
            }
            due = Instant::now() + self.interval;
            if !self.resources.is_synced() || !self.asking.leadership.is_held() {
                failures = 0;
                continue;
            }
            let passed = tokio::select! {
                passed = self.pass(&shutdown) => passed,
                () = shutdown.aborted() => return,
            };
            match passed {
                Ok(()) | Err(Halt::NotLeading | Halt::Gone) => failures = 0,
                Err(Halt::Failed(failure, reason)) => {
                    self.metrics.not_said(failure);
                    let again = pause(failures, self.interval);
                    failures += 1;
                    due = Instant::now() + again;
                    tracing::warn!(
                        failure = failure.as_str(),
                        reason,
                        ?again,
                        "a policy of the cluster does not say whether it is in force"
                    );
                }
            }
        }
    }

    /// One that cannot be written keeps no other from being written.
    async fn pass(&self, shutdown: &Shutdown) -> Result<(), Halt> {
        let mut failed = Ok(());
        for due in self.resources.due(&self.in_force.get()) {
            if shutdown.is_draining() {
                break;
            }
            match self.say(&due).await {
                Ok(()) | Err(Halt::Gone) => {}
                Err(Halt::NotLeading) => return Err(Halt::NotLeading),
                Err(halt) => failed = Err(halt),
            }
            time::sleep(PACE).await;
        }
        failed
    }

    async fn say(&self, due: &Due) -> Result<(), Halt> {
        let resource = due.kind.resource();
        let client = self.client.clone();
        let api: Api<DynamicObject> = match &due.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        };
        let now = Timestamp::now();
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let patch = Patch::Apply(due.manifest(&now.to_string()));
        let ours = PatchParams::apply(MANAGER).force();
        let patched = api.patch_status(&due.name, &ours, &patch);
        let object = self.asking.ask(patched).await?;
        self.resources.answered(due.kind, object);
        Ok(())
    }
}
