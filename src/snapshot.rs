//! Snapshots of claims while the hooks of their pods hold: which step comes next, what has to be undone,
//! and what the outcome may be called.
//!
//! Pure: whoever carries the steps out tells what became of each, and asks for the next. What has to be
//! undone is known before a step begins, so that a state that was kept somewhere is enough to do it.
mod chosen;
pub mod crd;
mod judged;
mod order;
pub mod resource;
mod standing;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use chosen::{Chosen, Hooked, claims, parts};
pub use judged::{Verdict, line_of};
pub use order::{PRIORITY, Place};
pub use standing::Standing;

use crate::{
    trial::{self, Hooks, Outcome, Run, Step as Hook, Trial, Tried, word},
    velero::HookPhase,
};

/// Nanoseconds since 1970 by the clock of the API server.
pub type Nanos = i64;

/// So long what undoes is tried again where it is lost on the way: the API server is away.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// The longest pause before that.
const PAUSE: Duration = Duration::from_secs(5);

/// How long each step may take, and what is to be thought of what comes out.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Terms {
    /// From the request until every snapshot is cut: writes may be held meanwhile.
    pub cut: Duration,
    /// From the cut until every snapshot can be restored.
    pub ready: Duration,
    /// How far the clock of the storage may be off.
    pub skew: Duration,
    /// Whether a snapshot that is of no use is deleted, not labelled.
    pub delete_unusable: bool,
}

/// What is known of the snapshot of one claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Its VolumeSnapshot, where its name was not ours to choose.
    pub name: Option<String>,
    /// The VolumeSnapshotContent that it is bound to.
    pub content: Option<String>,
    /// When the storage took it, as exact as is known.
    pub at: Option<Taken>,
    pub ready: bool,
    /// What the driver says is wrong. It may try again.
    pub error: Option<String>,
}

/// The instant of a cut: somewhere from `from`, for as long as `within`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub from: Nanos,
    pub within: Nanos,
}

impl Cut {
    /// Whether what is written from now on is not in it.
    pub const fn is_cut(&self) -> bool {
        self.content.is_some() && self.at.is_some()
    }
}

/// A pod whose hooks run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    pub pod: String,
    trial: Trial,
    /// Set before its first hook is started: from then on its post hook is owed.
    begun: bool,
    pre_began: Option<Nanos>,
    pre_ended: Option<Nanos>,
    post_began: Option<Nanos>,
    post_ended: Option<Nanos>,
    /// How often its post hook was lost on the way so far.
    lost: u32,
}

impl Member {
    const fn new(pod: String, hooks: Hooks) -> Self {
        Self {
            pod,
            trial: Trial::new(hooks, Duration::ZERO),
            begun: false,
            pre_began: None,
            pre_ended: None,
            post_began: None,
            post_ended: None,
            lost: 0,
        }
    }

    /// What became of its hooks so far.
    #[must_use]
    pub fn tried(&self) -> Tried {
        self.trial.clone().outcome()
    }

    /// Whether its hook of a phase may fail, and the snapshot is taken all the same.
    fn may_fail(&self, phase: HookPhase) -> bool {
        self.trial.hooks().may_fail(phase)
    }

    /// Whether its pre hook is yet to end.
    fn is_open(&self) -> bool {
        matches!(self.trial.next(), Hook::Run(hook) if hook.phase() == HookPhase::Pre)
    }

    /// Whether it came to something. A post hook that was lost on the way is to be run again: what pre
    /// holds is worse than a post hook that runs twice.
    fn ran(&mut self, run: Run, (began, ended): (Nanos, Nanos)) -> bool {
        match run.phase {
            HookPhase::Pre => {
                self.pre_began = Some(began);
                self.pre_ended = Some(ended);
            }
            HookPhase::Post | HookPhase::PostRestore => {
                let first = *self.post_began.get_or_insert(began);
                self.post_ended = Some(ended);
                if matches!(run.outcome, Outcome::Lost(_)) && between(first, ended) < PATIENCE {
                    self.lost += 1;
                    return false;
                }
            }
        }
        self.trial.ran(run);
        true
    }

