//! The hooks of a backup tried on a live pod: which step comes next, what has to be undone, and what
//! the outcome says.
//!
//! Pure: whoever runs the commands tells what became of each, and asks for the next step.
pub mod answer;
mod hook;
mod proposal;
mod said;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use hook::{Hook, HttpHook};
pub use proposal::{Proposal, propose};
pub use said::{Said, said, size};

use crate::{
    pod::{Container, PodView},
    policy::{
        Calls,
        call::{self, Call},
    },
    velero::{ExecHook, HookPhase, OnError},
};

/// So long a pre hook that was not waited for may still end, and have its doings undone once more.
pub const LINGER: Duration = call::LINGER.to_std();

/// The hooks that Velero would run for a pod, or the calls that are made in their place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    pub pre: Option<Hook>,
    pub post: Option<Hook>,
    /// Whether `onError` is meant for whoever runs them here. That of a policy and of an author is for Velero.
    #[serde(default, skip_serializing_if = "is_false")]
    pub obeys_on_error: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_false(it: &bool) -> bool {
    !*it
}

impl Hooks {
    /// Those of its annotations.
    pub fn of<'a>(annotation: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self {
            pre: ExecHook::of_annotations(HookPhase::Pre, &annotation).map(Hook::Exec),
            post: ExecHook::of_annotations(HookPhase::Post, &annotation).map(Hook::Exec),
            obeys_on_error: false,
        }
    }

    /// Those of a policy that calls.
    pub fn calls(calls: &Calls) -> Self {
        let Calls { pre, post } = calls;
        let of = |phase, call: &Option<Box<Call>>| call.as_ref().map(|it| Hook::http(phase, it));
        Self {
            pre: of(HookPhase::Pre, pre),
            post: of(HookPhase::Post, post),
            obeys_on_error: false,
        }
    }

    #[must_use]
    pub const fn of_phase(&self, phase: HookPhase) -> Option<&Hook> {
        match phase {
            HookPhase::Pre => self.pre.as_ref(),
            HookPhase::Post => self.post.as_ref(),
            HookPhase::PostRestore => None,
        }
    }

    /// Whether that of a phase may fail without ending what it is run for.
    #[must_use]
    pub fn may_fail(&self, phase: HookPhase) -> bool {
        let on_error = self.of_phase(phase).map(Hook::on_error);
        self.obeys_on_error && on_error == Some(OnError::Continue)
    }

    pub const fn is_empty(&self) -> bool {
        self.pre.is_none() && self.post.is_none()
    }
}

/// The container in which Velero runs a hook, or why it cannot.
///
/// # Errors
/// The sentence to say, where the pod has no such container.
pub fn container<'a>(hook: &'a ExecHook, pod: &'a PodView<'_>) -> Result<&'a str, String> {
    let Some(named) = hook.container.as_deref() else {
        let first = pod.containers().first();
        return Ok(first.map_or("", |container| &container.name));
    };
    let sidecars = pod.init_containers().filter(Container::is_native_sidecar);
    let is_there = pod.containers().iter().any(|it| &*it.name == named)
        || sidecars.into_iter().any(|it| &*it.name == named);
    if is_there {
        return Ok(named);
    }
    let known = pod.containers().iter().map(|it| &*it.name);
    Err(format!(
        "no such container: {named:?}; there are {}",
        known.collect::<Vec<_>>().join(", ")
    ))
}

/// One hook that was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub phase: HookPhase,
    pub outcome: Outcome,
    pub took: Duration,
    pub stdout: String,
    pub stderr: String,
    /// How much there was of both, in bytes.
    pub printed: u64,
}

impl Run {
    /// One that printed nothing, in no time.
    #[must_use]
    pub const fn silent(phase: HookPhase, outcome: Outcome) -> Self {
        Self {
            phase,
            outcome,
            took: Duration::ZERO,
            stdout: String::new(),
            stderr: String::new(),
            printed: 0,
        }
    }
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Exited(i32),
    /// It never began.
    NotRun(String),
    /// It was not waited for any longer than its timeout. It goes on.
    TimedOut,
    /// It was not waited for, because somebody wanted to stop. It goes on.
    Interrupted,
    /// The connection is gone: it may go on.
    Lost(String),
}

