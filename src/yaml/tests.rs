use std::fmt::Write as _;

use serde_json::json;

use super::{Value, parse};

fn json(text: &str) -> serde_json::Value {
    let documents = parse(text).unwrap();
    documents[0].root.as_ref().unwrap().to_json()
}

#[test]
fn scalars_mean_what_they_mean_to_kubectl() {
    let text = "
a: yes
b: 'yes'
c: 0755
d: 0o17
e: 1e3
f: 1_000
g: ~
h: 10Gi
i: '0755'
j: 1.5
k: 0x1f
l: 12:30
n: 2024-01-01
";
    assert_eq!(
        json(text),
        json!({
            "a": true, "b": "yes", "c": 0o755, "d": 15, "e": 1000.0, "f": 1000, "g": null,
            "h": "10Gi", "i": "0755", "j": 1.5, "k": 31, "l": "12:30", "n": "2024-01-01",
        })
    );
}

#[test]
fn anchors_and_merges_are_resolved() {
    let text = "
base: &base {a: 1, b: 2}
one: {<<: *base, b: 3}
two: *base
three:
  <<: [*base, {c: 4}]
";
    assert_eq!(
        json(text),
        json!({
            "base": {"a": 1, "b": 2}, "one": {"b": 3, "a": 1}, "two": {"a": 1, "b": 2},
            "three": {"a": 1, "b": 2, "c": 4},
        })
    );
}

#[test]
fn a_key_that_stands_twice_is_told_and_the_last_one_counts() {
    let text = "a: 1\nb: 2\na: 3\n";
    let documents = parse(text).unwrap();
    let document = &documents[0];
    assert_eq!(
        document.root.as_ref().unwrap().to_json(),
        json!({"a": 3, "b": 2})
    );
    assert_eq!(&text[document.duplicates[0].second.clone()], "a");
    assert_eq!(document.duplicates[0].second.start, 10);
}

#[test]
fn documents_cover_the_whole_text() {
    let text = "# first\na: 1\n---\n# nothing\n---\nb: 2\n...\n---\nc: 3\n";
    let documents = parse(text).unwrap();
    let pieces: String = documents
        .iter()
        .map(|document| &text[document.range.clone()])
        .collect();
    assert_eq!(pieces, text);
    let roots = documents
        .iter()
        .filter_map(|document| document.root.as_ref());
    assert_eq!(
        roots.map(super::Node::to_json).collect::<Vec<_>>(),
        [json!({"a": 1}), json!({"b": 2}), json!({"c": 3})]
    );
}

#[test]
fn a_node_knows_its_place() {
    let text = "metadata:\n  name: \"pg\"\nspec:\n  list: [1, two]\n";
    let documents = parse(text).unwrap();
    let root = documents[0].root.as_ref().unwrap();
    assert_eq!(
        &text[root.nearest(&["metadata", "name"]).span.clone()],
        "\"pg\""
    );
    assert_eq!(
        &text[root.nearest(&["spec", "list", "1"]).span.clone()],
        "two"
    );
    assert_eq!(
        &text[root.nearest(&["spec", "list", "9"]).span.clone()],
        "[1, two]"
    );
}

#[test]
fn trees_without_end_are_refused() {
    let deep = "[".repeat(500) + &"]".repeat(500);
    assert!(parse(&deep).is_err());
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        let below = format!("*a{}", level - 1);
        let list = vec![below; 10].join(",");
        writeln!(bomb, "a{level}: &a{level} [{list}]").unwrap();
    }
    let error = parse(&bomb).unwrap_err();
    assert!(
        error.message.contains("too many nodes"),
        "{}",
        error.message
    );
}

#[test]
fn what_is_no_yaml_is_an_error_with_a_place() {
    let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
    assert!(error.span.start > 4, "{error:?}");
    assert!(parse("? [a, b]\n: c\n").is_err());
    assert!(parse("a: !python/object x\n").is_err());
    assert!(matches!(
        parse("!!str 12").unwrap()[0].root.as_ref().unwrap().value,
        Value::String(_)
    ));
}
