//! What a verification leaves on the backup that it restored: the names of the annotations, and the
//! labels of what belongs to a verification while it runs.

/// What became of it: one of [`Verdict`].
pub const VERDICT: &str = "verify.quiescent.dev/verdict";

/// When it was over, as RFC 3339.
pub const FINISHED_AT: &str = "verify.quiescent.dev/finished-at";

/// From the Restore's creation until every check has passed, in whole seconds (RTO).
pub const RESTORE_SECONDS: &str = "verify.quiescent.dev/restore-seconds";

/// How old the data was when the verification began, in whole seconds (RPO).
pub const DATA_AGE_SECONDS: &str = "verify.quiescent.dev/data-age-seconds";

/// Why it did not pass, in a short sentence.
pub const REASON: &str = "verify.quiescent.dev/reason";

/// All of them.
pub const ANNOTATIONS: [&str; 5] = [
    VERDICT,
    FINISHED_AT,
    RESTORE_SECONDS,
    DATA_AGE_SECONDS,
    REASON,
];

/// The label that Velero puts on the backups of a schedule.
pub const SCHEDULE_LABEL: &str = "velero.io/schedule-name";

/// The label of everything that a verification makes: namespaces, Restore, ConfigMap. Its value is
/// the id of the verification.
pub const VERIFICATION_LABEL: &str = "quiescent.dev/verification";

/// The annotation of the same: when whoever made them has certainly ended, as RFC 3339. What is older is
/// left from a verification that was killed; what has none is kept on purpose.
pub const UNTIL: &str = "quiescent.dev/verification-until";

/// What a verification came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Everything came back, and every check says it is sound.
    Passed,
    /// Something did not come back, or a check says that it is not sound.
    Failed,
    /// It could not be brought to an end: of the backup nothing is known.
    Incomplete,
}

impl Verdict {
    pub const ALL: [Self; 3] = [Self::Passed, Self::Failed, Self::Incomplete];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Incomplete => "incomplete",
        }
    }

    /// The verdict that an annotation has.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn a_verdict_is_read_as_it_was_written() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::read(verdict.as_str()), Some(verdict));
        }
        assert_eq!(Verdict::read("Passed"), None);
    }
}