impl Outcome {
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Exited(0))
    }

    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Exited(0) => "ok",
            Self::Exited(_) => "failed",
            Self::NotRun(_) => "not_run",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::Lost(_) => "lost",
        }
    }

    const fn may_go_on(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Interrupted)
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'t> {
    /// Run it and wait until its timeout; in `pre`, until somebody wants to stop.
    Run(&'t Hook),
    /// Wait, until somebody wants to stop.
    Hold(Duration),
    /// Wait for the pre hook that still runs.
    Linger(Duration),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Pre,
    Hold,
    Post,
    Linger,
    PostAgain,
    Done,
}

/// One pod's trial, from the first hook to the last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trial {
    hooks: Hooks,
    hold: Duration,
    stage: Stage,
    runs: Vec<Run>,
    late: Late,
    stopped: bool,
}

/// What is known of a pre hook that was not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Late {
    /// There is none.
    No,
    /// It was still at work when we stopped looking.
    Running,
    /// It ended after post had run, and so post has run again.
    Ended,
}

impl Trial {
    #[must_use]
    pub const fn new(hooks: Hooks, hold: Duration) -> Self {
        let stage = match (&hooks.pre, &hooks.post) {
            (Some(_), _) => Stage::Pre,
            (None, Some(_)) => Stage::Post,
            (None, None) => Stage::Done,
        };
        Self {
            hooks,
            hold,
            stage,
            runs: Vec::new(),
            late: Late::No,
            stopped: false,
        }
    }

    #[must_use]
    pub const fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    #[must_use]
    pub fn next(&self) -> Step<'_> {
        match self.stage {
            Stage::Pre => self.hooks.pre.as_ref().map_or(Step::Done, Step::Run),
            Stage::Hold => Step::Hold(self.hold),
            Stage::Post | Stage::PostAgain => {
                self.hooks.post.as_ref().map_or(Step::Done, Step::Run)
            }
            Stage::Linger => Step::Linger(LINGER),
            Stage::Done => Step::Done,
        }
    }

    /// A hook was run.
    pub fn ran(&mut self, run: Run) {
        let goes_on = run.outcome.may_go_on();
        self.stopped |= run.outcome == Outcome::Interrupted;
        let worked = run.outcome.is_good();
        self.runs.push(run);
        self.stage = match self.stage {
            Stage::Pre => {
                if goes_on {
                    self.late = Late::Running;
                }
                match self.hooks.post {
                    Some(_) if worked => Stage::Hold,
                    Some(_) => Stage::Post,
                    None if goes_on => Stage::Linger,
                    None => Stage::Done,
                }
            }
            Stage::Post if self.late == Late::Running => Stage::Linger,
            Stage::Hold | Stage::Post | Stage::Linger | Stage::PostAgain | Stage::Done => {
                Stage::Done
            }
        };
    }

    /// Whoever ran the pre hook is gone, and it may still be at work.
    pub const fn may_still_run(&mut self) {
        if matches!(self.stage, Stage::Post) {
            self.late = Late::Running;
        }
    }

    /// The time to hold is over, or somebody wanted to stop.
    pub const fn held(&mut self, stopped: bool) {
        self.stopped |= stopped;
        self.stage = Stage::Post;
    }

    /// The pre hook that was still running has ended, or has not.
    pub const fn lingered(&mut self, ended: bool) {
        self.stage = match (ended, &self.hooks.post) {
            (true, Some(_)) => Stage::PostAgain,
            (true, None) | (false, _) => Stage::Done,
        };
        if ended {
            self.late = Late::Ended;
        }
    }

    /// Keeps no more than so many bytes of what each hook printed, the last ones.
    pub fn shorten(&mut self, most: usize) {
        for run in &mut self.runs {
            for text in [&mut run.stdout, &mut run.stderr] {
                let from = text.ceil_char_boundary(text.len().saturating_sub(most));
                text.drain(..from);
            }
        }
    }

    /// Whether all that was to be done before the cut has ended well.
    #[must_use]
    pub fn is_quiesced(&self) -> bool {
        self.stage != Stage::Pre && !self.stopped && self.runs.iter().all(|it| it.outcome.is_good())
    }

    /// What the trial came to.
    #[must_use]
    pub fn outcome(self) -> Tried {
        let Self {
            hooks,
            hold: _,
            stage: _,
            runs,
            late,
            stopped,
        } = self;
        Tried {
            hooks,
            runs,
            late,
            stopped,
        }
    }
}

/// A trial that is over.
#[derive(Debug)]
pub struct Tried {
    pub hooks: Hooks,
    pub runs: Vec<Run>,
    pub late: Late,
    /// Whether somebody wanted to stop.
    pub stopped: bool,
}

