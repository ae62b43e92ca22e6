//! That the policies which a set does not ask would not have been selected, for generated sets.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, option, prelude::*, sample::select};
use quiescent::{
    diagnostic::Source,
    inject::{Injection, explain, inject},
    pod::PodView,
    policy::{Input, PolicySet, parse},
    select::{Facts, Namespace, Settings, Verdict},
};
use serde_json::{Value, json};

use super::config;

fn key() -> impl Strategy<Value = &'static str> {
    select(vec!["app", "tier", "team.example/name"])
}

fn value() -> impl Strategy<Value = &'static str> {
    select(vec!["a", "b", "c", "d"])
}

fn requirement() -> impl Strategy<Value = Value> {
    let operator = select(vec!["In", "NotIn", "NotIn", "Exists", "DoesNotExist"]);
    (key(), operator, vec(value(), 1..4)).prop_map(|(key, operator, values)| {
        let values = if operator.ends_with("In") {
            values
        } else {
            Vec::new()
        };
        json!({"key": key, "operator": operator, "values": values})
    })
}

fn criteria() -> impl Strategy<Value = Value> {
    let pairs = option::weighted(0.3, (key(), value()));
    let names = option::weighted(0.2, select(vec!["shop", "sh*", "other"]));
    let image = option::weighted(0.2, select(vec!["x", "*/y", "z*"]));
    (pairs, vec(requirement(), 1..4), names, image).prop_map(|(pair, requirements, name, image)| {
        let pairs: BTreeMap<&str, &str> = pair.into_iter().collect();
        json!({
            "podSelector": {"matchLabels": pairs, "matchExpressions": requirements},
            "namespaces": Vec::from_iter(name),
            "images": Vec::from_iter(image),
        })
    })
}

fn policies() -> impl Strategy<Value = PolicySet> {
    vec(criteria(), 1..60).prop_map(|all| {
        let policies = all.iter().enumerate().map(|(number, criteria)| {
            json!({
                "apiVersion": "quiescent.dev/v1",
                "kind": "HookPolicy",
                "metadata": {"name": format!("p{number}")},
                "spec": {
                    "match": criteria,
                    "container": {"name": "c"},
                    "hooks": {},
                    "backupVolumes": {"add": ["data"]},
                },
            })
        });
        let documents: Vec<String> = policies.map(|policy| policy.to_string()).collect();
        let (places, diagnostics) = parse(&Input {
            source: Arc::new(Source {
                name: "p.yaml".to_owned(),
                text: documents.join("\n---\n"),
            }),
            scripts: BTreeMap::new(),
        });
        assert_eq!(diagnostics, []);
        PolicySet::new(places).0
    })
}

/// A pod in JSON, whose labels may name a key twice.
fn pod() -> impl Strategy<Value = String> {
    let image = select(vec!["x", "team/y", "zz", "w"]);
    (vec((key(), value()), 0..6), image).prop_map(|(labels, image)| {
        let labels = labels.iter().map(|(key, value)| format!("{key:?}: {value:?}"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        format!(
            r#"{{"metadata": {{"labels": {{{labels}}}}}, "spec": {{"containers": [{{"name": "c", "image": {image:?}}}]}}}}"#
        )
    })
}

fn selected(injection: &Injection<'_>) -> Vec<String> {
    let verdicts = injection.verdicts.iter();
    let selected = verdicts.filter(|verdict| matches!(verdict, Verdict::Selected(..)));
    selected
        .map(|verdict| verdict.policy().name.clone())
        .collect()
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn whoever_is_not_asked_would_not_have_been_selected(
        policies in policies(),
        pods in vec(pod(), 1..30),
    ) {
        let nothing = BTreeMap::new();
        let settings = Settings::default();
        let facts = Facts {
            namespace: "shop",
            about_namespace: Namespace::Known {
                labels: &nothing,
                annotations: &nothing,
            },
            owner: None,
            settings: &settings,
        };
        for pod in pods {
            let view = PodView::parse(&pod).unwrap();
            let few = inject(&policies, &view, facts);
            let all = explain(&policies, &view, facts);
            prop_assert_eq!(selected(&few), selected(&all), "{}", pod);
            prop_assert_eq!(few.reason(), all.reason(), "{}", pod);
            prop_assert!(few.verdicts.len() <= all.verdicts.len());
        }
    }
}
