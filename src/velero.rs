//! Velero's contract as types: the annotations it reads, and how it reads them.
//!
//! No other module spells an annotation key. Every rule was read in Velero's source
//! (`internal/hook/item_hook_handler.go`, `pkg/podexec/pod_command_executor.go`).

mod command;
pub mod copy;
mod exec_hook;
pub mod log;
pub mod objects;
pub mod of_pods;
pub mod spec;
mod timeout;
pub mod verification;

use std::fmt;

pub use command::{
    decode as decode_command, elements as command_elements, encode as encode_command,
};
pub use exec_hook::{DEFAULT_TIMEOUT, ExecHook};
pub use timeout::{Timeout, TimeoutError};

/// The volumes of a pod that file-system backup uploads, by name: a set, split at `,` untrimmed.
pub const BACKUP_VOLUMES: &str = "backup.velero.io/backup-volumes";

/// The volumes that file-system backup leaves out where it takes all others.
pub const BACKUP_VOLUMES_EXCLUDES: &str = "backup.velero.io/backup-volumes-excludes";

/// What the domains of hook annotations end with.
pub const HOOK_DOMAINS: [&str; 2] = ["hook.backup.velero.io", "hook.restore.velero.io"];

/// The domain of the pre hook's oldest annotations.
pub const LEGACY_PREFIX: &str = "hook.backup.velero.io";

/// The domain of the annotations that add an init container to a restored pod.
pub const INIT_PREFIX: &str = "init.hook.restore.velero.io";

/// Its keys. Velero makes the container of nothing else.
pub const INIT_IMAGE: &str = "init.hook.restore.velero.io/container-image";
pub const INIT_COMMAND: &str = "init.hook.restore.velero.io/command";
pub const INIT_NAME: &str = "init.hook.restore.velero.io/container-name";

/// What Velero calls that container where no annotation says otherwise: eight digits follow.
pub const INIT_CONTAINER: &str = "velero-restore-init-";

/// The label that keeps an object out of every backup.
pub const EXCLUDE_LABEL: &str = "velero.io/exclude-from-backup";

/// The group of Velero's own objects.
pub const GROUP: &str = "velero.io/";

/// Every domain of hooks with the names that are read below it.
pub const KNOWN_KEYS: &[(&str, &[&str])] = &[
    (
        "pre.hook.backup.velero.io",
        &["command", "container", "on-error", "timeout"],
    ),
    (
        "post.hook.backup.velero.io",
        &["command", "container", "on-error", "timeout"],
    ),
    (
        LEGACY_PREFIX,
        &["command", "container", "on-error", "timeout"],
    ),
    (
        "post.hook.restore.velero.io",
        &[
            "command",
            "container",
            "on-error",
            "exec-timeout",
            "wait-timeout",
            "wait-for-ready",
        ],
    ),
    (
        INIT_PREFIX,
        &["container-image", "container-name", "command"],
    ),
];

/// The hooks that annotations can make, by their prefixes.
pub const HOOKS: [&str; 4] = [
    HookPhase::Pre.prefix(),
    HookPhase::Post.prefix(),
    HookPhase::PostRestore.prefix(),
    INIT_PREFIX,
];

/// Which of [`HOOKS`] an annotation is a part of, if Velero reads it at all.
#[must_use]
pub fn hook_of(key: &str) -> Option<&'static str> {
    let (domain, name) = key.split_once('/')?;
    let (domain, names) = KNOWN_KEYS.iter().find(|(known, _)| *known == domain)?;
    let hook = if *domain == LEGACY_PREFIX {
        HookPhase::Pre.prefix()
    } else {
        domain
    };
    names.contains(&name).then_some(hook)
}

/// The init container that holds a restored pod back until its volumes are filled.
pub const RESTORE_WAIT: &str = "restore-wait";

/// How long Velero lets a hook run at most: newer releases cut anything above.
pub const LONGEST_TIMEOUT: Timeout = Timeout::from_seconds(4 * 60 * 60);

/// The label that Velero puts on everything it restores.
pub const RESTORE_NAME_LABEL: &str = "velero.io/restore-name";

/// When a hook runs, which is also the prefix of its annotations.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum HookPhase {
    /// Before the pod and its volumes are backed up.
    Pre,
    /// After the volumes were taken.
    Post,
    /// After the pod was restored and its container runs.
    PostRestore,
}

/// The annotation keys of one phase, in the order in which we write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookKeys {
    pub command: &'static str,
    pub container: &'static str,
    pub on_error: &'static str,
    pub timeout: &'static str,
}

impl HookPhase {
    pub const ALL: [Self; 3] = [Self::Pre, Self::Post, Self::PostRestore];

    /// The keys that Velero reads in this phase.
    #[must_use]
    pub const fn keys(self) -> HookKeys {
        match self {
            Self::Pre => HookKeys {
                command: "pre.hook.backup.velero.io/command",
                container: "pre.hook.backup.velero.io/container",
                on_error: "pre.hook.backup.velero.io/on-error",
                timeout: "pre.hook.backup.velero.io/timeout",
            },
            Self::Post => HookKeys {
                command: "post.hook.backup.velero.io/command",
                container: "post.hook.backup.velero.io/container",
                on_error: "post.hook.backup.velero.io/on-error",
                timeout: "post.hook.backup.velero.io/timeout",
            },
            Self::PostRestore => HookKeys {
                command: "post.hook.restore.velero.io/command",
                container: "post.hook.restore.velero.io/container",
                on_error: "post.hook.restore.velero.io/on-error",
                timeout: "post.hook.restore.velero.io/exec-timeout",
            },
        }
    }

    /// The annotation prefix, as people name the hook.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Pre => "pre.hook.backup.velero.io",
            Self::Post => "post.hook.backup.velero.io",
            Self::PostRestore => "post.hook.restore.velero.io",
        }
    }
}

/// The pre hook in its oldest form. Velero still reads it where the `pre.` command is absent, and
/// never mixes the keys of the two.
pub const LEGACY_PRE: HookKeys = HookKeys {
    command: "hook.backup.velero.io/command",
    container: "hook.backup.velero.io/container",
    on_error: "hook.backup.velero.io/on-error",
    timeout: "hook.backup.velero.io/timeout",
};

/// How long a restored pod's hook waits for its container. Unset is for ever.
pub const RESTORE_WAIT_TIMEOUT: &str = "post.hook.restore.velero.io/wait-timeout";

/// Whether that hook waits until the container is ready, not only running.
pub const RESTORE_WAIT_FOR_READY: &str = "post.hook.restore.velero.io/wait-for-ready";

impl HookKeys {
    /// All of them, the command first.
    #[must_use]
    pub const fn all(&self) -> [&'static str; 4] {
        [self.command, self.container, self.on_error, self.timeout]
    }
}

/// What a failed hook means for its pod. Velero compares the exact word: `fail` is `Continue`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
pub enum OnError {
    /// The error is logged, the pod is backed up all the same.
    Continue,
    /// The pod is left out of the backup. Its post hook does not run.
    Fail,
}

impl OnError {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "Continue",
            Self::Fail => "Fail",
        }
    }
}

impl fmt::Display for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a restore hook waits for before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreWait {
    pub timeout: Timeout,
    pub for_ready: bool,
}

/// The names in a `backup-volumes` annotation, as Velero splits them.
pub fn backup_volumes(annotation: &str) -> impl Iterator<Item = &str> {
    annotation.split(',')
}

/// A boolean as Go's `strconv.ParseBool` reads it; `None` where that fails and Velero takes `false`.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
