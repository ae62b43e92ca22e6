//! What can be said of a database and its backup: one closed list for people, JSON and metrics.

use std::fmt;

/// What a reason comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    Protected,
    ByOperator,
    /// Nothing prepares the database for its backup, or nothing backs it up.
    Unprotected,
    /// There is a hook, and what is restored is as if there were none.
    DoesNothing,
    /// Somebody said that it is to be left alone.
    LeftAlone,
}

impl Verdict {
    pub const ALL: [Self; 5] = [
        Self::Protected,
        Self::ByOperator,
        Self::Unprotected,
        Self::DoesNothing,
        Self::LeftAlone,
    ];

    /// For programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::ByOperator => "by_operator",
            Self::Unprotected => "unprotected",
            Self::DoesNothing => "does_nothing",
            Self::LeftAlone => "left_alone",
        }
    }

    /// For people, behind a number.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::ByOperator => "by its operator",
            Self::Unprotected => "unprotected",
            Self::DoesNothing => "with a hook that does nothing",
            Self::LeftAlone => "left alone",
        }
    }

    /// Whether somebody has to do something.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Unprotected | Self::DoesNothing)
    }
}

macro_rules! reasons {
    ($($name:ident = $code:literal $verdict:ident $sentence:literal,)*) => {
        /// Why a database is protected, or is not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $sentence] $name,)*
        }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// For programs: labels of metrics, fields of JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// For people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }

            #[must_use]
            pub const fn verdict(self) -> Verdict {
                match self {
                    $(Self::$name => Verdict::$verdict,)*
                }
            }
        }
    };
}

reasons! {
    Hooked = "hooked" Protected "it has the hooks of a policy, as the policy is now",
    WhenCreated = "when_created" Protected "there is no such pod yet; the one that is made gets the hooks of a policy",
    Outdated = "outdated" Protected "it has the hooks of an older version of a policy, which still run",
    OtherPolicy = "other_policy" Protected "it has the hooks of a policy that is not known here, or does not select it any more",
    AuthorsHook = "authors_hook" Protected "its author wrote a hook, and lint finds nothing that makes it useless",
    BackupsHook = "backups_hook" Protected "a Schedule or Backup that takes it has a hook for it, which is not judged here",
    Operator = "operator" ByOperator "an operator runs it, and makes its backups or says how",
    Missed = "missed" Unprotected "it was made before the policy, or while the webhook was away",
    NotEnabled = "not_enabled" Unprotected "neither pod nor namespace has the label quiescent.dev/inject=enabled",
    NoPolicy = "no_policy" Unprotected "no policy is for it",
    NotSelected = "not_selected" Unprotected "a policy is for it and passes it over",
    NoSchedule = "no_schedule" Unprotected "no Schedule of Velero takes its namespace and labels",
    ExcludedFromBackup = "excluded_from_backup" Unprotected "its label velero.io/exclude-from-backup keeps it out of every backup",
    MissingScripts = "missing_scripts" DoesNothing "the ConfigMap with the hook's scripts is not in its namespace",
    Incomplete = "incomplete" DoesNothing "a volume, a mount or a setting of the hook is gone",
    WrongContainer = "wrong_container" DoesNothing "the hook runs in a container that is not there, or is not the database's",
    AuthorsHookFails = "authors_hook_fails" DoesNothing "its author's hook fails, or reports success and does nothing",
    NoPreHook = "no_pre_hook" DoesNothing "its author wrote hooks, and none that runs before the backup",
    DumpNotSaved = "dump_not_saved" DoesNothing "the hook makes a dump, and no backup takes the volume it lies in",
    FileCopy = "file_copy" DoesNothing "the hook prepares a snapshot, and the data are copied file by file",
    SeveralClaims = "several_claims" DoesNothing "the hook prepares snapshots and holds no writes, and those of the data's claims are seconds apart",
    DataNotSaved = "data_not_saved" DoesNothing "no backup takes the volume that the hook prepares",
    MethodOff = "method_off" LeftAlone "the label quiescent.dev/method says off",
    Disabled = "disabled" LeftAlone "the label quiescent.dev/inject says disabled",
    EndsByItself = "ends_by_itself" LeftAlone "the pod ends by itself, and what it keeps ends with it",
    ReservedNamespace = "reserved_namespace" LeftAlone "the namespace is Velero's or our own",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}
