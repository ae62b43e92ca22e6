//! Which pods are meant by what somebody wrote, as kubectl takes it.

use std::{fmt, str::FromStr};

use anyhow::{Context as _, anyhow};
use kube::Client;
use serde_json::Value;

use crate::kubernetes::{ListError, Objects, list, object};

/// What somebody wants tried, as kubectl writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Pod(String),
    /// What makes pods, by its plural.
    Owner {
        plural: &'static str,
        name: String,
    },
}

/// The names of kinds that kubectl knows, and their plurals.
const OWNERS: [(&[&str], &str); 4] = [
    (&["statefulset", "statefulsets", "sts"], "statefulsets"),
    (&["deployment", "deployments", "deploy"], "deployments"),
    (&["daemonset", "daemonsets", "ds"], "daemonsets"),
    (&["replicaset", "replicasets", "rs"], "replicasets"),
];

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => write!(f, "pod/{name}"),
            Self::Owner { plural, name } => write!(f, "{plural}/{name}"),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once('/').unwrap_or(("pod", text));
        if name.is_empty() || name.contains('/') {
            return Err("write pod/NAME or statefulset/NAME".to_owned());
        }
        let name = name.to_owned();
        if ["pod", "pods", "po"].contains(&kind) {
            return Ok(Self::Pod(name));
        }
        let mut owners = OWNERS.iter();
        let owner = owners.find(|(kinds, _)| kinds.contains(&kind));
        let (_, plural) = owner
            .ok_or_else(|| format!("{kind:?} makes no pods: write pod/NAME or statefulset/NAME"))?;
        Ok(Self::Owner { plural, name })
    }
}

/// What is not there is called by the name that its owner uses.
pub fn named(error: ListError, what: &str) -> anyhow::Error {
    match error {
        ListError::Absent { .. } => anyhow!("there is no {what}"),
        ListError::Forbidden { .. } | ListError::Failed { .. } | ListError::Unreadable { .. } => {
            error.into()
        }
    }
}

/// The pods with these labels, as texts.
pub async fn meant(client: &Client, path: &str, labels: &str) -> Result<Vec<String>, ListError> {
    let objects = Objects {
        path,
        labels: Some(labels),
        metadata_only: false,
    };
    list(client, objects, str::to_owned).await
}

/// What selects the pods of an owner, as kubectl writes it.
pub async fn selector(
    client: &Client,
    namespace: &str,
    plural: &str,
    name: &str,
) -> anyhow::Result<String> {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/{plural}");
    let text = object(client, &path, name).await;
    let text = text.map_err(|error| named(error, &format!("{plural}/{name} in {namespace}")))?;
    let owner: Value = serde_json::from_str(&text).context("the API server sent no object")?;
    Ok(labels(&owner["spec"]["selector"]))
}

/// A label selector in one line.
pub fn labels(selector: &Value) -> String {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let equal = equal.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let expressions = selector["matchExpressions"].as_array();
    let expressions = expressions.into_iter().flatten().filter_map(|it| {
        let key = it["key"].as_str()?;
        let values = it["values"].as_array().into_iter().flatten();
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        let values = values.join(",");
        Some(match it["operator"].as_str()? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        })
    });
    equal.chain(expressions).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_target_is_what_kubectl_takes() {
        let pod = || Ok(Target::Pod("pg-0".to_owned()));
        let owner = |plural| {
            Ok(Target::Owner {
                plural,
                name: "pg".to_owned(),
            })
        };
        for (text, target) in [
            ("pg-0", pod()),
            ("pod/pg-0", pod()),
            ("statefulset/pg", owner("statefulsets")),
            ("sts/pg", owner("statefulsets")),
            ("deploy/pg", owner("deployments")),
        ] {
            assert_eq!(text.parse(), target, "{text}");
        }
        for text in ["", "pod/", "job/pg", "a/b/c"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_selector_is_one_line() {
        let selector = json!({
            "matchLabels": {"app": "pg", "tier": "data"},
            "matchExpressions": [
                {"key": "zone", "operator": "In", "values": ["a", "b"]},
                {"key": "role", "operator": "NotIn", "values": ["replica"]},
                {"key": "db", "operator": "Exists"},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(
            labels(&selector),
            "app=pg,tier=data,zone in (a,b),role notin (replica),db,!old"
        );
    }
}
