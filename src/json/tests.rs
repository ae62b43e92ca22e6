use proptest::{prelude::*, test_runner::RngSeed};
use serde_json::Value;

use super::{Attempt, Error, FromJson as _, List, Pairs, Text, There, quote, read, view};

view! {
    struct Sample<'a> {
        text: Text<'a> = "text",
        number: Option<i64> = "number",
        yes: bool = "yes",
        pairs: Option<Pairs<'a>> = "pairs",
        list: Option<List<'a, Inner<'a>>> = "list",
        there: Option<There> = "there",
    }

    struct Inner<'a> {
        name: Text<'a> = "name",
    }
}

fn sample(text: &str) -> Result<Sample<'_>, String> {
    let sample = read::<Sample<'_>>(text).map_err(|error| error.to_string())?;
    let checked = sample.check();
    checked.map_err(|fault| Error::new(fault, text).to_string())?;
    Ok(sample)
}

#[test]
fn what_is_asked_for_is_read_and_the_rest_passed_over() {
    let text = r#" { "other": {"text": [1, "}"]}, "text": "a\"\u00e9", "number": -7, "yes": true,
        "pairs": {"k": "v", "n": null}, "list": [{"name": "x", "y": []}, {}], "there": {} } "#;
    let read = sample(text).unwrap();
    assert_eq!(&*read.text, "a\"é");
    assert_eq!(read.number, Some(-7));
    assert!(read.yes);
    let pairs: Vec<_> = read.pairs.as_ref().unwrap().iter().collect();
    assert_eq!(pairs, [("k", "v"), ("n", "")]);
    let names = read.list.as_ref().unwrap().iter();
    let names: Vec<_> = names.map(|inner| inner.name.to_string()).collect();
    assert_eq!(names, ["x", ""]);
    assert!(read.there.is_some());
}

