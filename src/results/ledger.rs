//! All backups and restores as last heard of: whose results are to be taken next, what they came to for
//! each pod, and which of them somebody still has to be told of.

use std::collections::BTreeMap;

use super::{Dump, Outcome, Phase, Problem, Ran, problems};
use crate::velero::{objects::Kind, verification::Verdict};

/// A time in seconds since 1970.
pub type Time = i64;

const DAY: Time = 24 * 60 * 60;

/// So many of the newest backups of each Schedule are read.
const OF_A_SCHEDULE: usize = 3;

/// So many backups and restores are read altogether, the newest.
const MOST: usize = 200;

/// So often it is tried to read one.
const TRIES: u32 = 12;

/// After the first failure; twice as long after each further one, up to an hour.
const FIRST_PAUSE: Time = 5;
const LONGEST_PAUSE: Time = 60 * 60;

/// So long a pod is known of which nothing but hooks was ever heard.
const UNSEEN: Time = 2 * DAY;

/// Which backup or restore.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub kind: Kind,
    pub name: String,
}

/// What is kept of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    pub uid: String,
    /// Empty where nobody scheduled it.
    pub schedule: String,
    /// Absent while it goes on.
    pub ended: Option<Time>,
    /// Whether some part of it failed.
    pub partly: bool,
    /// Whether hooks ran, as far as Velero says.
    pub has_hooks: bool,
    /// What its verification came to, and when.
    pub verified: Option<(Verdict, Time)>,
}

/// What is still to be done about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Todo {
    /// Read its results.
    Take,
    /// Tell those whose pods they are.
    Tell,
    /// Tell whoever wants to be notified.
    Notify,
    /// Note that all were told.
    Note,
    Nothing,
}

#[derive(Debug)]
struct Known {
    object: Object,
    list: u64,
    todo: Todo,
    problems: Vec<Problem>,
    tries: u32,
    not_before: Time,
}

/// What the newest backup and the newest restore did in a pod.
#[derive(Debug, Default)]
struct Pod {
    backed_up: Time,
    restored: Time,
    ran: Vec<Ran>,
    missing: bool,
    held: Option<u64>,
    /// The last good dump, 0 where one was tried and none was good.
    dump: Option<Time>,
    /// Whether it was ever seen as a pod.
    seen: bool,
}

/// Namespace, policy and phase.
pub type Group = (String, String, Phase);

/// The hooks of a group, those of the newest backup or restore of each pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// The slowest, in whole seconds.
    pub seconds: i64,
    pub failed: usize,
}

/// What is to be measured.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Levels {
    pub hooks: BTreeMap<Group, Hooks>,
    /// Pods without a post hook after their pre hook, by namespace.
    pub missing: BTreeMap<String, usize>,
    /// The longest time that writes were held, in seconds, by namespace and policy.
    pub held: BTreeMap<(String, String), u64>,
    /// By namespace and pod.
    pub dumps: BTreeMap<(String, String), Time>,
    pub verified: BTreeMap<String, Verified>,
    /// Hooks that failed since somebody counts.
    pub failures: BTreeMap<Group, u64>,
    /// Post hooks that never ran since somebody counts, by namespace.
    pub never_ran: BTreeMap<String, u64>,
}

/// What is known of the verification of a Schedule's backups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// When one passed last; 0 for never.
    pub passed: Time,
    newest: Time,
    /// Whether the newest verdict is that it failed.
    pub failed: bool,
}

/// When something is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    Now(Key, Todo),
    At(Time),
    Never,
}

#[derive(Debug, Default)]
pub struct Ledger {
    known: BTreeMap<Key, Known>,
    lists: BTreeMap<Kind, u64>,
    pods: BTreeMap<(String, String), Pod>,
    verified: BTreeMap<String, Verified>,
    failures: BTreeMap<Group, u64>,
    never_ran: BTreeMap<String, u64>,
    /// When those ended, by uid, whose problems were told.
    told: BTreeMap<String, Time>,
}

impl Ledger {
    /// A ledger that knows whose problems others have told before.
    #[must_use]
    pub fn new(told: BTreeMap<String, Time>) -> Self {
        Self {
            told,
            ..Self::default()
        }
    }

    /// A new list of a kind begins.
    pub fn lists(&mut self, kind: Kind) {
        *self.lists.entry(kind).or_default() += 1;
    }

    /// It has ended: what was not in it is gone.
    pub fn listed(&mut self, kind: Kind) {
        let list = self.list(kind);
        self.known
            .retain(|key, known| key.kind != kind || known.list == list);
    }

