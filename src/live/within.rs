//! The call of a hook made in a container of the pod: Velero runs it there as a command.

use std::time::Duration;

use tokio::time::{self, Instant};

use super::{http, of_its_end, run};
use crate::{
    kubernetes::Running,
    policy::{Calls, limit},
    trial::{Hook, Hooks, HttpHook, Outcome, Run, Step, Trial, Tried},
    velero::HookPhase,
};

/// Makes the first of the calls. A pre hook that fails is undone by the other one, for after it Velero runs
/// no post hook.
pub async fn call(calls: &Calls) -> Tried {
    let mut trial = Trial::new(Hooks::calls(calls), Duration::ZERO);
    let mut late = None;
    loop {
        match trial.next() {
            Step::Run(Hook::Http(hook)) => {
                let (run, running) = made(hook).await;
                if run.phase == HookPhase::Pre {
                    late = running;
                }
                trial.ran(run);
            }
            Step::Linger(most) => {
                let ended = match &mut late {
                    Some(running) => time::timeout(most, running.ended()).await.is_ok(),
                    None => false,
                };
                trial.lingered(ended);
            }
            // From here on it holds, until somebody runs the post hook.
            Step::Hold(_) | Step::Run(Hook::Exec(_)) | Step::Done => return trial.outcome(),
        }
    }
}

/// One call. What is not answered in time is given back.
async fn made(hook: &HttpHook) -> (Run, Option<Running>) {
    let began = Instant::now();
    let mut running = http::call_within(hook);
    let most = Duration::from_secs(limit(hook.call.timeout));
    let ended = time::timeout(most, running.ended()).await;
    match ended {
        Ok(ended) => (of_its_end(hook.phase, began, ended), None),
        Err(_) => (run(hook.phase, began, Outcome::TimedOut), Some(running)),
    }
}