    /// How long to wait before the post hook is run again: a quarter of a second, then twice as long each time.
    fn pause(&self) -> Duration {
        match self.lost.checked_sub(1) {
            None => Duration::ZERO,
            Some(times) => PAUSE.min(Duration::from_millis(250) * 2_u32.saturating_pow(times)),
        }
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// After this pause, run it and wait until its timeout; in `pre`, until somebody wants to stop.
    Run {
        after: Duration,
        member: usize,
        hook: trial::Hook,
    },
    /// Wait for the pre hook that still runs.
    Linger {
        member: usize,
        most: Duration,
    },
    /// Have all snapshots made, if they are not, and tell what is seen of them until all are cut, for
    /// as long as this since the step began, or until somebody wants to stop.
    Cut(Duration),
    /// Ask for the exact instants of the cuts.
    Examine,
    /// The same until all can be restored.
    AwaitReady(Duration),
    /// Delete all that was made.
    Withdraw,
    /// Write on the snapshots what they are.
    Mark,
    Done,
}

/// What has happened.
#[derive(Clone, Debug)]
pub enum Event {
    Ran {
        member: usize,
        run: Run,
        /// From when to when.
        time: (Nanos, Nanos),
    },
    Lingered {
        member: usize,
        ended: bool,
    },
    /// What is known of the snapshot of a claim.
    Seen {
        claim: usize,
        cut: Cut,
    },
    /// When each was cut, of those of which more is known.
    Examined(Vec<Option<Taken>>),
    /// What was waited for will not come, or not in time.
    GaveUp(String),
    /// Somebody wants to stop.
    Stopped,
    /// Others may have been at the pods meanwhile, for this reason: nobody knows what they hold.
    Lost(String),
    Withdrawn(Result<(), String>),
    Marked(Result<(), String>),
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    Pending,
    Quiescing,
    Cutting,
    Resuming,
    Verifying,
    Ready,
    Failed,
}

impl Phase {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Quiescing => "Quiescing",
            Self::Cutting => "Cutting",
            Self::Resuming => "Resuming",
            Self::Verifying => "Verifying",
            Self::Ready => "Ready",
            Self::Failed => "Failed",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Pending,
    Quiescing,
    Cutting,
    Resuming,
    Examining,
    Verifying,
    Withdrawing,
    Marking,
    Done,
}

/// The snapshots of some claims, of one moment as far as their pods can tell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    terms: Terms,
    members: Vec<Member>,
    cuts: Vec<Cut>,
    stage: Stage,
    /// Set before the first is asked for: from then on they are there, or not, by their names.
    made: bool,
    withdrawn: bool,
    stopped: bool,
    /// Why nobody knows what the pods held.
    #[serde(default)]
    lost: Option<String>,
    /// Why it is not what was wanted.
    reasons: Vec<String>,
}

impl Snapshot {
    /// Of so many claims, which these pods mount. Their hooks run in this order, and post in the other.
    #[must_use]
    pub fn new(terms: Terms, members: Vec<(String, Hooks)>, claims: usize) -> Self {
        let members = members.into_iter();
        Self {
            terms,
            members: members.map(|(pod, it)| Member::new(pod, it)).collect(),
            cuts: vec![Cut::default(); claims],
            stage: Stage::Pending,
            made: false,
            withdrawn: false,
            stopped: false,
            lost: None,
            reasons: Vec::new(),
        }
    }

    /// The next step. The state is to be kept before it is carried out.
    pub fn next_step(&mut self) -> Step {
        if self.stage == Stage::Pending {
            self.stage = Stage::Quiescing;
        }
        if self.stage == Stage::Quiescing {
            if let Some(step) = self.pre() {
                return step;
            }
            self.made = true;
            self.stage = Stage::Cutting;
        }
        if self.stage == Stage::Resuming {
            if let Some(step) = self.post() {
                return step;
            }
            self.stage = match (self.made, self.is_cut()) {
                (true, true) => Stage::Examining,
                (true, false) => Stage::Withdrawing,
                (false, _) => Stage::Done,
            };
        }
        match self.stage {
            Stage::Cutting => Step::Cut(self.terms.cut),
            Stage::Examining => Step::Examine,
            Stage::Verifying => Step::AwaitReady(self.terms.ready),
            Stage::Withdrawing => Step::Withdraw,
            Stage::Marking => Step::Mark,
            Stage::Pending | Stage::Quiescing | Stage::Resuming | Stage::Done => Step::Done,
        }
    }

    /// The pre hook whose turn it is.
    fn pre(&mut self) -> Option<Step> {
        let mut members = self.members.iter_mut().enumerate();
        members.find_map(|(at, member)| {
            member.begun = true;
            match member.trial.next() {
                Hook::Run(hook) if hook.phase() == HookPhase::Pre => Some(Step::Run {
                    after: Duration::ZERO,
                    member: at,
                    hook: hook.clone(),
                }),
                _ => None,
            }
        })
    }

