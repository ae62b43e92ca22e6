//! What became of the hooks and volumes of one backup or restore, from the log that Velero kept of it and
//! from its list of volumes.
//!
//! Pure: both are texts.
pub mod ledger;
pub mod notice;
mod outcome;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

pub use self::outcome::{Dump, Outcome, Phase, Problem, Ran, Reason, outcomes, problems};
use crate::{
    trial::{Said, said},
    velero::log::{Entry, FAILED, RUNNING},
};

/// One hook that Velero ran in a pod, or wanted to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookRun {
    pub namespace: String,
    pub pod: String,
    /// `pre` or `post`.
    pub phase: String,
    /// `annotation`, or the name of the hook in the Backup or Restore.
    pub source: String,
    pub container: String,
    /// As Velero prints an argv: its words with a blank between them.
    pub command: String,
    pub on_error: String,
    /// Why it failed.
    pub error: Option<String>,
    /// How long it took, in whole seconds, where the log tells its end.
    pub seconds: Option<i64>,
    pub stdout: String,
    pub stderr: String,
    began: Option<i64>,
    printed: bool,
}

impl HookRun {
    /// Whether Velero began to run it. One whose container is missing never began.
    #[must_use]
    pub const fn began(&self) -> bool {
        self.began.is_some()
    }

    /// What its program ended with, where the log says it.
    #[must_use]
    pub fn exit(&self) -> Option<i32> {
        match &self.error {
            None => self.printed.then_some(0),
            Some(error) => error.strip_prefix(EXIT_CODE)?.trim().parse().ok(),
        }
    }

    /// When it ended, in seconds since 1970, where the log tells it.
    #[must_use]
    pub fn ended(&self) -> Option<i64> {
        Some(self.began? + self.seconds?)
    }

    #[must_use]
    pub fn results(&self) -> Vec<Said> {
        said(&self.stdout)
    }

    /// Whether it began, and the log says nothing of its end.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !self.printed && self.error.is_none()
    }
}

/// What Kubernetes says of a command that ended with another code than 0.
const EXIT_CODE: &str = "command terminated with exit code";

/// Whether [`hooks`] reads a line at all: of most it would learn nothing.
#[must_use]
pub fn tells_of_hooks(line: &str) -> bool {
    // Cheaper than to take a line apart.
    let may = line.contains("hookType") || line.contains("pods");
    may && {
        let entry = Entry::read(line);
        entry.is_of_a_hook() || entry.backed_up_pod().is_some()
    }
}

/// All hooks that a log tells of, in its order.
///
/// A backup's lines name no pod. Velero backs up a pod, and what belongs to it, between the pre hooks and the
/// post hooks, and those lines do.
#[must_use]
pub fn hooks(log: &str) -> Vec<HookRun> {
    let mut runs: Vec<HookRun> = Vec::new();
    let mut block = Block::default();
    for entry in log.lines().map(Entry::read) {
        if let Some(pod) = entry.backed_up_pod() {
            // After a post hook comes what has nothing to do with it, such as a pod without hooks.
            if block.runs.iter().any(|at| runs[*at].phase == POST) {
                block.end(&mut runs);
            }
            block.pods.push((pod.0.to_owned(), pod.1.to_owned()));
        }
        if !entry.is_of_a_hook() {
            continue;
        }
        let new = HookRun::of(&entry);
        let message = entry.message();
        let at = if message == RUNNING {
            None
        } else {
            runs.iter().rposition(|it| it.is_open_for(&new, &entry))
        };
        let failed = entry.field("level") == Some("error");
        let at = match at {
            Some(at) => at,
            // A hook that could not begin has but the line that says so.
            None if message == RUNNING || failed => {
                if new.phase == PRE && !block.pods.is_empty() {
                    block.end(&mut runs);
                }
                block.runs.push(runs.len());
                runs.push(new);
                runs.len() - 1
            }
            None => continue,
        };
        let run = &mut runs[at];
        if message == RUNNING {
            run.began = entry.time();
        } else if let Some(text) = message.strip_prefix("stdout: ") {
            text.clone_into(&mut run.stdout);
            run.end(&entry);
        } else if let Some(text) = message.strip_prefix("stderr: ") {
            text.clone_into(&mut run.stderr);
            run.end(&entry);
        } else if failed {
            let why = entry.field("error").filter(|_| message == FAILED);
            run.error = Some(why.unwrap_or(message).to_owned());
            run.end(&entry);
        }
    }
    block.end(&mut runs);
    runs
}

const PRE: &str = "pre";
const POST: &str = "post";

/// What Velero backs up together: pre hooks, items, post hooks.
#[derive(Default)]
struct Block {
    /// The places of its hooks.
    runs: Vec<usize>,
    /// Namespace and name of its pods.
    pods: Vec<(String, String)>,
}

