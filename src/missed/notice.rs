//! Whom to tell of missed pods, in which words, and how often: once for each owner and reason.
use std::collections::BTreeMap;

use super::{Found, Owner};
use crate::{audit::Reason, replica::Moment};

/// After so many seconds what is still so is said again.
const AGAIN: Moment = 6 * 60 * 60;

/// So many pods are named; the others are counted.
const NAMED: usize = 3;

/// What an owner is told of its pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub namespace: String,
    pub about: Owner,
    pub reason: Reason,
    /// Their names, sorted.
    pub pods: Vec<String>,
    pub next: Option<String>,
}

/// Which notices were given, and when.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<Key, Entry>);

type Key = (String, Reason);

#[derive(Debug)]
struct Entry {
    next: Option<String>,
    /// Absent while it was only seen: what is gone at the second look is not worth a word.
    at: Option<Moment>,
}

/// The notices about pods whose owners are told.
#[must_use]
pub fn notices(found: &[Found]) -> Vec<Notice> {
    let mut notices: BTreeMap<Key, Notice> = BTreeMap::new();
    for it in found.iter().filter(|it| it.standing.is_told()) {
        let itself = || Owner {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: it.pod.clone(),
            uid: it.uid.clone(),
        };
        let about = it.owner.clone().unwrap_or_else(itself);
        let key = (about.uid.clone(), it.standing.reason);
        let notice = notices.entry(key).or_insert_with(|| Notice {
            namespace: it.namespace.clone(),
            about,
            reason: it.standing.reason,
            pods: Vec::new(),
            next: it.standing.next.as_deref().map(str::to_owned),
        });
        notice.pods.push(it.pod.clone());
    }
    let mut notices: Vec<_> = notices.into_values().collect();
    for notice in &mut notices {
        notice.pods.sort_unstable();
    }
    notices
}

impl Notice {
    /// The reason as Events write it: `MissingScripts`.
    #[must_use]
    pub fn title(&self) -> String {
        let words = self.reason.as_str().split('_');
        words
            .map(|word| {
                let (first, rest) = word.split_at(1);
                first.to_uppercase() + rest
            })
            .collect()
    }

    /// Whether something is lost, and not just old.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        self.reason.verdict().is_bad()
    }

    #[must_use]
    pub fn sentence(&self) -> String {
        let named = self.pods.iter().take(NAMED);
        let mut pods = named.map(String::as_str).collect::<Vec<_>>().join(", ");
        if self.pods.len() > NAMED {
            pods = format!("{pods} and {} more", self.pods.len() - NAMED);
        }
        let reason = self.reason.sentence();
        match &self.next {
            Some(next) => format!("{pods}: {reason}; next: {next}"),
            None => format!("{pods}: {reason}"),
        }
    }

    fn key(&self) -> Key {
        (self.about.uid.clone(), self.reason)
    }
}

impl Told {
    /// Those to be given now: seen twice, and new, or changed, or long ago.
    pub fn due(&mut self, notices: Vec<Notice>, now: Moment) -> Vec<Notice> {
        let Self(entries) = self;
        let mut before = std::mem::take(entries);
        let is_due = |notice: &Notice| {
            let key = notice.key();
            let known = before.remove(&key);
            let due = known.as_ref().is_some_and(|it| match it.at {
                Some(at) => it.next != notice.next || now.saturating_sub(at) >= AGAIN,
                None => true,
            });
            let seen = Entry {
                next: notice.next.clone(),
                at: None,
            };
            entries.insert(key, known.unwrap_or(seen));
            due
        };
        notices.into_iter().filter(is_due).collect()
    }

    /// Notes that a notice was given.
    pub fn given(&mut self, notice: &Notice, now: Moment) {
        let Self(entries) = self;
        let entry = Entry {
            next: notice.next.clone(),
            at: Some(now),
        };
        entries.insert(notice.key(), entry);
    }
}
