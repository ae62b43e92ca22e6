use super::Selector;
use crate::{policy::file::LabelSelector, yaml};

fn selector(text: &str) -> LabelSelector {
    let documents = yaml::parse(text).unwrap();
    yaml::decode(documents[0].root.as_ref().unwrap()).unwrap()
}

fn matches(text: &str, labels: &[(&str, &str)]) -> bool {
    let labels: Vec<_> = labels.to_vec();
    Selector::from(&selector(text)).matches(|key| {
        labels
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    })
}

#[test]
fn labels_are_compared_as_kubernetes_does() {
    let app = [("app", "pg"), ("tier", "db")];
    assert!(matches("{matchLabels: {app: pg}}", &app));
    assert!(!matches("{matchLabels: {app: pg, tier: web}}", &app));
    assert!(matches(
        "{matchExpressions: [{key: app, operator: In, values: [my, pg]}]}",
        &app
    ));
    assert!(!matches(
        "{matchExpressions: [{key: app, operator: NotIn, values: [my, pg]}]}",
        &app
    ));
    assert!(matches(
        "{matchExpressions: [{key: zone, operator: NotIn, values: [a]}]}",
        &app
    ));
    assert!(matches(
        "{matchExpressions: [{key: app, operator: Exists}]}",
        &app
    ));
    assert!(matches(
        "{matchExpressions: [{key: zone, operator: DoesNotExist}]}",
        &app
    ));
    assert!(!matches(
        "{matchLabels: {app: pg}, matchExpressions: [{key: tier, operator: DoesNotExist}]}",
        &app
    ));
    assert!(matches("{}", &[]));
}

#[test]
fn what_kubernetes_would_refuse_is_told_with_its_place() {
    let wrong = selector(
        "{matchLabels: {-a: b, ok: '-'}, matchExpressions: [{key: a/b/c, operator: In}, {key: x, operator: Exists, values: [v]}, {key: x, operator: In, values: [ok, 'not ok']}]}",
    );
    let problems = super::problems(&wrong);
    let paths: Vec<String> = problems.iter().map(|(path, _)| path.join(".")).collect();
    assert_eq!(
        paths,
        [
            "matchLabels.-a",
            "matchLabels.ok",
            "matchExpressions.0.key",
            "matchExpressions.0.operator",
            "matchExpressions.1.operator",
            "matchExpressions.2.values.1",
        ]
    );
}