/// What is to be thought of hooks that were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that there is ended well.
    Works,
    /// Something failed, and what it did was undone.
    Fails,
    /// The last post hook did not end well, or the pre hook still runs: look at the pod.
    NotUndone,
    /// The trial was stopped, and what it did was undone.
    Stopped,
    /// There is nothing to run.
    NoHooks,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Fails => "fails",
            Self::NotUndone => "not_undone",
            Self::Stopped => "stopped",
            Self::NoHooks => "no_hooks",
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::Works => "the hook works",
            Self::Fails => "the hook fails",
            Self::NotUndone => "the hook fails, and may have left something behind",
            Self::Stopped => "stopped before the end, nothing is known",
            Self::NoHooks => "Velero would run nothing in this pod",
        }
    }
}

impl Tried {
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.hooks.is_empty() {
            return Verdict::NoHooks;
        }
        let undone = match &self.hooks.post {
            Some(_) => self
                .last(HookPhase::Post)
                .is_some_and(|it| it.outcome.is_good()),
            None => true,
        };
        if !undone || self.late == Late::Running {
            Verdict::NotUndone
        } else if self.stopped {
            Verdict::Stopped
        } else if self.runs.iter().all(|run| run.outcome.is_good()) {
            Verdict::Works
        } else {
            Verdict::Fails
        }
    }

    /// The last run of a phase.
    #[must_use]
    pub fn last(&self, phase: HookPhase) -> Option<&Run> {
        self.runs.iter().rev().find(|run| run.phase == phase)
    }

    #[must_use]
    pub const fn hook(&self, phase: HookPhase) -> Option<&Hook> {
        self.hooks.of_phase(phase)
    }

    /// What a timeout should be, for each hook that ended well.
    #[must_use]
    pub fn proposals(&self) -> Vec<(HookPhase, Proposal)> {
        let good = self.runs.iter().filter(|run| run.outcome.is_good());
        good.filter_map(|run| {
            let hook = self.hook(run.phase)?;
            Some((run.phase, propose(hook.timeout(), run.took)?))
        })
        .collect()
    }

    /// What is to be known beside the verdict, each in a sentence.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let Self { hooks, late, .. } = self;
        let all = [&hooks.pre, &hooks.post].into_iter().flatten();
        for hook in all.filter_map(Hook::exec) {
            if let Some(text) = &hook.unread_timeout {
                let word = word(hook.phase);
                notes.push(format!(
                    "Velero cannot read the timeout {text:?} of {word}, and gives it 30s"
                ));
            }
        }
        let alone = match (&hooks.pre, &hooks.post) {
            (Some(_), None) => Some("there is no post hook: what pre does, nothing undoes"),
            (None, Some(_)) => Some("there is no pre hook: post has nothing to undo"),
            (Some(_), Some(_)) | (None, None) => None,
        };
        notes.extend(alone.map(str::to_owned));
        if let (Some(pre), Some(run)) = (&hooks.pre, self.last(HookPhase::Pre)) {
            let post = hooks.post.is_some();
            if let Hook::Exec(pre) = pre {
                notes.extend(of_velero(pre, run, post));
            }
            match late {
                Late::Ended if post => {
                    let note = "pre ended after post had run: post was run once more";
                    notes.push(note.to_owned());
                }
                Late::No | Late::Ended => {}
                Late::Running => {
                    let what = match pre {
                        Hook::Exec(_) => "still runs in the container",
                        Hook::Http(_) => "is not answered yet",
                    };
                    notes.push(format!(
                        "pre {what}, {} s after post: what it does from now on nobody undoes",
                        LINGER.as_secs()
                    ));
                }
            }
        }
        notes
    }
}

/// What Velero does about a pre hook that ended so.
fn of_velero(pre: &ExecHook, run: &Run, post: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if run.outcome == Outcome::TimedOut {
        let timeout = pre.timeout;
        notes.push(format!(
            "after {timeout} Velero waits for pre no longer, and leaves it running in the container"
        ));
    }
    let bad = !run.outcome.is_good() && run.outcome != Outcome::Interrupted;
    if bad && post && pre.on_error == OnError::Fail {
        notes.push(
            "with on-error=Fail Velero runs no post after this: it was run here to undo what pre did, in a backup pre has to do so itself"
                .to_owned(),
        );
    }
    notes
}

/// A phase of a backup, as people name it.
#[must_use]
pub const fn word(phase: HookPhase) -> &'static str {
    match phase {
        HookPhase::Pre => "pre",
        HookPhase::Post => "post",
        HookPhase::PostRestore => "restore",
    }
}

#[cfg(test)]
mod tests;
