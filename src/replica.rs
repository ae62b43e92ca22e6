//! What is to be done about the ConfigMaps with scripts in one namespace.
//!
//! A name follows from the content, so there is one question only: which names should be there? Those
//! that pods are given now stay, and those that pods use; others stay for a while, since a backup may
//! have pods that use them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Since when nothing in the cluster uses a ConfigMap, in RFC 3339.
pub const UNUSED_SINCE: &str = "quiescent.dev/unused-since";

/// Seconds since 1970.
pub type Moment = u64;

/// One namespace as last heard of.
#[derive(Clone, Debug, Default)]
pub struct Observed<'a> {
    /// Names that policies give to the pods and templates that are there, as if they were made now.
    pub wanted: BTreeSet<&'a str>,
    /// Names that pods and templates have among their volumes.
    pub used: BTreeSet<&'a str>,
    pub present: BTreeMap<&'a str, Present>,
}

/// A ConfigMap with scripts, of a policy that is in force or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// Whether it says what its name stands for.
    pub whole: bool,
    /// When this object came into the cluster: a restore brings it back with what was noted on it.
    pub created: Moment,
    pub unused_since: Option<Moment>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub action: Action,
    /// Of the ConfigMap.
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    /// It says something else, and nobody can change it: to be deleted and made anew.
    Replace,
    MarkUnused,
    MarkUsed,
    Delete,
}

impl Action {
    pub const ALL: &'static [Self] = &[
        Self::Create,
        Self::Replace,
        Self::MarkUnused,
        Self::MarkUsed,
        Self::Delete,
    ];

    /// For programs: labels of metrics, fields of logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::MarkUnused => "mark_unused",
            Self::MarkUsed => "mark_used",
            Self::Delete => "delete",
        }
    }
}

/// What is to be done now, so that nothing is left to do.
///
/// `in_force` are the names whose content is known. What is neither wanted nor used is deleted when
/// that was so for the time of `keep`.
#[must_use]
pub fn steps(
    observed: &Observed<'_>,
    in_force: impl Fn(&str) -> bool,
    keep: Duration,
    now: Moment,
) -> Vec<Step> {
    let Observed {
        wanted,
        used,
        present,
    } = observed;
    let step = |action, name: &str| Step {
        action,
        name: name.to_owned(),
    };
    let needed = wanted.union(used);
    let missing = needed.filter(|name| in_force(name) && !present.contains_key(*name));
    let mut steps: Vec<Step> = missing.map(|name| step(Action::Create, name)).collect();
    for (name, present) in present {
        let needed = wanted.contains(name) || used.contains(name);
        let action = match (needed, present.unused_since) {
            (true, _) if !present.whole && in_force(name) => Action::Replace,
            (true, Some(_)) => Action::MarkUsed,
            (true, None) => continue,
            (false, None) => Action::MarkUnused,
            (false, Some(since)) => {
                let unused = now.saturating_sub(since.max(present.created));
                if unused < keep.as_secs() {
                    continue;
                }
                Action::Delete
            }
        };
        steps.push(step(action, name));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "quiescent-pg-0000000002";
    const OLD: &str = "quiescent-pg-0000000001";
    const NOW: Moment = 1_000_000;
    const KEEP: Duration = Duration::from_hours(1);

    const THERE: Present = Present {
        whole: true,
        created: 0,
        unused_since: None,
    };

    fn unused_since(since: Moment) -> Present {
        Present {
            unused_since: Some(since),
            ..THERE
        }
    }

    fn to(action: Action, name: &str) -> (Action, String) {
        (action, name.to_owned())
    }

    fn check(
        wanted: &[&'static str],
        used: &[&'static str],
        present: &[(&'static str, Present)],
    ) -> Vec<(Action, String)> {
        let observed = Observed {
            wanted: wanted.iter().copied().collect(),
            used: used.iter().copied().collect(),
            present: present.iter().copied().collect(),
        };
        let steps = steps(&observed, |name| name == NEW, KEEP, NOW).into_iter();
        steps.map(|step| (step.action, step.name)).collect()
    }

    #[test]
    fn what_is_wanted_is_created_once() {
        assert_eq!(check(&[NEW], &[], &[]), [to(Action::Create, NEW)]);
        assert_eq!(check(&[NEW], &[], &[(NEW, THERE)]), []);
        assert_eq!(check(&[], &[], &[]), []);
    }

    #[test]
    fn what_a_pod_uses_is_created_where_its_content_is_known() {
        assert_eq!(check(&[], &[NEW, OLD], &[]), [to(Action::Create, NEW)]);
    }

    #[test]
    fn what_says_something_else_is_replaced_where_that_can_be() {
        let broken = Present {
            whole: false,
            ..THERE
        };
        assert_eq!(
            check(&[NEW], &[], &[(NEW, broken)]),
            [to(Action::Replace, NEW)]
        );
        assert_eq!(check(&[], &[OLD], &[(OLD, broken)]), []);
    }

    #[test]
    fn an_old_version_stays_while_a_pod_uses_it() {
        let present = [(OLD, THERE), (NEW, THERE)];
        assert_eq!(check(&[NEW], &[OLD], &present), []);
        assert_eq!(check(&[NEW], &[], &present), [to(Action::MarkUnused, OLD)]);
    }

    #[test]
    fn what_is_used_again_loses_its_mark() {
        let present = [(OLD, unused_since(5))];
        assert_eq!(check(&[], &[OLD], &present), [to(Action::MarkUsed, OLD)]);
    }

    #[test]
    fn what_was_not_used_for_long_is_deleted() {
        let hour = KEEP.as_secs();
        let check = |present| check(&[], &[], &[(OLD, present)]);
        assert_eq!(check(unused_since(NOW - hour)), [to(Action::Delete, OLD)]);
        assert_eq!(check(unused_since(NOW - hour + 1)), []);
        // A clock that was ahead when it was noted.
        assert_eq!(check(unused_since(NOW + 1)), []);
    }

    #[test]
    fn what_a_restore_brought_back_stays_as_long_again() {
        let restored = Present {
            created: NOW - 1,
            ..unused_since(0)
        };
        assert_eq!(check(&[], &[], &[(OLD, restored)]), []);
    }

    #[test]
    fn after_the_steps_nothing_is_left_to_do() {
        let marked = [(OLD, unused_since(NOW)), (NEW, THERE)];
        assert_eq!(check(&[NEW], &[], &marked), []);
        assert_eq!(check(&[NEW], &[OLD], &[(OLD, THERE), (NEW, THERE)]), []);
    }
}
