//! Keeps the ConfigMaps with scripts: one step at a time, while it leads, and with pauses when the API
//! server refuses.
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{api::core::v1::ConfigMap, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::{Value, json};
use tokio::time::{self, Instant, MissedTickBehavior};

use super::{
    asking::{Asking, Halt, pause},
    metrics::ControllerMetrics,
    world::{Script, World, moment, version},
};
use crate::{
    policy::{Policy, PolicySet},
    policy_files::InForce,
    replica::{Action, Step, UNUSED_SINCE},
    shutdown::Shutdown,
};

/// Between two writes, so that the first minute of a large cluster is no burst.
const PACE: Duration = Duration::from_millis(20);

pub struct Scripts {
    pub client: Client,
    pub world: Arc<World>,
    pub policies: InForce,
    pub asking: Asking,
    pub interval: Duration,
    pub keep: Duration,
    pub metrics: ControllerMetrics,
}

/// Until when a namespace is not tried again.
struct Pause {
    until: Instant,
    failures: u32,
}

impl Scripts {
    /// Looks at what was heard of at once and at everything once in an interval, until the first signal.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut ticks = time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pauses: HashMap<String, Pause> = HashMap::new();
        let mut led = false;
        loop {
            let next = pauses.values().map(|pause| pause.until).min();
            let everything = tokio::select! {
                () = shutdown.draining() => return,
                _ = ticks.tick() => true,
                () = self.world.stirred() => false,
                () = self.asking.leadership.changed() => false,
                () = time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => false,
            };
            if !self.world.is_whole() || !self.asking.leadership.is_held() {
                led = false;
                // What was heard meanwhile is looked at with everything else.
                pauses.clear();
                continue;
            }
            let everything = everything || !led;
            led = true;
            let due = self.due(everything, &mut pauses);
            tokio::select! {
                () = self.pass(&due, everything, &mut pauses, &shutdown) => {}
                () = shutdown.aborted() => return,
            }
        }
    }

    /// The namespaces to look at now, without those that are paused.
    fn due(&self, everything: bool, pauses: &mut HashMap<String, Pause>) -> BTreeSet<String> {
        let now = Instant::now();
        let mut due = self.world.take_stirred();
        if everything {
            due = self.world.namespaces();
        }
        due.extend(pauses.keys().cloned());
        due.retain(|name| pauses.get(name).is_none_or(|pause| pause.until <= now));
        due
    }

    async fn pass(
        &self,
        due: &BTreeSet<String>,
        everything: bool,
        pauses: &mut HashMap<String, Pause>,
        shutdown: &Shutdown,
    ) {
        let policies = self.policies.get();
        let in_force = by_config_map(&policies);
        let mut in_a_row = 0;
        for namespace in due {
            if shutdown.is_draining() {
                return;
            }
            match self.settle(namespace, &in_force, shutdown).await {
                Ok(()) => {
                    pauses.remove(namespace);
                    in_a_row = 0;
                }
                Err(Halt::NotLeading) => return,
                Err(Halt::Gone) => {
                    pauses.remove(namespace);
                    self.world.terminates(namespace);
                }
                Err(Halt::Failed(failure, reason)) => {
                    self.metrics.failed(failure);
                    let failures = pauses.get(namespace).map_or(0, |pause| pause.failures);
                    let again = pause(failures, self.interval);
                    let until = Instant::now() + again;
                    pauses.insert(
                        namespace.clone(),
                        Pause {
                            until,
                            failures: failures + 1,
                        },
                    );
                    tracing::warn!(
                        namespace,
                        failure = failure.as_str(),
                        reason,
                        ?again,
                        "the scripts of a namespace are not as they should be"
                    );
                    // It may be the same everywhere.
                    time::sleep(pause(in_a_row, self.interval) / 5).await;
                    in_a_row += 1;
                }
            }
        }
        if everything && pauses.is_empty() {
            self.metrics.passed(Timestamp::now());
        }
    }

    /// Does what is to be done in one namespace.
    async fn settle(
        &self,
        namespace: &str,
        in_force: &HashMap<&str, &Policy>,
        shutdown: &Shutdown,
    ) -> Result<(), Halt> {
        let now = moment(Timestamp::now());
        let known = |name: &str| in_force.contains_key(name);
        for step in self.world.steps(namespace, known, self.keep, now) {
            if shutdown.is_draining() {
                return Err(Halt::NotLeading);
            }
            self.perform(namespace, &step, in_force).await?;
            self.metrics.done(step.action);
            tracing::info!(
                namespace,
                config_map = step.name,
                step = step.action.as_str(),
                "scripts put right"
            );
            time::sleep(PACE).await;
        }
        Ok(())
    }

    async fn perform(
        &self,
        namespace: &str,
        step: &Step,
        in_force: &HashMap<&str, &Policy>,
    ) -> Result<(), Halt> {
        let Step { action, name } = step;
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), namespace);
        let wanted = || in_force.get(&**name).and_then(|it| manifest(it, namespace));
        let now = match action {
            Action::Create | Action::Replace => {
                let Some(wanted) = wanted() else {
                    return Ok(());
                };
                Some(self.make(&api, name, &wanted).await?)
            }
            Action::MarkUnused => {
                self.mark(&api, name, Timestamp::now().to_string().into())
                    .await?
            }
            Action::MarkUsed => self.mark(&api, name, Value::Null).await?,
            Action::Delete => {
                if let Some(version) = self.world.version(namespace, name) {
                    self.delete(&api, name, version).await?;
                }
                None
            }
        };
        self.world.answered(namespace, name, now.as_ref());
        Ok(())
    }

    /// The object as it is then. One that says something else is in the way, and goes.
    async fn make(
        &self,
        api: &Api<ConfigMap>,
        name: &str,
        wanted: &ConfigMap,
    ) -> Result<ConfigMap, Halt> {
        let found = self.asking.ask(api.get_opt(name)).await?;
        if let Some(found) = found {
            if Script::new(&found, 0).is_some_and(|script| script.present.whole) {
                return Ok(found);
            }
            self.delete(api, name, version(&found)).await?;
        }
        self.asking
            .ask(api.create(&PostParams::default(), wanted))
            .await
    }

    /// Deletes that version and no other.
    async fn delete(
        &self,
        api: &Api<ConfigMap>,
        name: &str,
        version: Preconditions,
    ) -> Result<(), Halt> {
        let parameters = DeleteParams::default().preconditions(version);
        match self.asking.ask(api.delete(name, &parameters)).await {
            Ok(_) | Err(Halt::Gone) => Ok(()),
            Err(halt) => Err(halt),
        }
    }

    /// The object as it is then, if it is there.
    async fn mark(
        &self,
        api: &Api<ConfigMap>,
        name: &str,
        since: Value,
    ) -> Result<Option<ConfigMap>, Halt> {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {UNUSED_SINCE: since}}}));
        let patched = self
            .asking
            .ask(api.patch(name, &PatchParams::default(), &patch))
            .await;
        match patched {
            Ok(object) => Ok(Some(object)),
            Err(Halt::Gone) => Ok(None),
            Err(halt) => Err(halt),
        }
    }
}

fn by_config_map(policies: &PolicySet) -> HashMap<&str, &Policy> {
    let named = policies
        .iter()
        .filter_map(|it| Some((it.config_map()?, it)));
    named.collect()
}

/// The same that `quiescent scripts` prints.
fn manifest(policy: &Policy, namespace: &str) -> Option<ConfigMap> {
    let manifest = policy.config_map_manifest(Some(namespace))?;
    let object = serde_json::from_value(manifest);
    Some(object.expect("what is written as a ConfigMap can be read as one"))
}
