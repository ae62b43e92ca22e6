//! What an object of Velero cannot say.

use std::fmt;

use crate::select::Reason;

/// Something that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// A pod or a policy.
    pub of: String,
    pub why: Why,
}

impl Lost {
    pub(super) fn new(of: impl Into<String>, why: Why) -> Self {
        Self { of: of.into(), why }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// What keeps the webhook from it too.
    Passed {
        policy: String,
        reason: Reason,
    },
    /// No policy was asked about the pod.
    Unknown(Reason),
    /// Hooks in annotations hide all others.
    Annotated,
    NoVolume {
        policy: String,
        volume: String,
        path: String,
        container: String,
    },
    /// The pod lacks what a coordinator is made of.
    NoCoordinator {
        policy: String,
    },
    TooLarge {
        policy: String,
        bytes: usize,
    },
    NoLabels,
    /// Another pod has all of its labels.
    Alike(String),
    /// Several policies have hooks in one pod.
    Undo,
    /// The volume whose claim cannot be told from others.
    DataVolume(String),
    /// The volume whose claim may be like others that nobody has seen.
    UnknownClaims(String),
    /// The labels of claims that are left out, which may be those of later ones too.
    Skipped(Vec<String>),
    OtherEmptyDirs,
    DumpVolume(String),
    /// Of a policy, whose pods nobody has seen.
    Unsaid(Vec<Obstacle>),
    /// Of a policy whose hooks are calls.
    Calls,
    Parameters,
    LeaveAlone,
    NamespaceLabels,
    Volumes(Vec<String>),
    /// The init container of a restore, of a policy whose pods nobody has seen.
    Init,
}

/// What keeps a policy from being said without its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    Images,
    Owners,
    NamespaceLabels,
    Exclude,
    Container,
    NoPodLabels,
    Coordinator,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Images => "images",
            Self::Owners => "owners",
            Self::NamespaceLabels => "labels of namespaces",
            Self::Exclude => "what is excluded by more than a namespace's name",
            Self::Container => "a container that is not named",
            Self::Coordinator => "the containers of a coordinator",
            Self::NoPodLabels => "pods without a label of their own",
        })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { policy, reason } => write!(f, "no hook of {policy}: {reason}"),
            Self::Unknown(reason) => write!(f, "no hook: {reason}"),
            Self::Annotated => f.write_str(
                "no hook: it has hooks in its annotations, and Velero runs those and no others",
            ),
            Self::NoVolume { policy, volume, path, container } => write!(
                f,
                "no hook of {policy}: its pod template needs a volume {volume:?}, mounted at {path} in container {container}"
            ),
            Self::NoCoordinator { policy } => write!(
                f,
                "no hook of {policy}: its pod template needs the containers of a coordinator, which quiescent inject writes"
            ),
            Self::TooLarge { policy, bytes } => write!(
                f,
                "no hook of {policy}: its script has {bytes} bytes, and an argument of a command may have {LARGEST_ARGUMENT}"
            ),
            Self::NoLabels => f.write_str("no hook: it has no label, and Velero finds pods by nothing else"),
            Self::Alike(other) => write!(f, "no hook: its labels are those of {other} too, which is to have other hooks or none"),
            Self::Undo => f.write_str(
                "when a later policy's pre hook fails, those before it are undone by their own time limit, not at once",
            ),
            Self::DataVolume(volume) => write!(
                f,
                "the data in volume {volume:?} are taken as the backup takes all volumes: no label tells its claim from others"
            ),
            Self::UnknownClaims(volume) => write!(
                f,
                "the data in volume {volume:?} are taken as the backup takes all volumes: whose claims have the same labels is known only of --include-namespaces or with --resolve"
            ),
            Self::Skipped(labels) => write!(
                f,
                "claims are left out by their labels, {}, in all namespaces of this backup: what gets them later is left out too",
                labels.join(", ")
            ),
            Self::OtherEmptyDirs => f.write_str(
                "Velero cannot tell emptyDir volumes by their names: all in this backup are uploaded, not the dumps alone",
            ),
            Self::DumpVolume(volume) => write!(
                f,
                "volume {volume:?} has the dump and is no emptyDir: it is saved only as the backup saves other volumes"
            ),
            Self::Unsaid(obstacles) => {
                let words: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
                write!(f, "left out: only pods that are seen can tell of {}", words.join(", "))
            }
            Self::Calls => f.write_str("no hook: it calls HTTP, which Velero cannot"),
            Self::Parameters => f.write_str("annotations that set parameters are not seen: the defaults count"),
            Self::LeaveAlone => f.write_str(
                "pods of operators, clients and the like that have its labels get its hooks too",
            ),
            Self::NamespaceLabels => f.write_str(
                "labels of namespaces (quiescent.dev/inject, quiescent.dev/method) are not seen: only those of pods count",
            ),
            Self::Init => f.write_str("no init container: only pods that are seen tell of its image and its mounts"),
            Self::Volumes(names) => write!(
                f,
                "its pods must have the volumes {}, mounted where the policy says",
                names.join(", ")
            ),
        }
    }
}

/// What Linux lets one argument of a program be, its end included.
pub(super) const LARGEST_ARGUMENT: usize = 128 * 1024;
