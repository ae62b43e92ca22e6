//! What snapshots may be called: nothing is consistent of which that is not known.

use super::{Member, Nanos, Snapshot, Stage, between, word};
use crate::{
    trial::{self, Late, Outcome, Run},
    velero::HookPhase,
};

/// A post hook of the library that finds that what was held had gone before.
const HAD_GONE: i32 = 5;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Cut while every pod held, and ready.
    Consistent,
    /// Cut and ready, and nobody held anything, as was wanted.
    CrashConsistent,
    /// Cut, and not while everybody held. It is labelled so.
    Unusable,
    /// The same, and deleted.
    Deleted,
    /// Cut while every pod held, and not ready in time.
    NotReady,
    /// There is no snapshot, and nothing is held.
    Undone,
    /// The same, because somebody wanted to stop.
    Stopped,
    /// There is no snapshot, and a pod may still be held.
    NotUndone,
}

impl Verdict {
    pub const ALL: &'static [Self] = &[
        Self::Consistent,
        Self::CrashConsistent,
        Self::Unusable,
        Self::Deleted,
        Self::NotReady,
        Self::Undone,
        Self::Stopped,
        Self::NotUndone,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consistent => "consistent",
            Self::CrashConsistent => "crash_consistent",
            Self::Unusable => "unusable",
            Self::Deleted => "deleted",
            Self::NotReady => "not_ready",
            Self::Undone => "undone",
            Self::Stopped => "stopped",
            Self::NotUndone => "not_undone",
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::Consistent => "consistent",
            Self::CrashConsistent => "taken without hooks, as after a power cut",
            Self::Unusable => "taken, not consistent, and labelled so",
            Self::Deleted => "taken, not consistent, and deleted",
            Self::NotReady => "taken, and not ready in time",
            Self::Undone => "no snapshot, and nothing is held",
            Self::Stopped => "stopped: no snapshot, and nothing is held",
            Self::NotUndone => "no snapshot, and something may still be held",
        }
    }

    pub const fn is_good(self) -> bool {
        matches!(self, Self::Consistent | Self::CrashConsistent)
    }
}

impl Snapshot {
    /// What it may be called. Before the end, nothing good.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let cut = self.is_cut();
        if !cut {
            return if self.members.iter().any(is_left) {
                Verdict::NotUndone
            } else if self.stopped {
                Verdict::Stopped
            } else {
                Verdict::Undone
            };
        }
        if self.withdrawn {
            return Verdict::Deleted;
        }
        let ends = matches!(self.stage, Stage::Marking | Stage::Done);
        if !ends || !self.judged().is_empty() {
            return Verdict::Unusable;
        }
        if !self.cuts.iter().all(|it| it.ready) {
            return Verdict::NotReady;
        }
        if !self.reasons.is_empty() {
            return Verdict::Unusable;
        }
        let quiesced = |it: &Member| it.pre_ended.is_some();
        if !self.members.is_empty() && self.members.iter().all(quiesced) {
            Verdict::Consistent
        } else {
            Verdict::CrashConsistent
        }
    }

    /// Why what was cut is of no use.
    pub(super) fn judged(&self) -> Vec<String> {
        let of_members = self.members.iter().filter_map(of_member);
        let mut reasons: Vec<String> = self.lost.iter().cloned().chain(of_members).collect();
        let (from, to) = self.window();
        let taken = || self.cuts.iter().filter_map(|it| it.at);
        let early = from.and_then(|from| taken().map(|it| from - (it.from + it.within)).max());
        let late = to.and_then(|to| taken().map(|it| it.from - to).max());
        let skew = nanos(self.terms.skew);
        for (by, when) in [
            (early, "before the pre hooks ended"),
            (late, "after the post hooks began"),
        ] {
            let by = by.filter(|it| *it > skew);
            reasons.extend(by.map(|by| outside(by, when)));
        }
        reasons
    }
}

fn outside(by: Nanos, when: &str) -> String {
    let by = between(0, by).as_secs_f64();
    format!("by the clock of the storage it was cut {by:.1} s {when}: is that clock right?")
}

fn nanos(time: std::time::Duration) -> Nanos {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// Why a pod did not hold as it should.
fn of_member(member: &Member) -> Option<String> {
    let tried = member.tried();
    if tried.hooks.is_empty() {
        return None;
    }
    let pod = &member.pod;
    if !member.begun {
        return Some(format!("the hooks of {pod} did not run"));
    }
    if tried.hooks.pre.is_some() && !tried.last(HookPhase::Pre).is_some_and(is_good) {
        return Some(format!("{pod} did not hold"));
    }
    tried.hooks.post.as_ref()?;
    match tried.last(HookPhase::Post) {
        None => Some(format!("the post hook of {pod} did not run")),
        Some(run) if run.outcome == Outcome::Exited(HAD_GONE) => Some(format!(
            "what was held had gone before the end: {}",
            line_of(pod, run)
        )),
        Some(run) if is_good(run) || tried.hooks.may_fail(HookPhase::Post) => None,
        Some(run) => Some(format!(
            "whether it was held to the end is not known: {}",
            line_of(pod, run)
        )),
    }
}

/// A post hook that failed and by its `onError` takes nothing from what was cut.
pub(super) fn let_pass(member: &Member) -> Option<String> {
    let tried = member.tried();
    let run = tried.last(HookPhase::Post)?;
    let passes = tried.hooks.may_fail(HookPhase::Post)
        && !is_good(run)
        && run.outcome != Outcome::Exited(HAD_GONE);
    passes.then(|| {
        format!(
            "{}; its onError is Continue, so the snapshot is what it is without it",
            line_of(&member.pod, run)
        )
    })
}

const fn is_good(run: &Run) -> bool {
    run.outcome.is_good()
}

/// Whether something may be left of what its hooks did.
fn is_left(member: &Member) -> bool {
    let tried = member.tried();
    let never_began = |it: &Run| matches!(it.outcome, Outcome::NotRun(_));
    if tried.last(HookPhase::Pre).is_some_and(never_began) {
        return false;
    }
    member.begun && (tried.verdict() == trial::Verdict::NotUndone || tried.late == Late::Running)
}

/// A hook that did not end well, in a line.
#[must_use]
pub fn line_of(pod: &str, run: &Run) -> String {
    let how = match &run.outcome {
        Outcome::Exited(code) => format!("exit {code}"),
        Outcome::NotRun(why) => format!("did not run: {why}"),
        Outcome::TimedOut => "timed out".to_owned(),
        Outcome::Interrupted => "was stopped".to_owned(),
        Outcome::Lost(why) => format!("lost: {why}"),
    };
    let said = run.stderr.lines().rev().find(|line| !line.is_empty());
    let said = said.map_or_else(String::new, |line| format!(": {line}"));
    format!("{} of {pod}: {how}{said}", word(run.phase))
}