    /// What has to be run so that nothing stays behind: all post hooks first, in the opposite order, then
    /// those again that were lost on the way, and only then those whose pre hook has ended since.
    fn post(&mut self) -> Option<Step> {
        let stopped = self.stopped;
        let (mut lingers, mut owed) = (None, Vec::new());
        for (at, member) in self.members.iter_mut().enumerate().rev() {
            if !member.begun {
                continue;
            }
            if let Hook::Hold(_) = member.trial.next() {
                member.trial.held(stopped);
            }
            match member.trial.next() {
                Hook::Run(hook) => owed.push((at, &*member, hook)),
                Hook::Linger(most) => lingers = lingers.or(Some(Step::Linger { member: at, most })),
                Hook::Hold(_) | Hook::Done => {}
            }
        }
        // The first of those that were tried least often; all are tried between two pauses.
        let next = owed.iter().min_by_key(|(_, member, _)| member.lost);
        let Some((at, member, hook)) = next else {
            return lingers;
        };
        let is_new_round = owed.iter().all(|(_, it, _)| it.lost == member.lost);
        Some(Step::Run {
            after: if is_new_round {
                member.pause()
            } else {
                Duration::ZERO
            },
            member: *at,
            hook: (*hook).clone(),
        })
    }

    /// Something has happened. What does not belong to the step that is under way changes nothing.
    pub fn advance(&mut self, event: Event) {
        match (self.stage, event) {
            (Stage::Quiescing | Stage::Resuming, Event::Ran { member, run, time }) => {
                self.ran(member, run, time);
            }
            (Stage::Resuming, Event::Lingered { member, ended }) => {
                if let Some(member) = self.members.get_mut(member) {
                    member.trial.lingered(ended);
                }
            }
            (Stage::Cutting | Stage::Verifying, Event::Seen { claim, cut }) => {
                self.seen(claim, cut);
            }
            (Stage::Pending, Event::Stopped) => {
                self.stopped();
                self.stage = Stage::Done;
            }
            (Stage::Quiescing | Stage::Cutting, Event::Stopped) => {
                self.stopped();
                self.stage = Stage::Resuming;
            }
            (Stage::Verifying, Event::Stopped) => {
                self.stopped();
                self.stage = Stage::Marking;
            }
            (Stage::Pending, Event::Lost(why)) => {
                self.reasons.push(why);
                self.stage = Stage::Done;
            }
            (Stage::Quiescing, Event::GaveUp(why) | Event::Lost(why)) => {
                self.reasons.push(why);
                self.never_began();
                self.stage = Stage::Resuming;
            }
            (Stage::Cutting, Event::GaveUp(why) | Event::Lost(why)) => {
                self.reasons.push(why);
                self.stage = Stage::Resuming;
            }
            (Stage::Resuming | Stage::Examining, Event::Lost(why)) => {
                self.lost.get_or_insert(why);
            }
            (Stage::Verifying, Event::GaveUp(why)) => {
                self.reasons.push(why);
                self.stage = Stage::Marking;
            }
            (Stage::Examining, Event::Examined(instants)) => self.examined(instants),
            (Stage::Withdrawing, Event::Withdrawn(outcome)) => {
                self.withdrawn = outcome.is_ok();
                self.reasons.extend(outcome.err());
                self.stage = Stage::Done;
            }
            (Stage::Marking, Event::Marked(outcome)) => {
                self.reasons.extend(outcome.err());
                self.stage = Stage::Done;
            }
            _ => {}
        }
    }

    /// The pre hook whose turn it is was not started: of its pod nothing has to be undone.
    fn never_began(&mut self) {
        let mut members = self.members.iter_mut();
        let open = members.find(|it| it.begun && it.is_open());
        if let Some(member) = open {
            member.begun = false;
        }
    }

    fn stopped(&mut self) {
        self.stopped = true;
        self.reasons.push("it was stopped".to_owned());
    }

    fn ran(&mut self, member: usize, run: Run, time: (Nanos, Nanos)) {
        let Some(member) = self.members.get_mut(member) else {
            return;
        };
        let phase = run.phase;
        let interrupted = run.outcome == Outcome::Interrupted;
        let why = (!run.outcome.is_good()).then(|| line_of(&member.pod, &run));
        if !member.ran(run, time) {
            return;
        }
        let goes_on = !interrupted && member.may_fail(HookPhase::Pre);
        if self.stage == Stage::Quiescing && !member.trial.is_quiesced() && !goes_on {
            self.stage = Stage::Resuming;
        }
        if interrupted {
            self.stopped();
        } else if phase == HookPhase::Pre || !self.is_cut() {
            self.reasons.extend(why);
        }
    }

    fn seen(&mut self, claim: usize, mut cut: Cut) {
        let Some(known) = self.cuts.get_mut(claim) else {
            return;
        };
        // What was cut stays so, and what is known of its instant is not forgotten for less.
        if known.is_cut() {
            cut.content = cut.content.or_else(|| known.content.clone());
            cut.at = [known.at, cut.at]
                .into_iter()
                .flatten()
                .min_by_key(|it| it.within);
        }
        // What a group says is said of each of its members that has not said anything itself.
        if known.name.is_some() && cut.name.is_none() {
            cut.name.clone_from(&known.name);
            cut.content = known.content.clone().or(cut.content);
            cut.ready = known.ready;
        }
        *known = cut;
        if self.stage == Stage::Cutting && self.is_cut() {
            self.stage = Stage::Resuming;
        } else if self.stage == Stage::Verifying && self.cuts.iter().all(|it| it.ready) {
            // More may be known of when they were cut.
            let reasons = self.judged();
            self.reasons.extend(reasons);
            self.stage = Stage::Marking;
        }
    }

