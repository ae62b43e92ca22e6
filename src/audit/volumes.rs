//! How the volumes of a database are saved, by what its pod says and what the backups do.

use super::{
    backups::{Backup, Backups},
    view::{Kind, Seen},
};
use crate::{
    json::List,
    pod::{Container, PodView},
    recognise::{Engine, Spread},
    velero::{BACKUP_VOLUMES, BACKUP_VOLUMES_EXCLUDES, backup_volumes},
};

/// A volume of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    pub name: String,
    pub holds: Holds,
    pub saved: Saved,
    /// Whether what is in it is gone when the pod is.
    pub fleeting: bool,
    /// Whether it is one of several claims with files of the same database, whose snapshots are seconds apart.
    pub apart: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Data,
    /// What the hook writes.
    Dump,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// File by file, while the database writes.
    FileCopy,
    /// All of one moment, where the storage can.
    Snapshot,
    Not,
    /// Nobody knows the backups.
    Unknown,
}

impl Holds {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Dump => "dump",
        }
    }
}

impl Saved {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FileCopy => "file_copy",
            Self::Snapshot => "snapshot",
            Self::Not => "not",
            Self::Unknown => "unknown",
        }
    }
}

/// The volumes of the container: those where its data lie, and of those listed the ones that the hook fills.
pub fn volumes(
    pod: &PodView<'_>,
    seen: &Seen<'_>,
    container: &Container<'_>,
    engine: Option<&Engine>,
    listed: &[&str],
    spread: Option<&Spread>,
    backups: Backups<'_>,
) -> Vec<Volume> {
    let claims = spread.iter().flat_map(|it| &it.claims);
    let apart: Vec<&str> = claims.map(|it| &*it.volume).collect();
    let mounts: Vec<_> = container
        .volume_mounts
        .iter()
        .flat_map(List::iter)
        .collect();
    let volume_of = |name: &str| seen.volumes().iter().find(|it| *it.name == *name);
    let kind_of = |name: &str| volume_of(name).map(super::view::Volume::kind);
    let keeps = |name: &str| !matches!(kind_of(name), None | Some(Kind::Objects));
    let at_home = |path: &str| engine.is_some_and(|engine| engine.keeps_data_at(path));
    let candidates: Vec<_> = mounts
        .iter()
        .filter(|mount| mount.read_only != Some(true) && keeps(&mount.name))
        .collect();
    let known: Vec<&str> = candidates
        .iter()
        .filter(|mount| at_home(&mount.mount_path))
        .map(|mount| &*mount.name)
        .collect();
    let claims = || {
        let claims = candidates
            .iter()
            .filter(|mount| kind_of(&mount.name) == Some(Kind::Claim))
            .filter(|mount| !listed.contains(&&*mount.name));
        claims.map(|mount| &*mount.name).collect()
    };
    // Where no volume is at the usual place, the data lie in a claim.
    let mut data: Vec<&str> = if known.is_empty() { claims() } else { known };
    data.extend(&apart);
    data.sort_unstable();
    data.dedup();
    let dumps = listed.iter().filter(|name| !data.contains(name));
    let dumps: Vec<_> = dumps.map(|name| (*name, Holds::Dump)).collect();
    let data = data.into_iter().map(|name| (name, Holds::Data));
    let all = dumps.into_iter().chain(data).map(|(name, holds)| {
        let kind = kind_of(name).unwrap_or(Kind::EmptyDir);
        Volume {
            name: name.to_owned(),
            holds,
            saved: saved(pod, name, kind, holds, backups),
            fleeting: volume_of(name).is_none_or(super::view::Volume::is_fleeting),
            apart: holds == Holds::Data && apart.contains(&name),
        }
    });
    all.collect()
}

/// The best that any of the backups makes of a volume: a dump is copied, data are rather snapshotted.
fn saved(pod: &PodView<'_>, name: &str, kind: Kind, holds: Holds, backups: Backups<'_>) -> Saved {
    match backups {
        Backups::Known(all) => {
            let ways = all.iter().map(|backup| way(pod, name, kind, Some(backup)));
            let worth = |way: &Saved| match (way, holds) {
                (Saved::Snapshot, Holds::Data) | (Saved::FileCopy, Holds::Dump) => 2,
                (Saved::Snapshot | Saved::FileCopy, _) => 1,
                (Saved::Not | Saved::Unknown, _) => 0,
            };
            ways.max_by_key(worth).unwrap_or(Saved::Not)
        }
        Backups::NoVelero | Backups::Unknown => match way(pod, name, kind, None) {
            Saved::Snapshot => Saved::Unknown,
            known => known,
        },
    }
}

fn way(pod: &PodView<'_>, name: &str, kind: Kind, backup: Option<&Backup>) -> Saved {
    let listed = |key| {
        let annotation = pod.annotation(key).unwrap_or_default();
        backup_volumes(annotation).any(|it| it == name)
    };
    let by_default = backup.and_then(|it| it.copies_by_default) == Some(true);
    let copied = if by_default {
        !listed(BACKUP_VOLUMES_EXCLUDES)
    } else {
        listed(BACKUP_VOLUMES)
    };
    let snapshots = backup.and_then(|it| it.takes_snapshots) != Some(false);
    match kind {
        Kind::Objects | Kind::HostPath => Saved::Not,
        _ if copied => Saved::FileCopy,
        Kind::Claim if snapshots => Saved::Snapshot,
        Kind::Claim | Kind::EmptyDir | Kind::Other => Saved::Not,
    }
}
