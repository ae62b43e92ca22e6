//! Velero's Schedules, and how the last backup of each ended.

use serde_json::Value;

use super::{
    Check, Finding, Observed, Seen, Told,
    object::{count, list, name, some},
    velero::server,
};

/// The label of a Backup that a Schedule started.
const OF_SCHEDULE: &str = "velero.io/schedule-name";

/// What Velero says of a backup that has not ended.
const UNDER_WAY: [&str; 5] = [
    "",
    "New",
    "InProgress",
    "WaitingForPluginOperations",
    "Finalizing",
];

pub fn judge(observed: &Observed) -> Vec<Told> {
    let without_velero = observed
        .velero
        .known()
        .is_some_and(|all| server(all).is_none());
    let schedules = match &observed.schedules {
        Seen::Known(all) => all,
        // It was said before.
        _ if without_velero => return Vec::new(),
        unseen => return vec![Told::unseen(Check::Schedules, "Schedules", unseen)],
    };
    if without_velero && schedules.is_empty() {
        return Vec::new();
    }
    if schedules.is_empty() {
        return vec![Told::finding(
            Finding::NoSchedule,
            "there is none: nobody starts a backup",
            "velero schedule create nightly --schedule '0 1 * * *'",
        )];
    }
    let mut told = Vec::new();
    let paused: Vec<&str> = schedules
        .iter()
        .filter(|it| it["spec"]["paused"] == true)
        .map(name)
        .collect();
    if !paused.is_empty() {
        told.push(Told::finding(
            Finding::SchedulePaused,
            format!("{} paused", some(paused.iter().copied())),
            format!("velero schedule unpause {}", paused.join(" ")),
        ));
    }
    for schedule in schedules {
        if schedule["status"]["phase"] == "FailedValidation" {
            let why = list(&schedule["status"]["validationErrors"]).find_map(Value::as_str);
            told.push(Told::finding(
                Finding::ScheduleInvalid,
                format!(
                    "Velero does not take {}: {}",
                    name(schedule),
                    why.unwrap_or("it does not say why")
                ),
                format!("velero schedule describe {}", name(schedule)),
            ));
        }
    }
    let backups = match &observed.backups {
        Seen::Known(all) => all,
        unseen => {
            told.push(Told::unseen(Check::Schedules, "Backups", unseen));
            return told;
        }
    };
    let last: Vec<&Value> = schedules
        .iter()
        .filter_map(|it| last_of(name(it), backups))
        .collect();
    for backup in &last {
        told.extend(ended(backup));
    }
    if told.is_empty() {
        let says = match last.len() {
            0 => format!(
                "{}, and no backup of them has ended yet",
                count(schedules.len(), "Schedule")
            ),
            1 => format!(
                "{}, the last backup completed",
                count(schedules.len(), "Schedule")
            ),
            number => format!(
                "{}, the last {number} backups completed",
                count(schedules.len(), "Schedule")
            ),
        };
        told.push(Told::fine(Check::Schedules, says));
    }
    told
}

fn phase(backup: &Value) -> &str {
    backup["status"]["phase"].as_str().unwrap_or_default()
}

/// The one that began last of those that have ended.
fn last_of<'a>(schedule: &str, backups: &'a [Value]) -> Option<&'a Value> {
    let began = |backup: &Value| {
        let began = backup["status"]["startTimestamp"].as_str();
        // Times of one form, all in UTC, are in order as texts.
        began.unwrap_or_default().to_owned()
    };
    let of_it = backups
        .iter()
        .filter(|it| it["metadata"]["labels"][OF_SCHEDULE] == schedule);
    let over = of_it.filter(|it| !UNDER_WAY.contains(&phase(it)));
    over.max_by_key(|it| began(it))
}

fn ended(backup: &Value) -> Option<Told> {
    let of = backup["metadata"]["labels"][OF_SCHEDULE]
        .as_str()
        .unwrap_or_default();
    let who = name(backup);
    let status = &backup["status"];
    let failed = status["hookStatus"]["hooksFailed"].as_u64().unwrap_or(0);
    let attempted = status["hookStatus"]["hooksAttempted"].as_u64().unwrap_or(0);
    if failed > 0 {
        return Some(Told::finding(
            Finding::HooksFailed,
            format!("{failed} of {attempted} hooks failed in {who}, the last backup of {of}"),
            format!("velero backup logs {who} | grep -i hook"),
        ));
    }
    let phase = phase(backup);
    phase.contains("Failed").then(|| {
        Told::finding(
            Finding::BackupFailed,
            format!("{who}, the last backup of {of}, is {phase}"),
            format!("velero backup describe {who} --details"),
        )
    })
}
