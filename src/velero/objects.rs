//! Where Velero's objects are in the API, and how it is asked for a file of a backup or restore.
use serde_json::{Value, json};

/// What Velero keeps results of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Backup,
    Restore,
}

/// A file that it keeps in its object storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    Log,
    Volumes,
    /// All objects of a backup, as an archive.
    Contents,
}

impl Kind {
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Backup => "backups",
            Self::Restore => "restores",
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "Backup",
            Self::Restore => "Restore",
        }
    }

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
        }
    }
}

/// Whether Velero has done all that it will do for a backup or restore in this phase.
#[must_use]
pub fn is_over(phase: &str) -> bool {
    ["Completed", "PartiallyFailed", "Failed", "FailedValidation"].contains(&phase)
}

/// The phase of a Backup in which hooks run.
pub const IN_PROGRESS: &str = "InProgress";

/// The path of its objects of one plural in all namespaces.
#[must_use]
pub fn everywhere(plural: &str) -> String {
    format!("/apis/velero.io/v1/{plural}")
}

/// The path of its objects of one plural in its namespace.
#[must_use]
pub fn path(namespace: &str, plural: &str) -> String {
    format!("/apis/velero.io/v1/namespaces/{namespace}/{plural}")
}

/// Where in an archive the objects of one plural and one namespace are; those without a namespace are in
/// that of the cluster.
#[must_use]
pub fn in_archive(path: &str) -> Option<(&str, Option<&str>)> {
    let rest = path.strip_prefix("./").unwrap_or(path);
    let mut parts = rest.strip_prefix("resources/")?.split('/');
    let plural = parts.next()?;
    let scope = parts.next()?;
    let place = parts.next()?;
    match (scope, parts.next(), parts.next()) {
        ("cluster", None, None) => place.strip_suffix(".json").map(|_| (plural, None)),
        ("namespaces", Some(file), None) => {
            file.strip_suffix(".json").map(|_| (plural, Some(place)))
        }
        // The same objects stand again below each of their versions.
        _ => None,
    }
}

/// The labels of its server's pod, and the container in it.
pub const SERVER_LABELS: &str = "deploy=velero";
pub const SERVER_CONTAINER: &str = "velero";

/// The plural of the objects that each copy files back into one volume of a pod.
pub const COPIES_BACK: &str = "podvolumerestores";

/// The plural of the requests for files.
pub const DOWNLOAD_REQUESTS: &str = "downloadrequests";

/// The request for a file. Velero writes into its status where the file is.
#[must_use]
pub fn download_request(kind: Kind, name: &str, file: File) -> Value {
    let what = match (kind, file) {
        (Kind::Backup, File::Log) => "BackupLog",
        (Kind::Restore, File::Log) => "RestoreLog",
        (Kind::Backup, File::Volumes) => "BackupVolumeInfos",
        (Kind::Restore, File::Volumes) => "RestoreVolumeInfo",
        (Kind::Backup | Kind::Restore, File::Contents) => "BackupContents",
    };
    json!({
        "apiVersion": "velero.io/v1",
        "kind": "DownloadRequest",
        "metadata": {"generateName": "quiescent-results-"},
        "spec": {"target": {"kind": what, "name": name}},
    })
}

#[cfg(test)]
mod tests {
    use super::in_archive;

    #[test]
    fn objects_have_their_place_in_an_archive() {
        for (path, place) in [
            (
                "resources/pods/namespaces/shop/pg-0.json",
                Some(("pods", Some("shop"))),
            ),
            (
                "resources/namespaces/cluster/shop.json",
                Some(("namespaces", None)),
            ),
            (
                "resources/pods/v1-preferredversion/namespaces/shop/pg-0.json",
                None,
            ),
            ("metadata/version", None),
            ("resources/pods/namespaces/shop", None),
        ] {
            assert_eq!(in_archive(path), place, "{path}");
        }
    }
}
