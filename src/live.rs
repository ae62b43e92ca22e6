//! Runs the hooks of one pod: the trial says which, the API server runs them. Calls over HTTP we make
//! ourselves.

mod http;
mod subject;
mod target;
mod within;

use std::time::Duration;

use anyhow::anyhow;
use kube::Client;
use tokio::time::{self, Instant};

pub use self::{
    subject::Subject,
    target::{Target, labels, meant, named, selector},
    within::call as call_within,
};
use crate::{
    kubernetes::{Ended, Exit, Place, Running, exec},
    policy::call,
    shutdown::Shutdown,
    trial::{Hook, Outcome, Run, Step, Trial, Tried},
    velero::HookPhase,
};

/// What every trial has in common.
pub struct Live<'l> {
    pub client: &'l Client,
    pub shutdown: &'l Shutdown,
    pub hold: Duration,
    /// Told of each hook before it runs, which may take minutes.
    pub tell: fn(&Subject, &Hook),
}

impl Live<'_> {
    /// From the first hook to the last. The first signal ends it early, with its post hook; only a second
    /// one leaves that out.
    pub async fn trial(&self, subject: &Subject) -> anyhow::Result<Tried> {
        tokio::select! {
            tried = self.steps(subject) => Ok(tried),
            () = self.shutdown.aborted() => Err(abandoned(subject)),
        }
    }

    async fn steps(&self, subject: &Subject) -> Tried {
        let mut trial = Trial::new(subject.hooks.clone(), self.hold);
        let mut late = None;
        loop {
            match trial.next() {
                Step::Run(hook) => {
                    let (run, running) = self.run(subject, hook).await;
                    if hook.phase() == HookPhase::Pre {
                        late = running;
                    }
                    trial.ran(run);
                }
                Step::Hold(hold) => {
                    let stopped = tokio::select! {
                        () = time::sleep(hold) => false,
                        () = self.shutdown.draining() => true,
                    };
                    trial.held(stopped);
                }
                Step::Linger(most) => {
                    let ended = match &mut late {
                        Some(running) => time::timeout(most, running.ended()).await.is_ok(),
                        None => false,
                    };
                    trial.lingered(ended);
                }
                Step::Done => return trial.outcome(),
            }
        }
    }

    /// Runs a hook as long as Velero waits for it. What goes on after that is given back.
    pub async fn run(&self, subject: &Subject, hook: &Hook) -> (Run, Option<Running>) {
        let began = Instant::now();
        let run = |outcome| run(hook.phase(), began, outcome);
        let mut running = match hook {
            Hook::Exec(exec_hook) => {
                let container = match subject.container(exec_hook) {
                    Ok(container) => container,
                    Err(why) => return (run(Outcome::NotRun(why)), None),
                };
                (self.tell)(subject, hook);
                let place = Place {
                    namespace: &subject.namespace,
                    pod: &subject.name,
                    container: &container,
                };
                exec(self.client, place, &exec_hook.command)
            }
            Hook::Http(http_hook) => {
                (self.tell)(subject, hook);
                http::call(self.client, subject, http_hook)
            }
        };
        let stopped = async {
            match hook.phase() {
                HookPhase::Pre => self.shutdown.draining().await,
                // It undoes: whoever stops wants that all the more.
                HookPhase::Post | HookPhase::PostRestore => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = running.ended() => (of_its_end(hook.phase(), began, ended), None),
            () = time::sleep(hook.timeout().to_std()) => {
                let is_post = hook.phase() != HookPhase::Pre;
                let outcome = if is_post && !running.has_begun() {
                    Outcome::Lost("the API server does not answer".to_owned())
                } else {
                    Outcome::TimedOut
                };
                (run(outcome), Some(running))
            }
            () = stopped => (run(Outcome::Interrupted), Some(running)),
        }
    }
}

/// A hook that printed nothing, or nothing that we know of.
fn run(phase: HookPhase, began: Instant, outcome: Outcome) -> Run {
    Run {
        took: began.elapsed(),
        ..Run::silent(phase, outcome)
    }
}

/// A hook that has ended.
fn of_its_end(phase: HookPhase, began: Instant, ended: Ended) -> Run {
    let Ended {
        exit,
        stdout,
        stderr,
    } = ended;
    let outcome = match exit {
        Exit::Code(code) => Outcome::Exited(code),
        Exit::NotRun(why) => Outcome::NotRun(why),
        Exit::Lost(why) => Outcome::Lost(why),
    };
    Run {
        printed: stdout.bytes + stderr.bytes,
        stdout: stdout.end,
        stderr: stderr.end,
        ..run(phase, began, outcome)
    }
}

/// What whoever stops us twice has to do.
pub fn abandoned(subject: &Subject) -> anyhow::Error {
    let pod = subject.title();
    let Some(post) = &subject.hooks.post else {
        return anyhow!("stopped at once: see what is left in {pod}");
    };
    let by_hand = by_hand(subject, post);
    anyhow!("stopped at once, the post hook of {pod} may not have run; it is: {by_hand}")
}

/// How somebody runs a hook without us.
fn by_hand(subject: &Subject, hook: &Hook) -> String {
    let Subject {
        namespace, name, ..
    } = subject;
    match hook {
        Hook::Exec(hook) => {
            let container = subject.container(hook).unwrap_or_default();
            let words = hook.command.iter().map(|word| quoted(word));
            let command = words.collect::<Vec<_>>().join(" ");
            format!("kubectl exec -n {namespace} {name} -c {container} -- {command}")
        }
        Hook::Http(hook) => match &hook.call.target {
            call::Target::Pod { port, path } => format!(
                "{} http://127.0.0.1:{port}{path} while this runs: \
                 kubectl port-forward -n {namespace} {name} {port}",
                hook.call.method.as_str()
            ),
            call::Target::Url(_) => hook.call.to_string(),
        },
    }
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_./:=,@+%".contains(it);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_come_back_from_a_shell_as_they_are() {
        for (word, text) in [
            ("/quiescent/x/post.sh", "/quiescent/x/post.sh"),
            ("A=1m", "A=1m"),
            ("", "''"),
            ("it's $HOME", r"'it'\''s $HOME'"),
        ] {
            assert_eq!(quoted(word), text);
        }
    }
}
