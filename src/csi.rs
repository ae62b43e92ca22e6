//! Objects of `snapshot.storage.k8s.io/v1`: the only place that spells them.

pub mod groups;

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The API group of snapshots and their version.
pub const GROUP: &str = "snapshot.storage.k8s.io";
pub const VERSION: &str = "v1";

/// What ties a VolumeSnapshot to the snapshot of a storage.
pub const CONTENTS: &str = "volumesnapshotcontents.snapshot.storage.k8s.io";

/// What snapshots consist of.
pub const RESOURCES: [&str; 3] = [
    "volumesnapshots.snapshot.storage.k8s.io",
    CONTENTS,
    "volumesnapshotclasses.snapshot.storage.k8s.io",
];

/// A class with this annotation is for claims of its driver that name none.
const IS_DEFAULT: &str = "snapshot.storage.kubernetes.io/is-default-class";

/// A class with this annotation, `true`, takes a snapshot by copying the living files one after the other;
/// with `false` it does not, whatever its driver is known for.
const COPIES: &str = "quiescent.dev/copies-files";

/// Drivers that do that by themselves: the first two pack the folder into an archive, the third clones it, and
/// its makers say of folders that this is not atomic.
const COPIERS: [&str; 3] = ["hostpath.csi.k8s.io", "nfs.csi.k8s.io", "csi.juicefs.com"];

/// What we write on snapshots.
pub mod labels {
    /// The name of the set of snapshots that were taken together; a label.
    pub const SET: &str = "quiescent.dev/snapshot";
    /// `true` where that is known, `false` everywhere else; a label.
    pub const CONSISTENT: &str = "quiescent.dev/consistent";
    /// What was asked for.
    pub const TARGET: &str = "quiescent.dev/target";
    /// The policies whose hooks ran.
    pub const POLICY: &str = "quiescent.dev/policy";
    /// How long something may have been held.
    pub const HELD: &str = "quiescent.dev/held-milliseconds";
    /// Why it is not consistent.
    pub const REASON: &str = "quiescent.dev/reason";
    /// What the hooks of the library said of the data.
    pub const SAID: &str = "quiescent.dev/result";
}

/// Where the VolumeSnapshots of a namespace are.
#[must_use]
pub fn snapshots(namespace: &str) -> String {
    format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/volumesnapshots")
}

#[must_use]
pub fn classes() -> String {
    format!("/apis/{GROUP}/{VERSION}/volumesnapshotclasses")
}

#[must_use]
pub fn contents() -> String {
    format!("/apis/{GROUP}/{VERSION}/volumesnapshotcontents")
}

/// A VolumeSnapshot that is to be made.
#[derive(Clone, Debug)]
pub struct Wanted<'w> {
    pub namespace: &'w str,
    pub name: &'w str,
    pub claim: &'w str,
    pub class: &'w str,
    pub set: &'w str,
    pub target: &'w str,
}

impl Wanted<'_> {
    #[must_use]
    pub fn object(&self) -> Value {
        let Self {
            namespace,
            name,
            claim,
            class,
            set,
            target,
        } = self;
        json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "VolumeSnapshot",
            "metadata": unfinished(namespace, name, set, target),
            "spec": {
                "volumeSnapshotClassName": class,
                "source": {"persistentVolumeClaimName": claim},
            },
        })
    }
}

/// The metadata of what is made. Until more is known it is called inconsistent: whoever makes it may not
/// live to say so.
fn unfinished(namespace: &str, name: &str, set: &str, target: &str) -> Value {
    json!({
        "name": name,
        "namespace": namespace,
        "labels": {labels::SET: set, labels::CONSISTENT: "false"},
        "annotations": {
            labels::TARGET: target,
            labels::REASON: "it was not finished",
        },
    })
}

/// What is written on a snapshot of a set when all is known, as a merge patch.
#[must_use]
pub fn marks(set: &str, consistent: bool, annotations: &BTreeMap<&str, Option<String>>) -> Value {
    json!({"metadata": {
        "labels": {labels::SET: set, labels::CONSISTENT: consistent.to_string()},
        "annotations": annotations,
    }})
}