    pub fn forget(&mut self, key: &Key) {
        self.known.remove(key);
    }

    pub fn hear(&mut self, key: Key, object: Object) {
        if let (Kind::Backup, Some((verdict, at))) = (key.kind, object.verified) {
            let of_schedule = self.verified.entry(object.schedule.clone()).or_default();
            of_schedule.add(verdict, at);
        }
        let list = self.list(key.kind);
        match self.known.get_mut(&key) {
            Some(known) if known.object.uid == object.uid => {
                known.object = object;
                known.list = list;
            }
            _ => {
                let new = Known {
                    object,
                    list,
                    todo: Todo::Take,
                    problems: Vec::new(),
                    tries: 0,
                    not_before: 0,
                };
                self.known.insert(key, new);
            }
        }
    }

    fn list(&self, kind: Kind) -> u64 {
        self.lists.get(&kind).copied().unwrap_or_default()
    }

    /// The newest first: what was told of it is news.
    #[must_use]
    pub fn due(&self, now: Time) -> Due {
        let mut next = Due::Never;
        for (key, known) in self.that_matter(now) {
            let Known {
                todo, not_before, ..
            } = known;
            match &next {
                _ if *todo == Todo::Nothing => {}
                _ if *not_before <= now => return Due::Now(key.clone(), *todo),
                Due::At(at) if at <= not_before => {}
                _ => next = Due::At(*not_before),
            }
        }
        next
    }

    /// Those that are read: the newest backups of each Schedule, and what ended within a day.
    fn that_matter(&self, now: Time) -> Vec<(&Key, &Known)> {
        let ended = self.known.iter().filter_map(|(key, known)| {
            let has_hooks = known.object.has_hooks;
            Some((known.object.ended.filter(|_| has_hooks)?, key, known))
        });
        let mut newest: Vec<_> = ended.collect();
        newest.sort_by_key(|(ended, ..)| std::cmp::Reverse(*ended));
        let mut of_schedule: BTreeMap<&str, usize> = BTreeMap::new();
        newest.retain(|(ended, key, known)| {
            let fresh = now - ended <= DAY;
            match key.kind {
                Kind::Backup => {
                    let before = of_schedule.entry(&known.object.schedule).or_default();
                    *before += 1;
                    *before <= OF_A_SCHEDULE || fresh
                }
                Kind::Restore => fresh,
            }
        });
        newest.truncate(MOST);
        newest
            .into_iter()
            .map(|(_, key, known)| (key, known))
            .collect()
    }

    #[must_use]
    pub fn object(&self, key: &Key) -> Option<&Object> {
        self.known.get(key).map(|known| &known.object)
    }

    #[must_use]
    pub fn problems(&self, key: &Key) -> &[Problem] {
        self.known.get(key).map_or(&[], |known| &known.problems)
    }

    /// Notes what one came to. Of one that ended long ago, or that was told of, nobody is told.
    pub fn take(&mut self, key: &Key, outcomes: Vec<Outcome>, now: Time) {
        let Some(known) = self.known.get_mut(key) else {
            return;
        };
        let ended = known.object.ended.unwrap_or(now);
        let all: Vec<Problem> = outcomes.iter().flat_map(problems).collect();
        let is_news = now - ended <= DAY && !self.told.contains_key(&known.object.uid);
        known.tries = 0;
        known.todo = Todo::Nothing;
        if is_news && !all.is_empty() {
            for outcome in &outcomes {
                count(outcome, &mut self.failures, &mut self.never_ran);
            }
            known.problems = all;
            known.todo = Todo::Tell;
        }
        for outcome in outcomes {
            if !outcome.pod.is_empty() {
                let pod = (outcome.namespace.clone(), outcome.pod.clone());
                self.pods
                    .entry(pod)
                    .or_default()
                    .take(key.kind, ended, outcome);
            }
        }
    }

    /// What was to be done is done.
    pub fn done(&mut self, key: &Key) {
        let Some(known) = self.known.get_mut(key) else {
            return;
        };
        known.tries = 0;
        known.todo = match known.todo {
            Todo::Tell => Todo::Notify,
            Todo::Notify => Todo::Note,
            Todo::Take | Todo::Note | Todo::Nothing => {
                known.problems = Vec::new();
                Todo::Nothing
            }
        };
    }

