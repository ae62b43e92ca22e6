use serde_json::json;

use super::{Edit, Obstacle};
use crate::yaml::parse;

/// One change of a text.
enum Do {
    Insert(&'static str, &'static str, serde_json::Value),
    Push(&'static str, serde_json::Value),
    Replace(&'static str, serde_json::Value),
    Remove(&'static str),
}
use Do::{Insert, Push, Remove, Replace};

fn edited(text: &str, changes: Vec<Do>) -> Result<String, Obstacle> {
    let documents = parse(text).unwrap();
    let mut edit = Edit::new(text, documents[0].root.as_ref().unwrap());
    let path = |path: &str| -> Vec<String> {
        let steps = path.split('.').filter(|step| !step.is_empty());
        steps.map(str::to_owned).collect()
    };
    for change in changes {
        match change {
            Insert(parent, key, value) => edit.insert(&path(parent), key, value)?,
            Push(parent, value) => edit.push(&path(parent), value)?,
            Replace(at, value) => edit.replace(&path(at), value)?,
            Remove(at) => edit.remove(&path(at))?,
        }
    }
    edit.finish()
}

fn check(before: &str, changes: Vec<Do>, after: &str) {
    assert_eq!(edited(before, changes).as_deref(), Ok(after), "{before}");
}

#[test]
fn an_entry_comes_behind_the_last_one_and_before_the_comments_after_it() {
    check(
        "a:\n    # one\n    b: 1 # two\n    # three\n\nc: 2\n",
        vec![Insert("a", "e", json!("x: y"))],
        "a:\n    # one\n    b: 1 # two\n    e: 'x: y'\n    # three\n\nc: 2\n",
    );
    check(
        "a: {b: 1}",
        vec![Insert("", "c", json!({"d": "e"}))],
        "a: {b: 1}\nc:\n  d: e",
    );
    check(
        "- k: v\n  t: |\n    text\n\n- z\n",
        vec![Insert("0", "e", json!(1))],
        "- k: v\n  t: |\n    text\n  e: 1\n\n- z\n",
    );
}

#[test]
fn an_item_is_written_like_its_neighbours() {
    check(
        "a:\n-   b: 1\n    c: 2\n",
        vec![Push("a", json!({"d": 1, "e": [2]}))],
        "a:\n-   b: 1\n    c: 2\n-   d: 1\n    e:\n    -   2\n",
    );
    check(
        "a:\n  - {b: 1}\n  - {c: 2} # x\n# end\n",
        vec![Push("a", json!({"d": "x,y"}))],
        "a:\n  - {b: 1}\n  - {c: 2} # x\n  - {d: 'x,y'}\n# end\n",
    );
    check(
        "a: [b, c] # x\n",
        vec![Push("a", json!("d"))],
        "a: [b, c, d] # x\n",
    );
    check(
        "a: [\n  b, # one\n  c # two\n]\n",
        vec![Push("a", json!("d"))],
        "a: [\n  b, # one\n  c, # two\n  d\n]\n",
    );
}

#[test]
fn what_is_empty_becomes_a_block() {
    for empty in ["", " ~", " null", " {}", " { }"] {
        check(
            &format!("a:{empty} # why\nl:\n  - 1\n"),
            vec![
                Replace("a", json!({})),
                Insert("a", "b", json!("c")),
                Insert("a", "d", json!([])),
                Push("a.d", json!({"e": 1})),
            ],
            "a: # why\n  b: c\n  d:\n    - e: 1\nl:\n  - 1\n",
        );
    }
    check(
        "a: []\nb: 1\n",
        vec![Push("a", json!("c"))],
        "a:\n- c\nb: 1\n",
    );
    check(
        "x: {a: {}, b: []}\n",
        vec![Insert("x.a", "c", json!(1)), Push("x.b", json!("d"))],
        "x: {a: {c: 1}, b: [d]}\n",
    );
}

#[test]
fn line_breaks_stay_those_of_the_text() {
    check(
        "a:\r\n  b: 1\r\nc: 2\r\n",
        vec![Insert("a", "d", json!("e"))],
        "a:\r\n  b: 1\r\n  d: e\r\nc: 2\r\n",
    );
    check(
        "a:\r\n  b: 1",
        vec![Insert("a", "d", json!("e"))],
        "a:\r\n  b: 1\r\n  d: e",
    );
}

#[test]
fn a_scalar_keeps_its_quotes() {
    check(
        "a: 'b' # c\nd: \"e\"\nf: g\nh: {i: j}\nk: |\n  l\n\nm:\n",
        vec![
            Replace("a", json!("it's")),
            Replace("d", json!("x")),
            Replace("f", json!("y,z")),
            Replace("h.i", json!("y,z")),
            Replace("k", json!("no")),
            Replace("m", json!("o")),
        ],
        "a: 'it''s' # c\nd: \"x\"\nf: y,z\nh: {i: 'y,z'}\nk: 'no'\n\nm: o\n",
    );
}

#[test]
fn what_is_taken_out_takes_its_lines_along() {
    check(
        "a:\n  b: 1\n  # stays\n  c:\n    d: 1\n  e:\n    - f\n    - g: 1\n      h: 2\n    - i\n",
        vec![Remove("a.c"), Remove("a.e.1")],
        "a:\n  b: 1\n  # stays\n  e:\n    - f\n    - i\n",
    );
    check("a: 1\nb:\n- c", vec![Remove("b")], "a: 1");
    check(
        "a: {b: 1, c: 2, d: 3}\ne: [1, 2, 3, 4]\n",
        vec![
            Remove("a.c"),
            Remove("a.d"),
            Remove("e.3"),
            Remove("e.0"),
            Remove("e.0"),
        ],
        "a: {b: 1}\ne: [3]\n",
    );
}

#[test]
fn long_additions_to_a_line_stand_on_lines_of_their_own() {
    let long = "x".repeat(40);
    let before = "a: {b: 1}\nc: 2\n";
    let after = format!(
        "a: {{b: 1,\n    d: {{\n      e: {long},\n      f: {long},\n      g: 1,\n      h: 2}}}}\nc: 2\n"
    );
    let value = json!({"e": long, "f": long, "g": 1, "h": 2});
    check(before, vec![Insert("a", "d", value)], &after);
    check(&after, vec![Remove("a.d")], before);
}

#[test]
fn json_stays_json() {
    check(
        "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n",
        vec![Insert("a", "c", json!({"d": "yes"}))],
        "{\n  \"a\": {\n    \"b\": 1,\n    \"c\": {\"d\": \"yes\"}\n  }\n}\n",
    );
    check(
        "{\"a\": []}",
        vec![Push("a", json!(["b"]))],
        "{\"a\": [[\"b\"]]}",
    );
}

#[test]
fn what_is_written_elsewhere_is_not_changed_here() {
    let text = "a: &a {b: 1}\nc: *a\nd:\n  <<: *a\ne: {<<: *a, f: 1}\ng:\n  - *a\n";
    for path in ["c", "g.0"] {
        assert_eq!(
            edited(text, vec![Insert(path, "x", json!(1))]),
            Err(Obstacle::Alias),
            "{path}"
        );
    }
    for path in ["c.b", "d.b", "e.b"] {
        assert_eq!(
            edited(text, vec![Replace(path, json!(2))]),
            Err(Obstacle::Alias),
            "{path}"
        );
    }
    assert_eq!(
        edited("a: {b: 1}\n", vec![Remove("a.b")]),
        Err(Obstacle::Form),
        "nothing would be left"
    );
}

#[test]
fn texts_that_could_mean_something_else_are_quoted() {
    for text in [
        "yes",
        "y",
        "1",
        "1.5",
        "0x1",
        "",
        "~",
        "null",
        "a: b",
        "a #b",
        "-",
        "*a",
        "&a",
        "!a",
        "2024-01-01",
        "12:30",
        "it's",
        "tab\t",
        "line\nbreak",
        "ü",
        " a",
        "a ",
        "%",
        "@a",
        "`",
        "\"",
        "\u{7f}",
    ] {
        let new = edited(
            "k: v\n",
            vec![Insert("", "n", json!(text)), Replace("k", json!(text))],
        );
        let new = new.unwrap();
        let root = parse(&new).unwrap()[0].root.as_ref().unwrap().to_json();
        assert_eq!(root, json!({"k": text, "n": text}), "{new}");
    }
}