/// What a VolumeSnapshot says of itself, or a group of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub content: Option<String>,
    /// In whole seconds, as RFC 3339.
    pub created: Option<String>,
    pub ready: bool,
    pub error: Option<String>,
}

#[must_use]
pub fn status(snapshot: &Value) -> Status {
    let status = &snapshot["status"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Status {
        content: text(&status["boundVolumeSnapshotContentName"])
            .or_else(|| text(&status["boundVolumeGroupSnapshotContentName"])),
        created: text(&status["creationTime"]),
        ready: status["readyToUse"] == true,
        error: text(&status["error"]["message"]),
    }
}

/// When a VolumeSnapshotContent was cut, in nanoseconds since 1970 by the clock of its storage.
#[must_use]
pub fn taken(content: &Value) -> Option<i64> {
    content["status"]["creationTime"].as_i64()
}

/// The driver of a PersistentVolume.
#[must_use]
pub fn driver(volume: &Value) -> Option<&str> {
    volume["spec"]["csi"]["driver"].as_str()
}

/// A VolumeSnapshotClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    pub name: String,
    pub driver: String,
    pub is_default: bool,
    /// Whether its snapshots are of no one moment, as far as is known.
    pub copies_files: bool,
}

#[must_use]
pub fn class(object: &Value) -> Option<Class> {
    let annotations = &object["metadata"]["annotations"];
    let driver = object["driver"].as_str()?;
    Some(Class {
        name: object["metadata"]["name"].as_str()?.to_owned(),
        driver: driver.to_owned(),
        is_default: annotations[IS_DEFAULT] == "true",
        copies_files: match annotations[COPIES].as_str() {
            Some("true") => true,
            Some("false") => false,
            _ => COPIERS.contains(&driver),
        },
    })
}

/// The class for volumes of a driver: the one that was named, else its default, else its only one.
///
/// # Errors
/// Why there is none, and what to name.
pub fn class_for<'c>(
    classes: &'c [Class],
    driver: &str,
    named: Option<&str>,
) -> Result<&'c Class, String> {
    if let Some(named) = named {
        let Some(class) = classes.iter().find(|it| it.name == named) else {
            let all: Vec<&str> = classes.iter().map(|it| it.name.as_str()).collect();
            return Err(format!(
                "there is no VolumeSnapshotClass {named:?}; there are: {}",
                all.join(", ")
            ));
        };
        if class.driver != driver {
            let of = &class.driver;
            return Err(format!(
                "VolumeSnapshotClass {named} is of {of}, and the volume of {driver}"
            ));
        }
        return Ok(class);
    }
    let all: Vec<&Class> = classes.iter().filter(|it| it.driver == driver).collect();
    let defaults: Vec<&Class> = all.iter().copied().filter(|it| it.is_default).collect();
    let fit = if defaults.is_empty() { all } else { defaults };
    match fit[..] {
        [class] => Ok(class),
        [] => Err(format!("there is no VolumeSnapshotClass of {driver}")),
        _ => {
            let several: Vec<&str> = fit.iter().map(|it| it.name.as_str()).collect();
            let several = several.join(", ");
            Err(format!(
                "several VolumeSnapshotClasses are of {driver}: name one with --snapshot-class: {several}"
            ))
        }
    }
}

/// One of our snapshots, as a list of them shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub name: String,
    pub set: String,
    pub target: String,
    pub consistent: bool,
    /// As the API server wrote it: texts of one form, which sort by time.
    pub created: String,
}

#[must_use]
pub fn kept(object: &Value) -> Option<Kept> {
    let metadata = &object["metadata"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Kept {
        name: text(&metadata["name"])?,
        set: text(&metadata["labels"][labels::SET])?,
        target: text(&metadata["annotations"][labels::TARGET])?,
        consistent: metadata["labels"][labels::CONSISTENT] == "true",
        created: text(&metadata["creationTimestamp"])?,
    })
}