    /// It could not be done now. Says whether it will be tried again.
    pub fn failed(&mut self, key: &Key, now: Time) -> bool {
        let Some(known) = self.known.get_mut(key) else {
            return false;
        };
        let pause = FIRST_PAUSE.saturating_mul(1 << known.tries.min(16));
        known.not_before = now + pause.min(LONGEST_PAUSE);
        known.tries += 1;
        let old = known.object.ended.is_none_or(|ended| now - ended > DAY);
        let in_vain = match known.todo {
            Todo::Take => known.tries >= TRIES,
            _ => old,
        };
        if in_vain {
            known.todo = Todo::Nothing;
            known.problems = Vec::new();
        }
        !in_vain
    }

    /// Whose problems were told within a day, with this one among them.
    #[must_use]
    pub fn told_with(&self, key: &Key, now: Time) -> BTreeMap<String, Time> {
        let mut told = self.told.clone();
        told.retain(|_, ended| now - *ended <= DAY);
        if let Some(object) = self.object(key) {
            told.insert(object.uid.clone(), object.ended.unwrap_or(now));
        }
        told
    }

    pub fn were_told(&mut self, told: BTreeMap<String, Time>) {
        self.told = told;
    }

    /// Forgets pods that are gone.
    pub fn prune(&mut self, is_there: impl Fn(&str, &str) -> bool, now: Time) {
        self.pods.retain(|(namespace, name), pod| {
            let there = is_there(namespace, name);
            pod.seen |= there;
            let newest = pod.backed_up.max(pod.restored);
            there || !pod.seen && now - newest <= UNSEEN
        });
    }

    #[must_use]
    pub fn levels(&self) -> Levels {
        let mut levels = Levels {
            verified: self.verified.clone(),
            failures: self.failures.clone(),
            never_ran: self.never_ran.clone(),
            ..Levels::default()
        };
        for ((namespace, name), pod) in &self.pods {
            for ran in &pod.ran {
                let group = (namespace.clone(), ran.policy.clone(), ran.phase);
                let hooks = levels.hooks.entry(group).or_default();
                hooks.seconds = hooks.seconds.max(ran.seconds.unwrap_or_default());
                hooks.failed += usize::from(ran.error.is_some());
            }
            let missing = levels.missing.entry(namespace.clone()).or_default();
            *missing += usize::from(pod.missing);
            if let Some(held) = pod.held {
                let policy = pod.ran.first().map_or("", |ran| &ran.policy);
                let most = levels.held.entry((namespace.clone(), policy.to_owned()));
                let most = most.or_default();
                *most = held.max(*most);
            }
            if let Some(dump) = pod.dump.filter(|_| pod.seen) {
                levels.dumps.insert((namespace.clone(), name.clone()), dump);
            }
        }
        levels
    }
}

fn count(
    outcome: &Outcome,
    failures: &mut BTreeMap<Group, u64>,
    never_ran: &mut BTreeMap<String, u64>,
) {
    let namespace = &outcome.namespace;
    for ran in outcome.ran.iter().filter(|it| it.error.is_some()) {
        let group = (namespace.clone(), ran.policy.clone(), ran.phase);
        *failures.entry(group).or_default() += 1;
    }
    if outcome.missing.is_some() {
        *never_ran.entry(namespace.clone()).or_default() += 1;
    }
}

impl Pod {
    fn take(&mut self, kind: Kind, ended: Time, outcome: Outcome) {
        let Outcome {
            namespace: _,
            pod: _,
            ran,
            missing,
            held,
            dump,
        } = outcome;
        self.dump = match dump {
            Dump::Good(at) => Some(self.dump.unwrap_or_default().max(at)),
            Dump::Bad => Some(self.dump.unwrap_or_default()),
            Dump::None => self.dump,
        };
        let newest = match kind {
            Kind::Backup => &mut self.backed_up,
            Kind::Restore => &mut self.restored,
        };
        if ended < *newest {
            return;
        }
        *newest = ended;
        let of_restore = |it: &Ran| it.phase == Phase::Restore;
        self.ran
            .retain(|it| of_restore(it) != (kind == Kind::Restore));
        self.ran.extend(ran);
        if kind == Kind::Backup {
            self.missing = missing.is_some();
            self.held = held;
        }
    }
}

impl Verified {
    /// One that was not brought to its end says nothing of the backup.
    fn add(&mut self, verdict: Verdict, at: Time) {
        match verdict {
            Verdict::Passed => self.passed = self.passed.max(at),
            Verdict::Failed => {}
            Verdict::Incomplete => return,
        }
        if at >= self.newest {
            self.newest = at;
            self.failed = verdict == Verdict::Failed;
        }
    }
}

#[cfg(test)]
mod tests;
