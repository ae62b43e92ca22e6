//! What an entry of the webhook must say whatever else it says, so that it neither holds a cluster up nor
//! loses a pod: the decision, from the entry as it is to what is to be changed in it.

use serde_json::{Map, Value, json};

/// What an entry of this name has to be.
struct Expected {
    name: &'static str,
    /// What happens to a pod when nobody answers.
    failure_policy: &'static str,
    path: &'static str,
    operations: &'static [&'static str],
    /// A label that its namespaces have, where it is for these alone.
    namespaces: Option<(&'static str, &'static str)>,
}

const CREATION: &[&str] = &["CREATE"];
const WRITING: &[&str] = &["CREATE", "UPDATE"];

const ENTRIES: [Expected; 5] = [
    Expected {
        name: "namespaces.quiescent.dev",
        failure_policy: "Ignore",
        path: "/mutate",
        operations: CREATION,
        namespaces: None,
    },
    Expected {
        name: "pods.quiescent.dev",
        failure_policy: "Ignore",
        path: "/mutate",
        operations: CREATION,
        namespaces: None,
    },
    Expected {
        name: "enforce.quiescent.dev",
        failure_policy: "Fail",
        path: "/mutate",
        operations: CREATION,
        namespaces: Some(("quiescent.dev/enforce", "true")),
    },
    Expected {
        name: "warn.guard.quiescent.dev",
        failure_policy: "Ignore",
        path: "/guard/warn",
        operations: WRITING,
        namespaces: Some(("quiescent.dev/guard", "warn")),
    },
    Expected {
        name: "enforce.guard.quiescent.dev",
        failure_policy: "Fail",
        path: "/guard/enforce",
        operations: WRITING,
        namespaces: Some(("quiescent.dev/guard", "enforce")),
    },
];

/// The longest that a pod may wait for us, in seconds.
const LONGEST_WAIT: i64 = 10;

/// The name of a namespace as its label, which nobody can take off.
const NAME: &str = "kubernetes.io/metadata.name";

/// The fields of an entry that have to change, with their new values. `left_out` are the namespaces that
/// no entry may mean. Entries of other names are somebody else's.
#[must_use]
pub fn mended(entry: &Value, left_out: &[&str]) -> Map<String, Value> {
    let mut changes = Map::new();
    let mut expected = ENTRIES.iter();
    let Some(expected) = expected.find(|it| entry["name"] == it.name) else {
        return changes;
    };
    let mut set = |field: &str, value: Value| {
        if entry[field] != value {
            changes.insert(field.to_owned(), value);
        }
    };
    set("failurePolicy", expected.failure_policy.into());
    set("matchPolicy", "Equivalent".into());
    set("sideEffects", "None".into());
    if entry.get("reinvocationPolicy").is_some() {
        set("reinvocationPolicy", "IfNeeded".into());
    }
    if entry["timeoutSeconds"]
        .as_i64()
        .is_none_or(|it| it > LONGEST_WAIT)
    {
        set("timeoutSeconds", 3.into());
    }
    let rules = json!([{
        "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"],
        "operations": expected.operations, "scope": "Namespaced",
    }]);
    set("rules", rules);
    set(
        "namespaceSelector",
        selector(&entry["namespaceSelector"], expected, left_out),
    );
    let service = &entry["clientConfig"]["service"];
    if service.is_object() && service["path"] != expected.path {
        set(
            "clientConfig",
            json!({"service": {"path": expected.path, "name": service["name"], "namespace": service["namespace"]}}),
        );
    }
    changes
}

