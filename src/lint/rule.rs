//! The codes of what can be wrong with hooks, and where each is judged.

use crate::diagnostic::{self, Severity};

/// Where a rule is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// From files, all of it.
    Here,
    /// From files as far as they tell; the manual says what is left and who sees it.
    Partly,
    /// Not from files.
    Elsewhere,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $code:literal $severity:ident $judged:ident,)*) => {
        /// A rule for hooks. Codes never change their meaning and are never used again.
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

            #[must_use]
            pub const fn judged(self) -> Judged {
                match self {
                    $(Self::$name => Judged::$judged,)*
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
    /// A comment that accepts a finding, without a reason or for a code that does not exist.
    Exception = "QV000" Error Here,
    /// A command that begins like JSON and is none.
    BrokenJson = "QV001" Error Here,
    /// White space before the bracket.
    BlankBeforeJson = "QV002" Error Here,
    /// No program to run.
    NoProgram = "QV003" Error Here,
    /// A line of shell where one program's name is expected.
    PlainLine = "QV004" Error Here,
    /// Shell syntax without a shell.
    NoShell = "QV005" Warning Here,
    /// Arguments behind the script of `sh -c`.
    ArgumentsOfShell = "QV006" Warning Here,
    /// Settings of a hook that has no command.
    NoCommand = "QV007" Error Here,
    /// The oldest form of the annotations beside the newer one.
    Legacy = "QV008" Warning Here,
    /// A key or value that Velero never reads.
    UnknownKey = "QV009" Error Here,
    /// The same annotation twice.
    Duplicate = "QV010" Error Here,
    /// A container that is not there.
    NoContainer = "QV011" Error Here,
    /// No container named.
    FirstContainer = "QV012" Warning Here,
    /// An on-error that is not written, or not as Velero reads it.
    OnError = "QV013" Warning Here,
    /// A failed hook whose volume is captured all the same.
    FailedYetCaptured = "QV014" Warning Partly,
    /// A duration that Velero does not read.
    BadTimeout = "QV015" Error Here,
    /// A dump in thirty seconds.
    ShortTimeout = "QV016" Warning Here,
    /// A duration above what Velero allows.
    LongTimeout = "QV017" Warning Partly,
    /// Something stopped and not started again, or the reverse.
    NoThaw = "QV018" Warning Here,
    /// A lock that is held for a whole upload.
    LockedUpload = "QV019" Warning Here,
    /// A hook that can fail with the lock taken.
    FailsLocked = "QV020" Warning Here,
    /// A lock that ends only when somebody ends it.
    NoExpiry = "QV021" Warning Here,
    /// What this version of the engine refuses.
    EngineRefuses = "QV022" Error Here,
    /// What reports success and is not what was meant.
    EngineIgnores = "QV023" Warning Here,
    /// A dump to standard output.
    ToStdout = "QV024" Warning Here,
    /// A password that can be read.
    Password = "QV025" Warning Here,
    /// A dump that can be cut off unnoticed.
    CutDump = "QV026" Warning Here,
    /// A dump that is deleted before it is uploaded.
    DeletedDump = "QV027" Warning Partly,
    /// A name in backup-volumes that no volume has.
    NoVolume = "QV028" Error Here,
    /// A volume that file-system backup never takes.
    NeverTaken = "QV029" Error Here,
    /// A volume that is not mounted where it has to be.
    NotMounted = "QV030" Error Here,
    /// Volumes taken and left out at once, or in a mode where nobody asks.
    OtherMode = "QV031" Warning Partly,
    /// A volume policy that wins over the annotation.
    VolumePolicy = "QV032" Error Elsewhere,
    /// A file copy where a snapshot is expected.
    CopyNotSnapshot = "QV033" Warning Partly,
    /// A block device.
    BlockDevice = "QV034" Warning Partly,
    /// Hooks and volumes of two authors in one pod.
    Merging = "QV035" Warning Elsewhere,
    /// An init hook that stops the restore of its pod.
    BrokenInit = "QV036" Error Here,
    /// An init hook that needs what it does not get.
    BareInit = "QV037" Warning Partly,
    /// An init hook with a name of its own.
    NamedInit = "QV038" Warning Here,
    /// A restore that waits for ever.
    WaitsForever = "QV039" Error Here,
    /// A restore hook that takes longer than Velero waits.
    Overstays = "QV040" Warning Elsewhere,
    /// A database that is not up yet.
    NotReady = "QV041" Warning Here,
    /// One failed hook ends all others of the restore.
    CancelsOthers = "QV042" Warning Partly,
    /// Pods that end.
    ShortLived = "QV043" Warning Here,
    /// Hooks for pods that are not in the backup.
    OutOfBackup = "QV044" Warning Here,
    /// A duration that no client can decode.
    UndecodableDuration = "QV045" Error Here,
    /// Annotations that hide a backup's hooks.
    Hidden = "QV046" Warning Partly,
    /// A script that is not there, or cannot be run.
    NoScript = "QV047" Error Partly,
    /// Names or paths that stand twice.
    Twice = "QV048" Error Partly,
    /// Annotations that no pod has.
    OnWorkload = "QV049" Warning Here,
    /// A pod that is left out of backups.
    LeftOut = "QV050" Warning Partly,
    /// A program that the image does not have.
    NotInImage = "QV051" Warning Partly,
    /// A volume smaller than the dump.
    TooSmall = "QV052" Warning Elsewhere,
    /// An alert on a metric that failed hooks do not raise.
    WrongMetric = "QV053" Warning Partly,
    /// Tries that take longer than the hook may.
    TooManyTries = "QV054" Warning Here,
    /// Snapshots of claims that belong together.
    SeveralClaims = "QV055" Warning Partly,
}

impl Rule {
    /// The rule of a code, in capitals or not.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|rule| rule.code().eq_ignore_ascii_case(code))
    }
}
