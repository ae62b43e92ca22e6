//! A verification under way: both Restores, the wait for the pods, the checks.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{self, Instant};

use super::{checks::Checks, scratch::PAUSE, world::World};
use crate::{
    results::hooks,
    velero::copy::{Copy, Restored},
    velero_files::log_of_restore,
    verify::{Seen, Stage},
};

/// One verification under way.
pub struct Run<'r> {
    world: &'r World<'r>,
    copy: &'r Copy,
    checks: Checks<'r>,
    until: Instant,
    pub seen: Seen,
    /// From the first Restore until the last check.
    pub took: Option<Duration>,
}

impl<'r> Run<'r> {
    pub fn new(
        world: &'r World<'r>,
        copy: &'r Copy,
        checks: Checks<'r>,
        timeout: Duration,
        seen: Seen,
    ) -> Self {
        Self {
            world,
            copy,
            checks,
            until: Instant::now() + timeout,
            seen,
            took: None,
        }
    }

    /// Goes as far as it can. What was seen until then stays, also where it is not waited for any longer.
    pub async fn go(&mut self) {
        if self.seen.pods.is_empty() {
            return;
        }
        if let Err(error) = self.steps().await {
            self.seen.broken = Some(format!("{error:#}"));
        }
    }

    async fn steps(&mut self) -> anyhow::Result<()> {
        self.world.prepare(self.copy).await?;
        let began = Instant::now();
        if !self.restore(&self.copy.surroundings()).await? {
            return Ok(());
        }
        self.seen.stage = Stage::Surrounded;
        let labels = self.seen.pods.iter().map(|pod| &pod.subject.labels);
        let pods = self.copy.pods(labels);
        if !self.restore(&pods).await? {
            return Ok(());
        }
        self.seen.stage = Stage::Restored;
        let name = pods["metadata"]["name"].as_str().unwrap_or_default();
        let complete = self.seen.restores.last().is_some_and(Restored::is_complete);
        if !complete {
            self.failed_hooks(name).await;
        }
        let scratch = self.world.scratch();
        let pods = &mut self.seen.pods;
        scratch.until_ready(pods, began, self.until).await?;
        self.seen.stage = Stage::Waited;
        for pod in self.seen.pods.iter_mut().filter(|it| it.ready.is_some()) {
            pod.checks = self.checks.run(pod).await?;
        }
        self.seen.stage = Stage::Checked;
        self.took = Some(began.elapsed());
        Ok(())
    }

    /// Asks for a Restore and waits for its end; says whether it goes on after it.
    async fn restore(&mut self, restore: &Value) -> anyhow::Result<bool> {
        let name = self.world.ask(restore).await?;
        loop {
            let restored = self.world.restored(&name).await?;
            let over = restored.is_over();
            if over || Instant::now() > self.until {
                self.seen.late |= !over;
                let goes_on = over && !restored.is_refused();
                self.seen.restores.push(restored);
                return Ok(goes_on);
            }
            time::sleep(PAUSE).await;
        }
    }

    /// What the hooks of the restore had to say. It is left out where Velero's log cannot be read.
    async fn failed_hooks(&mut self, restore: &str) {
        let log = log_of_restore(
            self.checks.client,
            self.world.velero_namespace,
            restore,
            None,
        )
        .await;
        let hooks = hooks(&log.unwrap_or_default());
        for run in hooks.iter().filter(|it| it.error.is_some()) {
            let said = run.stderr.lines().map(str::trim).rfind(|it| !it.is_empty());
            let why = said.or(run.error.as_deref()).unwrap_or_default();
            let why = why.trim_start_matches("quiescent: ");
            let original = self
                .copy
                .mapping
                .iter()
                .find(|(_, it)| **it == run.namespace);
            let namespace = original.map_or(&run.namespace, |(namespace, _)| namespace);
            let sentence = format!("the restore hook of {namespace}/{}: {why}", run.pod);
            self.seen.hooks.push(sentence);
        }
    }
}