/// The snapshots of a target that are older than so many consistent sets of it, the oldest first.
#[must_use]
pub fn outlived<'k>(all: &'k [Kept], target: &str, keep: usize) -> Vec<&'k Kept> {
    let mut own: Vec<&Kept> = all.iter().filter(|it| it.target == target).collect();
    own.sort_by(|one, other| (&one.created, &one.name).cmp(&(&other.created, &other.name)));
    let mut sets: Vec<&str> = Vec::new();
    for it in own.iter().rev().filter(|it| it.consistent) {
        if !sets.contains(&it.set.as_str()) {
            sets.push(&it.set);
        }
    }
    let Some(last) = keep.checked_sub(1).and_then(|at| sets.get(at)) else {
        return Vec::new();
    };
    let oldest = own
        .iter()
        .filter(|it| it.set == *last)
        .map(|it| &it.created)
        .min();
    let kept = &sets[..keep];
    own.iter()
        .copied()
        .filter(|it| !kept.contains(&it.set.as_str()) && Some(&it.created) < oldest)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, driver: &str, is_default: bool) -> Class {
        Class {
            name: name.to_owned(),
            driver: driver.to_owned(),
            is_default,
            copies_files: false,
        }
    }

    #[test]
    fn a_class_that_copies_is_known_by_its_driver_or_says_so() {
        let copies = |driver: &str, says: Option<&str>| {
            let annotations = says.map_or(json!({}), |it| json!({COPIES: it}));
            let metadata = json!({"name": "a", "annotations": annotations});
            let class = class(&json!({"metadata": metadata, "driver": driver}));
            class.unwrap().copies_files
        };
        assert!(copies("nfs.csi.k8s.io", None) && !copies("nfs.csi.k8s.io", Some("false")));
        assert!(!copies("example.com", None) && copies("example.com", Some("true")));
        assert!(!copies("example.com", Some("yes")));
    }

    #[test]
    fn a_class_is_named_or_default_or_the_only_one() {
        let classes = [
            of("fast", "a", false),
            of("safe", "a", true),
            of("one", "b", false),
            of("x", "c", true),
            of("y", "c", true),
        ];
        let name = |driver, named| class_for(&classes, driver, named).map(|it| it.name.as_str());
        assert_eq!(name("a", None), Ok("safe"));
        assert_eq!(name("a", Some("fast")), Ok("fast"));
        assert_eq!(name("b", None), Ok("one"));
        for (driver, named, why) in [
            ("c", None, "name one with --snapshot-class: x, y"),
            ("d", None, "no VolumeSnapshotClass of d"),
            ("a", Some("one"), "is of b, and the volume of a"),
            ("a", Some("on"), "there are: fast, safe"),
        ] {
            let said = name(driver, named).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn what_is_older_than_the_sets_to_keep_goes() {
        let of = |set: &str, target: &str, consistent| Kept {
            name: format!("data-{set}"),
            set: set.to_owned(),
            target: target.to_owned(),
            consistent,
            created: format!("2026-01-0{set}T00:00:00Z"),
        };
        let all = [
            of("5", "pod/a", true),
            of("1", "pod/a", true),
            of("2", "pod/a", false),
            of("3", "pod/a", true),
            of("4", "pod/a", false),
            of("1", "pod/b", true),
        ];
        let gone = |keep| {
            let gone = outlived(&all, "pod/a", keep).into_iter();
            gone.map(|it| it.set.as_str()).collect::<Vec<_>>().join("")
        };
        assert_eq!(gone(1), "1234");
        assert_eq!(gone(2), "12");
        assert_eq!(gone(3), "");
        assert_eq!(gone(9), "");
        assert_eq!(gone(0), "");
    }

    #[test]
    fn a_status_is_what_is_there() {
        let bound = json!({"status": {
            "boundVolumeSnapshotContentName": "snapcontent-1", "creationTime": "2026-01-01T00:00:00Z",
            "readyToUse": false, "error": {"message": "no room"},
        }});
        let Status {
            content,
            created,
            ready,
            error,
        } = status(&bound);
        assert_eq!(content.as_deref(), Some("snapcontent-1"));
        assert_eq!(created.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert!(!ready);
        assert_eq!(error.as_deref(), Some("no room"));
        assert_eq!(status(&json!({})), Status::default());
    }
}