    fn examined(&mut self, instants: Vec<Option<Taken>>) {
        for (cut, at) in self.cuts.iter_mut().zip(instants) {
            cut.at = at.or(cut.at);
        }
        let reasons = self.judged();
        let is_good = reasons.is_empty();
        self.reasons.extend(reasons);
        self.stage = match (is_good, self.terms.delete_unusable) {
            (true, _) if self.cuts.iter().all(|it| it.ready) => Stage::Marking,
            (true, _) => Stage::Verifying,
            (false, true) => Stage::Withdrawing,
            (false, false) => Stage::Marking,
        };
    }

    /// Goes on with a state that was kept when whoever carried it out was gone in the middle of a step:
    /// what it held is undone, and a pre hook never runs twice.
    pub fn recover(&mut self, now: Nanos) {
        const GONE: &str = "whoever ran it was gone before its end";
        match self.stage {
            Stage::Quiescing => {
                let open = self.members.iter().position(|it| it.begun && it.is_open());
                if let Some(member) = open {
                    let run = Run::silent(HookPhase::Pre, Outcome::Lost(GONE.to_owned()));
                    self.ran(member, run, (now, now));
                    self.members[member].trial.may_still_run();
                    self.stage = Stage::Resuming;
                } else {
                    self.reasons.push(GONE.to_owned());
                    self.stage = Stage::Resuming;
                }
            }
            Stage::Cutting => self.advance(Event::GaveUp(GONE.to_owned())),
            Stage::Pending
            | Stage::Resuming
            | Stage::Examining
            | Stage::Verifying
            | Stage::Withdrawing
            | Stage::Marking
            | Stage::Done => {}
        }
    }

    /// The same with no more than so many bytes of what each hook printed, the last ones: to be kept.
    #[must_use]
    pub fn shortened(&self, most: usize) -> Self {
        let mut short = self.clone();
        for member in &mut short.members {
            member.trial.shorten(most);
        }
        short
    }

    /// Whether pods may be held.
    #[must_use]
    pub fn may_hold(&self) -> bool {
        match self.stage {
            Stage::Quiescing | Stage::Cutting | Stage::Resuming => true,
            Stage::Pending
            | Stage::Examining
            | Stage::Verifying
            | Stage::Withdrawing
            | Stage::Marking
            | Stage::Done => false,
        }
    }

    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.stage {
            Stage::Pending => Phase::Pending,
            Stage::Quiescing => Phase::Quiescing,
            Stage::Cutting => Phase::Cutting,
            Stage::Resuming | Stage::Withdrawing => Phase::Resuming,
            Stage::Examining | Stage::Verifying | Stage::Marking => Phase::Verifying,
            Stage::Done if self.verdict().is_good() => Phase::Ready,
            Stage::Done => Phase::Failed,
        }
    }

    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    #[must_use]
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// Why it is not what was wanted, each in a sentence.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// What was out of the way and is no reason to think less of it, each in a sentence.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let lost = self.members.iter().filter(|it| it.lost > 0);
        let lost = lost.map(|it| {
            let (pod, times) = (&it.pod, it.lost);
            format!("the API server was away: post of {pod} was lost {times} times, and run again")
        });
        let cut = self.members.iter().filter(|_| self.is_cut());
        lost.chain(cut.filter_map(judged::let_pass))
    }

    fn is_cut(&self) -> bool {
        self.made && self.cuts.iter().all(Cut::is_cut)
    }

    /// From the first pre hook's end to the last post hook's: so long something may have been held.
    #[must_use]
    pub fn held(&self) -> Option<Duration> {
        let from = self.members.iter().filter_map(|it| it.pre_ended).min()?;
        let to = self.members.iter().filter_map(|it| it.post_ended).max()?;
        Some(between(from, to))
    }

    /// From the last pre hook's end until the first post hook began, which is when all was cut.
    #[must_use]
    pub fn cutting(&self) -> Option<Duration> {
        let (from, to) = self.window();
        self.is_cut().then_some(between(from?, to?))
    }

    /// From when to when all pods held, as far as they have hooks that tell.
    fn window(&self) -> (Option<Nanos>, Option<Nanos>) {
        let from = self.members.iter().filter_map(|it| it.pre_ended).max();
        let to = self.members.iter().filter_map(|it| it.post_began).min();
        (from, to)
    }
}

fn between(from: Nanos, to: Nanos) -> Duration {
    Duration::from_nanos(u64::try_from(to - from).unwrap_or_default())
}

#[cfg(test)]
mod tests;
