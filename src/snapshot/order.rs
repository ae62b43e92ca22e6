//! In which order pods hold: an application before its database, copies before what they copy.

use serde_json::Value;

/// A label or annotation of a pod: who is lower holds first, and is let go last. An integer, 0 if it is
/// not there; one below 0 fits into annotations alone.
pub const PRIORITY: &str = "quiescent.dev/priority";

/// Where operators and charts say what a pod is: `CloudNativePG`, Patroni and others, Zalando, Crunchy,
/// Bitnami.
const ROLES: [&str; 5] = [
    "cnpg.io/instanceRole",
    "role",
    "spilo-role",
    "postgres-operator.crunchydata.com/role",
    "app.kubernetes.io/component",
];

const REPLICAS: [&str; 6] = [
    "replica",
    "secondary",
    "slave",
    "standby",
    "follower",
    "read",
];

const PRIMARIES: [&str; 4] = ["primary", "master", "leader", "standby_leader"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Replica,
    Unknown,
    Primary,
}

/// The place of a pod among those that hold together, the first one first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    priority: i32,
    role: Role,
    name: String,
}

impl Place {
    /// # Errors
    /// What is wrong with the priority that the pod says.
    pub fn of(pod: &Value) -> Result<Self, String> {
        let metadata = &pod["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        Ok(Self {
            priority: priority(metadata)?,
            role: role(&metadata["labels"]),
            name: name.to_owned(),
        })
    }
}

fn priority(metadata: &Value) -> Result<i32, String> {
    let said = |of: &str| metadata[of][PRIORITY].as_str();
    let text = match (said("annotations"), said("labels")) {
        (Some(one), Some(other)) if one != other => {
            return Err(format!(
                "its annotation {PRIORITY} says {one:?}, and its label {other:?}"
            ));
        }
        (Some(text), _) | (None, Some(text)) => text,
        (None, None) => return Ok(0),
    };
    let number = text.parse();
    number.map_err(|_| format!("{PRIORITY} is {text:?}, which is no integer"))
}

fn role(labels: &Value) -> Role {
    let said = ROLES.iter().filter_map(|it| labels[*it].as_str());
    let mut known = said.filter_map(|it| {
        if REPLICAS.contains(&it) {
            Some(Role::Replica)
        } else if PRIMARIES.contains(&it) {
            Some(Role::Primary)
        } else {
            None
        }
    });
    known.next().unwrap_or(Role::Unknown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, labels: &Value, annotations: &Value) -> Value {
        json!({"metadata": {"name": name, "labels": labels, "annotations": annotations}})
    }

    #[test]
    fn the_lowest_priority_is_first_then_replicas_then_names() {
        let none = json!({});
        let in_order = [
            pod("web", &none, &json!({PRIORITY: "-10"})),
            pod("pg-2", &json!({"role": "replica"}), &none),
            pod(
                "pg-3",
                &json!({"cnpg.io/instanceRole": "replica", "role": "primary"}),
                &none,
            ),
            pod(
                "my-1",
                &json!({"app.kubernetes.io/component": "postgresql"}),
                &none,
            ),
            pod("own", &none, &json!({PRIORITY: "0"})),
            pod(
                "pg-0",
                &json!({"app.kubernetes.io/component": "primary"}),
                &none,
            ),
            pod("pg-1", &json!({"spilo-role": "master"}), &none),
            pod("a", &json!({PRIORITY: "7"}), &none),
        ];
        let places = in_order.each_ref().map(|it| Place::of(it).unwrap());
        assert!(places.is_sorted(), "{places:#?}");
    }

    #[test]
    fn a_priority_that_is_none_is_said() {
        for (label, annotation, why) in [
            ("high", None, "\"high\", which is no integer"),
            ("", None, "\"\", which is no integer"),
            (
                "1",
                Some("2"),
                "annotation quiescent.dev/priority says \"2\", and its label \"1\"",
            ),
        ] {
            let annotations = annotation.map_or(json!({}), |it| json!({PRIORITY: it}));
            let said = Place::of(&pod("a", &json!({PRIORITY: label}), &annotations));
            assert!(said.as_ref().is_err_and(|it| it.contains(why)), "{said:?}");
        }
        let twice = pod("a", &json!({PRIORITY: "1"}), &json!({PRIORITY: "1"}));
        assert_eq!(Place::of(&twice).unwrap().priority, 1);
    }
}