impl Block {
    /// Tells its hooks whose they are, and begins the next.
    fn end(&mut self, runs: &mut [HookRun]) {
        let Self { runs: places, pods } = std::mem::take(self);
        let mut names = pods;
        names.dedup();
        for phase in [PRE, POST] {
            let of: Vec<usize> = places
                .iter()
                .copied()
                .filter(|at| runs[*at].phase == phase && runs[*at].pod.is_empty())
                .collect();
            let whose = |number: usize| match &names[..] {
                [only] => Some(only),
                all if all.len() == of.len() => all.get(number),
                // Nobody can say which of them it was.
                _ => None,
            };
            for (number, at) in of.iter().enumerate() {
                if let Some((namespace, pod)) = whose(number) {
                    namespace.clone_into(&mut runs[*at].namespace);
                    pod.clone_into(&mut runs[*at].pod);
                }
            }
        }
    }
}

impl HookRun {
    fn of(entry: &Entry) -> Self {
        let (namespace, pod) = entry.pod().unwrap_or_default();
        let text = |key| entry.field(key).unwrap_or_default().to_owned();
        let name = text("hookName");
        Self {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            phase: text("hookPhase"),
            source: match entry.field("hookSource") {
                Some("annotation") | None => "annotation".to_owned(),
                Some(source) if name.is_empty() => source.to_owned(),
                Some(_) => name,
            },
            container: text("hookContainer"),
            command: bare(&text("hookCommand")).to_owned(),
            on_error: text("hookOnError"),
            ..Self::default()
        }
    }

    /// Whether a later line is about this hook. That of a failure names neither container nor command, and
    /// comes in the moment in which the hook ends.
    fn is_open_for(&self, other: &Self, entry: &Entry) -> bool {
        let same = |one: &str, other: &str| other.is_empty() || one == other;
        let ended = self
            .began
            .zip(self.seconds)
            .map(|(began, took)| began + took);
        let in_time = ended
            .zip(entry.time())
            .is_none_or(|(ended, now)| now <= ended + 1);
        self.error.is_none()
            && in_time
            && self.phase == other.phase
            && same(&self.pod, &other.pod)
            && same(&self.container, &other.container)
            && same(&self.command, &other.command)
    }

    fn end(&mut self, entry: &Entry) {
        self.printed = true;
        self.seconds = self.began.zip(entry.time()).map(|(began, now)| now - began);
    }
}

/// A list without the brackets in which Go prints it.
fn bare(list: &str) -> &str {
    list.strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'))
        .unwrap_or(list)
}

/// What a pod lacks that a backup should have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    pub namespace: String,
    pub pod: String,
    pub says: &'static str,
    /// Whether the reason may be that the pod has no post hook.
    pub may_have_none: bool,
}

/// Pods of a backup whose pre hook ran, and whose post hook never did: what pre holds may be held still.
#[must_use]
pub fn never_undone(runs: &[HookRun]) -> Vec<Flag> {
    let of = |phase| runs.iter().filter(move |it| it.phase == phase);
    let undone: BTreeSet<_> = of("post").map(|it| (&it.namespace, &it.pod)).collect();
    let mut open = BTreeMap::new();
    for pre in of("pre").filter(|it| !undone.contains(&(&it.namespace, &it.pod))) {
        let left_out = pre.error.is_some() && pre.on_error == "Fail";
        let (says, may_have_none) = if left_out {
            (
                "no post hook ran: Velero runs none after a pre hook that failed with on-error=Fail",
                false,
            )
        } else if pre.is_open() {
            ("no post hook ran, and the log ends in the pre hook", false)
        } else {
            (
                "no post hook ran: the pod has none, or Velero gave up before it",
                true,
            )
        };
        open.insert((&pre.namespace, &pre.pod), (says, may_have_none));
    }
    let flags = open
        .into_iter()
        .map(|((namespace, pod), (says, may_have_none))| Flag {
            namespace: namespace.clone(),
            pod: pod.clone(),
            says,
            may_have_none,
        });
    flags.collect()
}

/// A volume and the way it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    pub namespace: String,
    /// The pod whose volume it is, where it was copied by file.
    pub pod: Option<String>,
    /// The name in the pod, or that of the claim.
    pub name: String,
    pub way: Way,
    pub bytes: Option<u64>,
    /// `Completed`, `Failed`, or what else Velero says.
    pub phase: Option<String>,
}

impl Volume {
    /// Whether Velero says that its data are not in the backup.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(
            self.phase.as_deref(),
            Some("Failed" | "Canceled" | "failed")
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    FileCopy,
    Snapshot,
    /// A snapshot whose data were uploaded.
    MovedSnapshot,
    Skipped(String),
    Unknown,
}