#[test]
fn null_is_absent_and_the_last_of_a_key_counts() {
    let read =
        sample(r#"{"text": null, "number": 1, "number": null, "list": null, "there": null}"#);
    let read = read.unwrap();
    assert_eq!(&*read.text, "");
    assert_eq!(read.number, None);
    assert!(read.list.is_none() && read.there.is_none());
}

#[test]
fn a_fault_says_what_and_where_and_nothing_of_what_stands_there() {
    for (text, sentence) in [
        ("", "it ends too early, at line 1, column 1"),
        ("x", "it is no JSON, at line 1, column 1"),
        (
            "[]",
            "a value has another type than it must have, at line 1, column 1",
        ),
        (
            "{\n \"text\": 7}",
            "text: a value has another type than it must have, at line 2, column 10",
        ),
        (
            r#"{"list": [{}, 3]}"#,
            "list[1]: a value has another type than it must have, at line 1, column 15",
        ),
        (
            r#"{"list": [{},]}"#,
            "list[1]: it is no JSON, at line 1, column 14",
        ),
        (
            r#"{"list": 7}"#,
            "list: a value has another type than it must have, at line 1, column 10",
        ),
        (
            r#"{"text": "secret"#,
            "text: it ends too early, at line 1, column 17",
        ),
        (
            r#"{"other": [1, 2"#,
            "it ends too early, at line 1, column 16",
        ),
        (r#"{"yes": yes}"#, "yes: it is no JSON, at line 1, column 9"),
        (r#"{"yes": true,}"#, "it is no JSON, at line 1, column 14"),
        (r"{} {}", "it is no JSON, at line 1, column 4"),
    ] {
        assert_eq!(sample(text).unwrap_err(), sentence, "{text}");
    }
}

#[test]
fn what_has_more_entries_than_anything_is_refused_and_not_kept() {
    let many = |one: &str| vec![one; 10_001].join(",");
    let most = |one: &str| vec![one; 10_000].join(",");
    let sentence = "it has more than 10,000 entries";
    let list = |items: String| format!(r#"{{"list": [{items}]}}"#);
    assert!(sample(&list(most("{}"))).is_ok());
    assert!(sample(&list(many("{}"))).unwrap_err().contains(sentence));
    let pairs = |items: String| format!(r#"{{"pairs": {{{items}}}}}"#);
    assert!(sample(&pairs(most(r#""a":"b""#))).is_ok());
    let refused = sample(&pairs(many(r#""a":"b""#))).unwrap_err();
    assert!(refused.contains(sentence), "{refused}");
    let kept = read::<Vec<There>>(&format!("[{}]", many("{}")));
    assert!(kept.unwrap_err().to_string().contains(sentence));
}

#[test]
fn of_a_pair_that_stands_twice_the_last_one_counts() {
    let read = sample(r#"{"pairs": {"a": "1", "b": "2", "a": "3"}}"#).unwrap();
    assert_eq!(read.pairs.unwrap().get("a"), Some("3"));
}

#[test]
fn an_attempt_that_fails_goes_on_behind_the_value() {
    let text = r#"[[{"text": "a"}, 1], {"text": {}}, {"text": "b"}]"#;
    let read: Vec<Attempt<Sample<'_>>> = read(text).unwrap();
    let read: Vec<_> = read.iter().map(|Attempt(read)| read.is_ok()).collect();
    assert_eq!(read, [false, false, true]);
}

/// A value with the keys that are asked for, and others.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("text"),
        Just("number"),
        Just("yes"),
        Just("pairs"),
        Just("list"),
        Just("there"),
        Just("name"),
        Just("q\"\\{[")
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|entries| {
                let entries = entries.into_iter();
                entries
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

/// What a full parse says that a sample is.
fn expected(value: &Value) -> Option<Value> {
    let object = value.as_object()?;
    let field = |key: &str| object.get(key).filter(|value| !value.is_null());
    let pairs = field("pairs").map(|pairs| {
        let pairs = pairs.as_object()?.iter();
        let pairs = pairs.map(|(key, value)| match value {
            Value::Null => Some((key.clone(), Value::from(""))),
            Value::String(_) => Some((key.clone(), value.clone())),
            _ => None,
        });
        pairs.collect::<Option<Value>>()
    });
    let inner = |value: &Value| match value.as_object()?.get("name") {
        None | Some(Value::Null) => Some(Value::from("")),
        Some(name) => name.as_str().map(Value::from),
    };
    let list = field("list").map(|list| list.as_array()?.iter().map(inner).collect());
    Some(serde_json::json!({
        "text": field("text").map_or(Some(""), Value::as_str)?,
        "number": field("number").map_or(Some(None), |it| it.as_i64().map(Some))?,
        "yes": field("yes").map_or(Some(false), Value::as_bool)?,
        "pairs": pairs.map_or(Some(None), |it: Option<Value>| it.map(Some))?,
        "list": list.map_or(Some(None), |it: Option<Value>| it.map(Some))?,
        "there": field("there").is_some(),
    }))
}

fn seen(sample: &Sample<'_>) -> Value {
    let pairs = sample.pairs.as_ref().map(|pairs| {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .collect::<Value>()
    });
    let list = sample.list.as_ref().map(|list| {
        let names = list.iter();
        names.map(|it| Value::from(&*it.name)).collect::<Value>()
    });
    serde_json::json!({
        "text": &*sample.text,
        "number": sample.number,
        "yes": sample.yes,
        "pairs": pairs,
        "list": list,
        "there": sample.there.is_some(),
    })
}

proptest! {
    #[test]
    fn what_is_quoted_is_read_back(text in any::<String>(), controls in "[\\x00-\\x1f\"\\\\a]{0,40}") {
        for text in [text, controls] {
            let mut out = Vec::new();
            quote(&text, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn a_full_parse_sees_the_same(value in value(), pretty in any::<bool>()) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let read = sample(&text);
        prop_assert_eq!(read.ok().as_ref().map(seen), expected(&value));
    }

    #[test]
    fn no_bytes_lead_to_a_panic_and_what_is_json_is_never_taken_for_none(
        value in value(),
        wounds in prop::collection::vec(any::<(usize, u8)>(), 0..4),
    ) {
        let mut text = value.to_string().into_bytes();
        for (place, byte) in wounds {
            let place = place % text.len();
            text[place] = byte;
        }
        let text = String::from_utf8_lossy(&text);
        let read = sample(&text);
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            prop_assert_eq!(read.ok().as_ref().map(seen), expected(&value));
        }
    }
}
