//! Claims made from snapshots: which snapshot is good for one, what the claim asks for, and what a pod needs
//! that starts on it beside the original.
//!
//! Pure: whoever asks the cluster hands in what it said.
mod beside;
mod class;
mod size;

use serde_json::{Value, json};

pub use beside::{Needs, beside, content, copied, copied_account, named, needs, pairs, snapshot};
pub use class::Class;

use crate::{
    csi::{self, labels},
    snapshot::Verdict,
};

/// So long the name of a claim may be.
const LONGEST_NAME: usize = 253;

const RESTORED: &str = "-restored";

/// The annotation of a claim: the snapshot that it was made from.
pub const RESTORED_FROM: &str = "quiescent.dev/restored-from";

/// A VolumeSnapshot, as far as something is made from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub set: Option<String>,
    /// The claim that it was taken of.
    pub claim: Option<String>,
    pub content: Option<String>,
    /// When it was cut, as RFC 3339.
    pub created: Option<String>,
    /// The smallest size of a claim.
    pub size: Option<String>,
    pub worth: Worth,
    /// The policies whose hooks ran, in their versions.
    pub policies: Option<String>,
}

/// What a snapshot says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Worth {
    Consistent,
    /// Taken without hooks, as after a power cut.
    Crash,
    /// Not while all held, and why.
    Unusable(String),
    /// Nobody said.
    #[default]
    Unknown,
    /// It cannot be restored yet, and why as far as that is known.
    NotReady(Option<String>),
}

impl Source {
    #[must_use]
    pub fn read(snapshot: &Value) -> Self {
        let metadata = &snapshot["metadata"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let csi::Status {
            content,
            created,
            ready,
            error,
        } = csi::status(snapshot);
        let reason = metadata["annotations"][labels::REASON].as_str();
        let worth = match metadata["labels"][labels::CONSISTENT].as_str() {
            _ if !ready => Worth::NotReady(error),
            Some("true") => Worth::Consistent,
            Some(_) if reason == Some(Verdict::CrashConsistent.words()) => Worth::Crash,
            Some(_) => Worth::Unusable(reason.unwrap_or("it is labelled so").to_owned()),
            None => Worth::Unknown,
        };
        Self {
            name: text(&metadata["name"]).unwrap_or_default(),
            set: text(&metadata["labels"][labels::SET]),
            claim: text(&snapshot["spec"]["source"]["persistentVolumeClaimName"]),
            content,
            created,
            size: text(&snapshot["status"]["restoreSize"]),
            worth,
            policies: text(&metadata["annotations"][labels::POLICY]),
        }
    }

    /// What is to be said of restoring it.
    ///
    /// # Errors
    /// Why it is not restored.
    pub fn warning(&self, unusable_too: bool) -> Result<Option<String>, String> {
        let name = &self.name;
        match &self.worth {
            Worth::Consistent => Ok(None),
            Worth::Crash => Ok(Some(format!(
                "{name} was taken without hooks: it is as after a power cut"
            ))),
            Worth::Unknown => Ok(Some(format!(
                "{name} says nothing of itself: it may be as after a power cut, or worse"
            ))),
            Worth::Unusable(why) if unusable_too => {
                Ok(Some(format!("{name} is not consistent: {why}")))
            }
            Worth::Unusable(why) => Err(format!(
                "{name} is not consistent: {why}; --unusable-too restores it all the same"
            )),
            Worth::NotReady(None) => Err(format!("{name} is not ready")),
            Worth::NotReady(Some(why)) => Err(format!("{name} is not ready: {why}")),
        }
    }
}

/// What somebody wants of a claim, where it is not to be as the original.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    pub class: Option<&'a str>,
    pub size: Option<&'a str>,
    pub modes: &'a [String],
}

/// What a claim asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub class: Option<String>,
    pub size: String,
    pub modes: Vec<String>,
    /// `Filesystem` or `Block`.
    pub mode: Option<String>,
}

impl Claim {
    /// As asked for, else as the claim that it was taken of, else as the snapshot says.
    ///
    /// # Errors
    /// What has to be asked for, and is not.
    pub fn of(source: &Source, original: Option<&Value>, asked: Asked<'_>) -> Result<Self, String> {
        let none = Value::Null;
        let spec = original.map_or(&none, |it| &it["spec"]);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let least = source.size.as_deref();
        let original_size = spec["resources"]["requests"]["storage"].as_str();
        let size = match (asked.size, original_size, least) {
            (Some(size), _, Some(least)) if size::less(size, least) => {
                return Err(format!("{} needs {least}, and {size} is less", source.name));
            }
            (None, Some(size), Some(least)) if size::less(size, least) => least,
            (Some(size), ..) | (None, Some(size), _) | (None, None, Some(size)) => size,
            (None, None, None) => {
                return Err(format!(
                    "nobody says how big {} is: say --size",
                    source.name
                ));
            }
        };
        let modes = spec["accessModes"].as_array().into_iter().flatten();
        let modes: Vec<String> = modes.filter_map(text).collect();
        Ok(Self {
            class: asked
                .class
                .map(str::to_owned)
                .or_else(|| text(&spec["storageClassName"])),
            size: size.to_owned(),
            modes: match (asked.modes, modes) {
                ([], modes) if modes.is_empty() => vec!["ReadWriteOnce".to_owned()],
                ([], modes) => modes,
                (asked, _) => asked.to_vec(),
            },
            mode: text(&spec["volumeMode"]),
        })
    }

    /// A claim of a namespace that is filled from a snapshot there.
    #[must_use]
    pub fn object(&self, namespace: &str, name: &str, snapshot: &str, from: &str) -> Value {
        let Self {
            class,
            size,
            modes,
            mode,
        } = self;
        let mut claim = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": namespace, "annotations": {RESTORED_FROM: from}},
            "spec": {
                "accessModes": modes,
                "resources": {"requests": {"storage": size}},
                "dataSource": {"apiGroup": csi::GROUP, "kind": "VolumeSnapshot", "name": snapshot},
            },
        });
        for (key, value) in [("storageClassName", class), ("volumeMode", mode)] {
            if let Some(value) = value {
                claim["spec"][key] = value.as_str().into();
            }
        }
        claim
    }
}

/// What a claim is called that is made from a snapshot.
#[must_use]
pub fn name(snapshot: &str) -> String {
    let room = LONGEST_NAME - RESTORED.len();
    let short = &snapshot[..snapshot.len().min(room)];
    format!("{}{RESTORED}", short.trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests;