impl Way {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::FileCopy => "file_copy",
            Self::Snapshot => "snapshot",
            Self::MovedSnapshot => "moved_snapshot",
            Self::Skipped(_) => "skipped",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct VolumeInfo {
    #[serde(rename = "pvcName")]
    claim: String,
    #[serde(rename = "pvcNamespace")]
    claim_namespace: String,
    #[serde(rename = "pvName")]
    persistent_volume: String,
    #[serde(alias = "restoreMethod")]
    backup_method: String,
    snapshot_data_moved: bool,
    skipped: bool,
    skipped_reason: String,
    result: Option<String>,
    csi_snapshot_info: Option<Detail>,
    snapshot_data_movement_info: Option<Detail>,
    #[serde(alias = "pvrInfo")]
    pvb_info: Option<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    size: Option<u64>,
    volume_name: String,
    pod_name: String,
    pod_namespace: String,
    #[serde(alias = "Phase")]
    phase: Option<String>,
}

/// The volumes that Velero lists for a backup or a restore.
///
/// # Errors
/// Where that list is none.
pub fn volumes(infos: &str) -> Result<Vec<Volume>, serde_json::Error> {
    let infos: Option<Vec<Value>> = serde_json::from_str(infos)?;
    let infos = infos.into_iter().flatten();
    infos
        .map(|info| Ok(volume(serde_json::from_value(info)?)))
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodVolumeRestore {
    metadata: Owned,
    spec: IntoPod,
    #[serde(default)]
    status: Copied,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Owned {
    owner_references: Vec<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
struct IntoPod {
    pod: Place,
    volume: String,
}

#[derive(Deserialize)]
struct Place {
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Copied {
    phase: Option<String>,
    progress: Progress,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Progress {
    total_bytes: Option<u64>,
}

/// The volume that one of Velero's `PodVolumeRestore` objects fills, where that is of this restore. Velero's
/// list of a restore leaves out all that are not of a claim (`RestoreVolumeInfoTracker.Result`), so also
/// every emptyDir with a dump.
///
/// # Errors
/// Where that is no such object.
pub fn copied_back(object: &str, restore: &str) -> Result<Option<Volume>, serde_json::Error> {
    let PodVolumeRestore {
        metadata,
        spec,
        status,
    } = serde_json::from_str(object)?;
    let mut owners = metadata.owner_references.iter();
    if !owners.any(|it| it.kind == "Restore" && it.name == restore) {
        return Ok(None);
    }
    Ok(Some(Volume {
        namespace: spec.pod.namespace,
        pod: Some(spec.pod.name),
        name: spec.volume,
        way: Way::FileCopy,
        bytes: status.progress.total_bytes.filter(|bytes| *bytes > 0),
        phase: status.phase,
    }))
}

/// What Velero lists, and after it what its objects know beside or better.
#[must_use]
pub fn together(mut listed: Vec<Volume>, copied: Vec<Volume>) -> Vec<Volume> {
    let place = |it: &Volume| (it.namespace.clone(), it.pod.clone(), it.name.clone());
    let better: BTreeSet<_> = copied.iter().map(place).collect();
    listed.retain(|it| !better.contains(&place(it)));
    listed.extend(copied);
    listed
}

fn volume(info: VolumeInfo) -> Volume {
    let VolumeInfo {
        claim,
        claim_namespace,
        persistent_volume,
        backup_method,
        snapshot_data_moved,
        skipped,
        skipped_reason,
        result,
        csi_snapshot_info,
        snapshot_data_movement_info,
        pvb_info,
    } = info;
    let way = match &*backup_method {
        _ if skipped => Way::Skipped(skipped_reason),
        "PodVolumeBackup" | "PodVolumeRestore" => Way::FileCopy,
        _ if snapshot_data_moved => Way::MovedSnapshot,
        "CSISnapshot" | "NativeSnapshot" => Way::Snapshot,
        _ => Way::Unknown,
    };
    let file = pvb_info.unwrap_or_default();
    let taken = snapshot_data_movement_info
        .or(csi_snapshot_info)
        .unwrap_or_default();
    let text = |one: String, other: String| if one.is_empty() { other } else { one };
    Volume {
        namespace: text(file.pod_namespace, claim_namespace),
        pod: Some(file.pod_name).filter(|name| !name.is_empty()),
        name: text(file.volume_name, text(claim, persistent_volume)),
        way,
        bytes: file.size.or(taken.size).filter(|bytes| *bytes > 0),
        phase: file
            .phase
            .or(taken.phase)
            .or(result)
            .filter(|it| !it.is_empty()),
    }
}

#[cfg(test)]
mod tests;
