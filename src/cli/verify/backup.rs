//! Which backup is verified.

use anyhow::{Context as _, bail};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use serde_json::Value;

use super::Args;
use crate::{
    kubernetes::{ListError, Objects, list, object},
    velero::{
        objects::{Kind, path},
        verification::SCHEDULE_LABEL,
    },
};

pub struct Backup {
    pub name: String,
    /// No data in it is older than this.
    pub taken: Timestamp,
    pub note: Option<String>,
}

/// The backup that is named, or the newest completed one of the schedule.
pub async fn chosen(client: &Client, args: &Args) -> anyhow::Result<Backup> {
    let namespace = args.velero_namespace.as_str();
    let backups = path(namespace, Kind::Backup.plural());
    let found = match (&args.backup, &args.schedule) {
        (Some(name), _) => match object(client, &backups, name).await {
            Ok(text) => serde_json::from_str(&text).context("the API server sent no object")?,
            Err(ListError::Absent { .. }) => bail!("there is no backup {name} in {namespace}"),
            Err(error) => return Err(error.into()),
        },
        (None, schedule) => {
            let schedule = schedule.as_deref().unwrap_or_default();
            let labels = format!("{SCHEDULE_LABEL}={schedule}");
            let objects = Objects {
                path: &backups,
                labels: Some(&labels),
                metadata_only: false,
            };
            let all = list(client, objects, |text| {
                serde_json::from_str::<Value>(text).unwrap_or_default()
            });
            newest(all.await?).with_context(|| {
                format!("schedule {schedule} has no completed backup in {namespace}")
            })?
        }
    };
    read(&found)
}

fn newest(backups: Vec<Value>) -> Option<Value> {
    let complete = backups.into_iter();
    let complete = complete.filter(|it| it["status"]["phase"] == "Completed");
    complete.max_by_key(taken)
}

/// When Velero began with it.
fn taken(backup: &Value) -> Option<Timestamp> {
    backup["status"]["startTimestamp"].as_str()?.parse().ok()
}

fn read(backup: &Value) -> anyhow::Result<Backup> {
    let name = backup["metadata"]["name"].as_str().unwrap_or_default();
    let phase = backup["status"]["phase"].as_str().unwrap_or("New");
    if !["Completed", "PartiallyFailed"].contains(&phase) {
        bail!("backup {name} is {phase}: nothing can be restored from it");
    }
    let taken =
        taken(backup).with_context(|| format!("backup {name} does not say when it began"))?;
    let partly = phase != "Completed";
    Ok(Backup {
        name: name.to_owned(),
        taken,
        note: partly.then(|| format!("the backup is {phase}: see quiescent results backup/{name}")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Value, newest, read};

    fn backup(name: &str, phase: &str, started: &str) -> Value {
        json!({"metadata": {"name": name}, "status": {"phase": phase, "startTimestamp": started}})
    }

    #[test]
    fn of_a_schedule_the_newest_completed_backup_is_taken() {
        let backups = vec![
            backup("a", "Completed", "2026-11-20T03:00:00Z"),
            backup("b", "Completed", "2026-11-21T03:00:00Z"),
            backup("c", "PartiallyFailed", "2026-11-22T03:00:00Z"),
            backup("d", "InProgress", "2026-11-22T04:00:00Z"),
        ];
        assert_eq!(newest(backups).unwrap()["metadata"]["name"], "b");
        assert_eq!(newest(vec![]), None);
    }

    #[test]
    fn what_is_not_done_cannot_be_restored() {
        let of = |phase| read(&backup("a", phase, "2026-11-20T03:00:00Z"));
        assert!(of("Completed").unwrap().note.is_none());
        assert!(of("PartiallyFailed").unwrap().note.is_some());
        assert!(of("InProgress").is_err());
        assert!(of("Failed").is_err());
    }
}
