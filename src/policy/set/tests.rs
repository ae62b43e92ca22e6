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

#[test]
fn a_policy_of_a_namespace_takes_the_place_of_its_namesake_there_and_nowhere_else() {
    let own = |name: &str, priority| {
        policy(name, priority, "match: {images: [x]}").replace("{name:", "{namespace: shop, name:")
    };
    let text = policy("a", 9, "match: {images: [x]}")
        + &policy("b", 5, "match: {images: [x]}")
        + &own("a", 1);
    let (set, diagnostics) = PolicySet::new(places(&text));
    assert_eq!(diagnostics, []);
    let titles = |set: &PolicySet| {
        set.iter()
            .map(|policy| policy.title().into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(titles(&set), ["a", "b", "shop/a"]);
    let known = |namespace: &str| set.get("a", namespace).unwrap().title().into_owned();
    assert_eq!((known("shop"), known("web")), ("shop/a".into(), "a".into()));
    let replaced = |namespace: &str| {
        let policies = set.iter();
        let replaced = policies.filter(|it| set.is_replaced(it, namespace));
        replaced.map(|it| it.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(replaced("shop"), ["a"]);
    assert!(replaced("web").is_empty());
    let asked = |namespace: &str| {
        let found = set.candidates(["x"].into_iter(), std::iter::empty(), namespace);
        found
            .map(|policy| policy.title().into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(asked("web"), ["a", "b"]);
    assert_eq!(asked("shop"), ["a", "b", "shop/a"]);

    // What comes from the cluster counts before what comes from files, and gives its place back.
    let arcs = |text: &str| {
        let places = places(text).into_iter();
        places
            .map(|place| Arc::from(place.policy))
            .collect::<Vec<Arc<_>>>()
    };
    let cluster = set.with(&arcs(&policy("b", 10, "match: {images: [w]}")));
    assert_eq!(titles(&cluster), ["b", "a", "shop/a"]);
    assert_eq!(cluster.get("b", "web").unwrap().priority, 10);
    assert_eq!(titles(&set.with(&[])), titles(&set));
}

#[test]
fn policies_that_never_meet_do_not_contradict_each_other() {
    let own = |namespace: &str, name: &str, path: &str| {
        let volume = format!(
            "match: {{images: [x]}}\n  volumes: {{v: {{mountPath: {path}, emptyDir: {{}}}}}}"
        );
        let policy = policy(name, 1, &volume);
        match namespace {
            "" => policy,
            _ => policy.replace("{name:", &format!("{{namespace: {namespace}, name:")),
        }
    };
    let told = |text: String| PolicySet::new(places(&text)).1.len();
    assert_eq!(told(own("shop", "a", "/a") + &own("web", "b", "/b")), 0);
    assert_eq!(told(own("shop", "a", "/a") + &own("", "a", "/b")), 0);
    assert_eq!(told(own("shop", "a", "/a") + &own("", "b", "/b")), 1);
    assert_eq!(told(own("shop", "a", "/a") + &own("shop", "b", "/b")), 1);
    assert_eq!(told(own("shop", "a", "/a") + &own("shop", "a", "/a")), 1);
}