/// The selector with what it must ask for; what else it asks for stays.
fn selector(selector: &Value, expected: &Expected, left_out: &[&str]) -> Value {
    let mut mended = selector.clone();
    if !mended.is_object() {
        mended = json!({});
    }
    let asked = mended["matchExpressions"].as_array().cloned();
    let mut asked = asked.unwrap_or_default();
    let excludes = |it: &Value| it["key"] == NAME && it["operator"] == "NotIn";
    match asked.iter_mut().find(|it| excludes(it)) {
        Some(exclusion) => {
            let names = exclusion["values"].as_array().cloned();
            let mut names = names.unwrap_or_default();
            let missing = left_out.iter().filter(|name| !names.contains(&json!(name)));
            let missing: Vec<Value> = missing.map(|name| json!(name)).collect();
            names.extend(missing);
            exclusion["values"] = names.into();
        }
        None => asked.push(json!({"key": NAME, "operator": "NotIn", "values": left_out})),
    }
    if let Some((label, value)) = expected.namespaces {
        let wanted = json!({"key": label, "operator": "In", "values": [value]});
        let pair = &selector["matchLabels"][label];
        if *pair != value && !asked.contains(&wanted) {
            asked.retain(|it| it["key"] != label);
            asked.push(wanted);
        }
    }
    mended["matchExpressions"] = asked.into();
    mended
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT_OUT: [&str; 3] = ["kube-system", "velero", "quiescent"];

    fn entry(name: &str) -> Value {
        let guard = name.contains("guard");
        let namespaces = match name {
            "enforce.quiescent.dev" => {
                json!({"key": "quiescent.dev/enforce", "operator": "In", "values": ["true"]})
            }
            "warn.guard.quiescent.dev" => {
                json!({"key": "quiescent.dev/guard", "operator": "In", "values": ["warn"]})
            }
            _ => json!({"key": "quiescent.dev/inject", "operator": "In", "values": ["enabled"]}),
        };
        let mut entry = json!({
            "name": name,
            "failurePolicy": if name == "enforce.quiescent.dev" { "Fail" } else { "Ignore" },
            "namespaceSelector": {"matchExpressions": [
                namespaces,
                {"key": NAME, "operator": "NotIn", "values": ["kube-system", "own", "velero", "quiescent"]},
            ]},
            "clientConfig": {
                "caBundle": "eA==",
                "service": {"name": "quiescent", "namespace": "quiescent", "port": 443, "path": if guard { "/guard/warn" } else { "/mutate" }},
            },
            "rules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Namespaced",
                "operations": if guard { json!(["CREATE", "UPDATE"]) } else { json!(["CREATE"]) },
            }],
            "matchPolicy": "Equivalent", "sideEffects": "None", "timeoutSeconds": 5,
        });
        if !guard {
            entry["reinvocationPolicy"] = "IfNeeded".into();
        }
        entry
    }

    fn after(name: &str, change: impl Fn(&mut Value)) -> Map<String, Value> {
        let mut entry = entry(name);
        change(&mut entry);
        mended(&entry, &LEFT_OUT)
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone_and_so_is_what_is_somebodys_choice() {
        for name in [
            "namespaces.quiescent.dev",
            "pods.quiescent.dev",
            "enforce.quiescent.dev",
            "warn.guard.quiescent.dev",
            "others.example.com",
        ] {
            assert_eq!(after(name, |_| {}), Map::new(), "{name}");
        }
        let chosen = after("namespaces.quiescent.dev", |entry| {
            let asked = entry["namespaceSelector"]["matchExpressions"].as_array_mut();
            asked.unwrap()[0] = json!({"key": "team", "operator": "Exists"});
            entry["objectSelector"] = json!({"matchLabels": {"a": "b"}});
        });
        assert_eq!(chosen, Map::new());
        assert_eq!(
            after("others.example.com", |it| it["failurePolicy"] =
                "Fail".into()),
            Map::new()
        );
    }

    #[test]
    fn what_would_hold_a_cluster_up_is_changed_and_nothing_else() {
        let fail = after("namespaces.quiescent.dev", |it| {
            it["failurePolicy"] = "Fail".into();
        });
        assert_eq!(Value::from(fail), json!({"failurePolicy": "Ignore"}));
        let ignore = after("enforce.quiescent.dev", |it| {
            it["failurePolicy"] = "Ignore".into();
        });
        assert_eq!(Value::from(ignore), json!({"failurePolicy": "Fail"}));
        let slow = after("pods.quiescent.dev", |it| it["timeoutSeconds"] = 30.into());
        assert_eq!(Value::from(slow), json!({"timeoutSeconds": 3}));
        let wide = after("pods.quiescent.dev", |it| {
            it["rules"][0]["resources"] = json!(["*"]);
        });
        assert_eq!(wide["rules"][0]["resources"], json!(["pods"]));
        let elsewhere = after("warn.guard.quiescent.dev", |it| {
            it["clientConfig"]["service"]["path"] = "/mutate".into();
        });
        assert_eq!(elsewhere["clientConfig"]["service"]["path"], "/guard/warn");
    }

    #[test]
    fn the_namespaces_that_no_entry_means_come_back() {
        let all = after("namespaces.quiescent.dev", |it| {
            it["namespaceSelector"] = json!({});
        });
        assert_eq!(
            all["namespaceSelector"]["matchExpressions"],
            json!([{"key": NAME, "operator": "NotIn", "values": LEFT_OUT}])
        );
        let one = after("pods.quiescent.dev", |it| {
            it["namespaceSelector"]["matchExpressions"][1]["values"] = json!(["velero", "own"]);
        });
        assert_eq!(
            one["namespaceSelector"]["matchExpressions"][1]["values"],
            json!(["velero", "own", "kube-system", "quiescent"])
        );
        let enforced = after("enforce.quiescent.dev", |it| {
            it["namespaceSelector"]["matchExpressions"]
                .as_array_mut()
                .unwrap()
                .remove(0);
        });
        let asked = &enforced["namespaceSelector"]["matchExpressions"];
        assert_eq!(
            asked[1],
            json!({"key": "quiescent.dev/enforce", "operator": "In", "values": ["true"]})
        );
    }
}
