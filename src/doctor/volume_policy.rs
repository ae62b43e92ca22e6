//! Velero's volume policies: whether one keeps the volume with a dump, an emptyDir, out of the backup.
//!
//! The first that matches decides, before any annotation does.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Check, Finding, Observed, Seen, Told,
    object::{list, name, some, texts},
};
use crate::yaml;

/// The ConfigMaps that Schedules name.
#[must_use]
pub fn named(schedules: &[Value]) -> BTreeSet<String> {
    schedules
        .iter()
        .filter_map(policy_of)
        .map(str::to_owned)
        .collect()
}

fn policy_of(schedule: &Value) -> Option<&str> {
    let policy = &schedule["spec"]["template"]["resourcePolicy"];
    let kind = policy["kind"].as_str()?;
    let name = policy["name"].as_str()?;
    kind.eq_ignore_ascii_case("configmap").then_some(name)
}

/// What becomes of an emptyDir.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// No policy says anything, or one that it is to be copied.
    AsAnnotated,
    /// By this action.
    Dropped(String),
}

pub fn judge(observed: &Observed) -> Vec<Told> {
    let Some(schedules) = observed.schedules.known() else {
        return Vec::new();
    };
    let namespace = &observed.names.velero_namespace;
    let mut told = Vec::new();
    for (config_map, seen) in &observed.volume_policies {
        let users = schedules
            .iter()
            .filter(|it| policy_of(it) == Some(config_map));
        let users = some(users.map(name));
        told.push(match seen {
            Seen::Known(object) => match fate(object) {
                Ok(Fate::AsAnnotated) => Told::fine(
                    Check::VolumePolicy,
                    format!("{namespace}/{config_map} of {users} leaves the volume with the dump alone"),
                ),
                Ok(Fate::Dropped(action)) => Told::finding(
                    Finding::DumpDropped,
                    format!("{namespace}/{config_map} ({action} of emptyDir) drops quiescent-dump in {users}"),
                    format!("kubectl -n {namespace} edit configmap {config_map}: as the first policy {{conditions: {{volumeTypes: [emptyDir]}}, action: {{type: fs-backup}}}}"),
                ),
                Err(why) => Told::finding(
                    Finding::VolumePolicyUnreadable,
                    format!("{namespace}/{config_map} of {users}: {why}"),
                    format!("kubectl -n {namespace} get configmap {config_map} -o yaml"),
                ),
            },
            Seen::Absent => Told::finding(
                Finding::VolumePolicyUnreadable,
                format!("{users} names the volume policy {namespace}/{config_map}, which is not there"),
                format!("kubectl -n {namespace} create configmap {config_map} --from-file policy.yaml"),
            ),
            unseen => Told::unseen(Check::VolumePolicy, &format!("the volume policy {config_map}"), unseen),
        });
    }
    told
}

fn fate(config_map: &Value) -> Result<Fate, String> {
    let data = config_map["data"].as_object();
    let mut texts_of = data.into_iter().flat_map(serde_json::Map::values);
    let (Some(text), None) = (texts_of.next().and_then(Value::as_str), texts_of.next()) else {
        return Err("it must have exactly one key".to_owned());
    };
    let documents = yaml::parse(text).map_err(|_| "it is no YAML".to_owned())?;
    let root = documents.first().and_then(|it| it.root.as_ref());
    let Some(written) = root.map(yaml::Node::to_json) else {
        return Err("it is empty".to_owned());
    };
    let mut policies = list(&written["volumePolicies"]);
    let first = policies.find(|it| means_empty_dirs(&it["conditions"]));
    let action = first.and_then(|it| it["action"]["type"].as_str());
    Ok(match action {
        None | Some("fs-backup") => Fate::AsAnnotated,
        Some(action) => Fate::Dropped(action.to_owned()),
    })
}

/// Whether the conditions hold for an emptyDir: it has neither a claim, a class nor a capacity.
fn means_empty_dirs(conditions: &Value) -> bool {
    let Some(conditions) = conditions.as_object() else {
        return true;
    };
    conditions
        .iter()
        .all(|(condition, wanted)| match condition.as_str() {
            "volumeTypes" => texts(wanted).any(|it| it == "emptyDir"),
            "capacity" => {
                let least = wanted.as_str().and_then(|it| it.split(',').next());
                least.is_none_or(|it| matches!(it.trim(), "" | "0" | "0Gi" | "0Mi" | "0Ki"))
            }
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(policies: &str) -> Fate {
        let text = format!("version: v1\nvolumePolicies: {policies}\n");
        fate(&json!({"data": {"policy.yaml": text}})).unwrap()
    }

    #[test]
    fn the_first_policy_that_means_an_empty_dir_decides() {
        let dropped = |action: &str| Fate::Dropped(action.to_owned());
        for (policies, fate) in [
            ("[]", Fate::AsAnnotated),
            (
                "[{conditions: {volumeTypes: [emptyDir]}, action: {type: skip}}]",
                dropped("skip"),
            ),
            (
                "[{conditions: {volumeTypes: [emptydir]}, action: {type: skip}}]",
                Fate::AsAnnotated,
            ),
            (
                "[{conditions: {storageClass: [gp2]}, action: {type: skip}}]",
                Fate::AsAnnotated,
            ),
            (
                "[{conditions: {capacity: '10Gi,'}, action: {type: skip}}]",
                Fate::AsAnnotated,
            ),
            (
                "[{conditions: {capacity: '0,10Gi'}, action: {type: skip}}]",
                dropped("skip"),
            ),
            (
                "[{conditions: {}, action: {type: snapshot}}]",
                dropped("snapshot"),
            ),
            (
                "[{conditions: {volumeTypes: [emptyDir]}, action: {type: fs-backup}}, {conditions: {}, action: {type: skip}}]",
                Fate::AsAnnotated,
            ),
        ] {
            assert_eq!(check(policies), fate, "{policies}");
        }
    }

    #[test]
    fn what_velero_does_not_read_is_said() {
        let two = json!({"data": {"a": "version: v1", "b": "version: v1"}});
        assert_eq!(fate(&two), Err("it must have exactly one key".to_owned()));
        assert_eq!(
            fate(&json!({"data": {"a": "a: [1"}})),
            Err("it is no YAML".to_owned())
        );
    }
}
