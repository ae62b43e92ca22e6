//! The codes of what can be wrong with a policy.

use crate::diagnostic::{self, Severity};

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $code:literal $severity:ident,)*) => {
        /// A rule for policies. Codes never change their meaning and are never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }
        }

        impl diagnostic::Rule for Rule {
            fn code(self) -> &'static str {
                self.code()
            }

            fn severity(self) -> Severity {
                self.severity()
            }
        }
    };
}

rules! {
    /// The text is no YAML.
    Syntax = "QP001" Error,
    /// A field that no policy has.
    UnknownField = "QP002" Error,
    /// A value of another type than the field's.
    WrongType = "QP003" Error,
    /// A field that every policy needs.
    MissingField = "QP004" Error,
    /// A key that stands twice in one mapping.
    DuplicateKey = "QP005" Error,
    /// Another `apiVersion` or `kind`.
    NotAPolicy = "QP006" Error,
    /// A name that Kubernetes would refuse.
    BadName = "QP007" Error,
    /// A text that Velero could not read as a duration, or one out of bounds.
    BadDuration = "QP008" Error,
    /// A label selector that Kubernetes would refuse.
    BadSelector = "QP009" Error,
    /// A text that names no images.
    BadImage = "QP010" Error,
    /// A volume that cannot be, or two that cannot be together.
    BadVolume = "QP011" Error,
    /// A container that no pod selected by this policy can have, or none chosen.
    ImpossibleContainer = "QP012" Error,
    /// A script that is not there.
    MissingScript = "QP013" Error,
    /// A script from outside of the policy's folder.
    ForeignScript = "QP014" Error,
    /// Scripts that no ConfigMap, or no annotation, can hold.
    LargeScripts = "QP015" Error,
    /// A policy that selects every pod.
    MatchesEverything = "QP016" Error,
    /// Something that is stopped and never started again.
    FreezeWithoutThaw = "QP017" Error,
    /// Two policies that cannot both be followed.
    Contradiction = "QP018" Error,
    /// A parameter that cannot be set or read.
    BadParameter = "QP019" Error,
    /// A hook that runs nothing, or two things.
    BadAction = "QP020" Error,
    /// Retries that do not fit into their hook's timeout.
    RetryTooLong = "QP021" Error,
    /// A name for `backup-volumes` that Velero would not find.
    BadBackupVolume = "QP022" Error,
    /// A policy that would do nothing.
    NothingToDo = "QP023" Warning,
    /// A dump beside a pre hook whose failure does not count.
    DumpMayBeOld = "QP024" Warning,
    /// An object of another API among the policies.
    NotOurs = "QP025" Warning,
    /// A pre hook without a post hook, or the other way round.
    LoneHook = "QP026" Warning,
    /// A file without a policy.
    Empty = "QP027" Warning,
    /// An owner of a kind that is all but one that makes pods.
    NearKind = "QP028" Warning,
    /// A namespace that goes with no policy of this kind, or with nothing that it asks for.
    BadNamespace = "QP029" Error,
    /// A call over HTTP that cannot be made, or whose answer cannot be judged.
    BadCall = "QP030" Error,
    /// A call beside what Velero alone runs.
    CallBesideVelero = "QP031" Error,
    /// What looks like a secret, in the policy itself.
    LiteralSecret = "QP032" Error,
    /// A secret that is sent where others can read it.
    ClearSecret = "QP033" Warning,
    /// A call that leaves the cluster.
    FarCall = "QP034" Warning,
    /// Hooks that Velero has no part in.
    NotByVelero = "QP035" Warning,
}
