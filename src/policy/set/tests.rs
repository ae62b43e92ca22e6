use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{Input, Place, parse},
    PolicySet,
};
use crate::diagnostic::Source;

fn places(text: &str) -> Vec<Place> {
    let (places, diagnostics) = parse(&Input {
        source: Arc::new(Source {
            name: "p.yaml".to_owned(),
            text: text.to_owned(),
        }),
        scripts: BTreeMap::new(),
    });
    assert_eq!(diagnostics, []);
    places
}

fn policy(name: &str, priority: i32, spec: &str) -> String {
    format!(
        "---\napiVersion: quiescent.dev/v1\nkind: HookPolicy\nmetadata: {{name: {name}}}\nspec:\n  priority: {priority}\n  hooks: {{pre: {{command: [a], timeout: 1m, onError: Fail}}, post: {{command: [b], timeout: 1m, onError: Continue}}}}\n  {spec}\n"
    )
}

#[test]
fn policies_are_ordered_by_priority_and_name_however_they_come() {
    let text = policy("b", 1, "match: {images: [x]}")
        + &policy("c", 9, "match: {images: [x]}")
        + &policy("a", 1, "match: {images: [x]}");
    let mut places = places(&text);
    let names = |set: &PolicySet| {
        set.iter()
            .map(|policy| policy.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&PolicySet::new(places.clone()).0), ["c", "a", "b"]);
    places.reverse();
    assert_eq!(names(&PolicySet::new(places).0), ["c", "a", "b"]);
}

#[test]
fn of_two_with_one_name_one_stays_and_the_other_is_told() {
    let text = policy("a", 1, "match: {images: [x]}") + &policy("a", 1, "match: {images: [w]}");
    let (set, diagnostics) = PolicySet::new(places(&text));
    assert_eq!(set.len(), 1);
    assert_eq!(diagnostics[0].code, "QP018");
}

#[test]
fn a_volume_that_means_two_things_is_told_only_where_policies_can_meet() {
    let volume = |labels: &str, path: &str| {
        format!(
            "match: {{images: [x], podSelector: {{matchLabels: {{{labels}}}}}}}\n  volumes: {{v: {{mountPath: {path}, emptyDir: {{}}}}}}"
        )
    };
    let apart = policy("a", 1, &volume("m: one", "/a")) + &policy("b", 1, &volume("m: two", "/b"));
    assert_eq!(PolicySet::new(places(&apart)).1, []);
    let together =
        policy("a", 1, &volume("m: one", "/a")) + &policy("b", 1, &volume("n: two", "/b"));
    assert_eq!(PolicySet::new(places(&together)).1[0].code, "QP018");
}

#[test]
fn only_policies_that_may_match_are_asked() {
    let text = policy("image", 1, "match: {images: [x, \"*/y\"]}")
        + &policy(
            "label",
            1,
            "match: {podSelector: {matchLabels: {app: z}}}\n  container: {name: c}",
        )
        + &policy(
            "namespace",
            1,
            "match: {namespaces: [shop]}\n  container: {name: c}",
        )
        + &policy(
            "any",
            1,
            "match: {namespaces: [\"shop-*\"]}\n  container: {name: c}",
        );
    let (set, _) = PolicySet::new(places(&text));
    let asked = |image: &'static str, label: (&'static str, &'static str), namespace: &str| {
        let found = set.candidates([image].into_iter(), [label].into_iter(), namespace);
        found.map(|policy| policy.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(asked("q", ("app", "q"), "q"), ["any"]);
    assert_eq!(
        asked("y", ("app", "z"), "shop"),
        ["any", "image", "label", "namespace"]
    );
}

#[test]
fn policies_are_found_by_what_their_expressions_require_or_refuse() {
    let expression = |name: &str, expression: &str| {
        let selector = format!("podSelector: {{matchExpressions: [{{key: app, {expression}}}]}}");
        policy(
            name,
            1,
            &format!("match: {{{selector}}}\n  container: {{name: c}}"),
        )
    };
    let text = expression("absent", "operator: DoesNotExist")
        + &expression("one-of", "operator: In, values: [a, b]")
        + &expression("present", "operator: Exists")
        + &expression("unlike", "operator: NotIn, values: [a, b]");
    let (set, _) = PolicySet::new(places(&text));
    let asked = |labels: &[(&'static str, &'static str)]| {
        let found = set.candidates(std::iter::empty(), labels.iter().copied(), "shop");
        found.map(|policy| policy.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(asked(&[]), ["absent", "unlike"]);
    assert_eq!(asked(&[("app", "a")]), ["one-of", "present"]);
    assert_eq!(asked(&[("app", "c")]), ["present", "unlike"]);
    // Of a key that stands there twice the last value counts: what it is refused by must be that one.
    let twice = asked(&[("app", "a"), ("app", "c")]);
    assert!(twice.contains(&"unlike".to_owned()), "{twice:?}");
}
