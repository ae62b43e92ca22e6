//! Whether the answer to a call is the one that its policy expects.

use serde_json::Value;

use crate::policy::{
    call::{Call, Statuses},
    file::Field,
};

/// So much of an answer is read, in bytes.
pub const LARGEST: usize = 1024 * 1024;

/// So much of an answer that was not expected is shown, in characters.
const SHOWN: usize = 1024;

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    pub status: u16,
    /// Not more of it than is read.
    pub body: &'a [u8],
    /// Whether that is all of it.
    pub whole: bool,
}

/// # Errors
/// Why it is not what the call expects, in one line.
pub fn judge(call: &Call, answer: Answer<'_>) -> Result<(), String> {
    let Answer {
        status,
        body,
        whole,
    } = answer;
    if !call.statuses.iter().any(|it| it.contains(status)) {
        let expected: Vec<String> = call.statuses.iter().map(Statuses::to_string).collect();
        return Err(format!(
            "status {status}, expected {}",
            expected.join(" or ")
        ));
    }
    if call.fields.is_empty() {
        return Ok(());
    }
    if !whole {
        return Err(format!(
            "status {status}, and an answer of more than {LARGEST} bytes, of which none is judged"
        ));
    }
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return Err(format!("status {status}, and the answer is no JSON"));
    };
    match call.fields.iter().find_map(|field| differs(&json, field)) {
        Some(why) => Err(format!("status {status}, and {why}")),
        None => Ok(()),
    }
}

fn differs(json: &Value, field: &Field) -> Option<String> {
    let Field { path, equals } = field;
    let name = if path.is_empty() { "the answer" } else { path };
    match json.pointer(path) {
        None => Some(format!("{name} is missing, expected {equals}")),
        Some(found) if is_same(found, equals) => None,
        // What stands there instead is the application's, and may be long.
        Some(_) => Some(format!("{name} is not {equals}")),
    }
}

/// As JSON has it, where 1 is 1.0.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq(),
        _ => one == other,
    }
}

/// What is shown of an answer: its beginning, without what came from Secrets.
#[must_use]
pub fn shown(body: &[u8], secrets: &[String]) -> String {
    let text = without(String::from_utf8_lossy(body).into_owned(), secrets);
    text.chars().take(SHOWN).collect()
}

/// The same text, with stars where a secret stood.
#[must_use]
pub fn without(text: String, secrets: &[String]) -> String {
    let lines = secrets.iter().map(|it| it.trim());
    let mut lines: Vec<&str> = lines.filter(|it| !it.is_empty()).collect();
    lines.sort_by_key(|it| std::cmp::Reverse(it.len()));
    lines
        .into_iter()
        .fold(text, |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        policy::{call::Target, file::Method},
        velero::{OnError, Timeout},
    };

    fn call(statuses: &[&str], fields: &[(&str, Value)]) -> Call {
        let statuses = statuses.iter().map(|it| Statuses::parse(it).unwrap());
        let fields = fields.iter().map(|(path, equals)| Field {
            path: (*path).to_owned(),
            equals: equals.clone(),
        });
        Call {
            method: Method::Post,
            target: Target::Pod {
                port: 80,
                path: "/".to_owned(),
            },
            headers: Vec::new(),
            body: None,
            statuses: statuses.collect(),
            fields: fields.collect(),
            ca: None,
            timeout: Timeout::from_seconds(10),
            on_error: OnError::Fail,
            retry: None,
        }
    }

    fn check(statuses: &[&str], fields: &[(&str, Value)], status: u16, body: &str) -> String {
        let answer = Answer {
            status,
            body: body.as_bytes(),
            whole: body.len() < LARGEST,
        };
        match judge(&call(statuses, fields), answer) {
            Ok(()) => "good".to_owned(),
            Err(why) => why,
        }
    }

    #[test]
    fn an_answer_is_judged_by_status_and_fields() {
        let paused = [("/state/paused", json!(true))];
        let body = r#"{"state": {"paused": true, "a/b": [1, 2.0]}}"#;
        for (statuses, fields, status, body, said) in [
            (&["2xx"][..], &[][..], 204, "", "good"),
            (&["2xx"], &[], 302, "", "status 302, expected 2xx"),
            (&["200", "409"], &[], 409, "", "good"),
            (
                &["200", "409"],
                &[],
                500,
                "",
                "status 500, expected 200 or 409",
            ),
            (&["2xx"], &paused, 200, body, "good"),
            (
                &["2xx"],
                &paused,
                200,
                r#"{"state": {"paused": "true"}}"#,
                "status 200, and /state/paused is not true",
            ),
            (
                &["2xx"],
                &paused,
                200,
                "{}",
                "status 200, and /state/paused is missing, expected true",
            ),
            (
                &["2xx"],
                &paused,
                200,
                "paused",
                "status 200, and the answer is no JSON",
            ),
            (&["2xx"], &[("/state/a~1b/1", json!(2))], 200, body, "good"),
            (&["2xx"], &[("", json!("ok"))], 200, r#""ok""#, "good"),
            (
                &["2xx"],
                &[("", json!("ok"))],
                200,
                "1",
                "status 200, and the answer is not \"ok\"",
            ),
        ] {
            assert_eq!(check(statuses, fields, status, body), said);
        }
    }

    #[test]
    fn of_more_than_is_read_only_the_status_counts() {
        let much = format!(r#"{{"paused": true, "much": "{}"}}"#, "x".repeat(LARGEST));
        assert_eq!(check(&["2xx"], &[], 200, &much), "good");
        let why = check(&["2xx"], &[("/paused", json!(true))], 200, &much);
        assert!(why.contains("more than 1048576 bytes"), "{why}");
    }

    #[test]
    fn what_came_from_a_secret_is_not_shown() {
        let secrets = ["abc\n".to_owned(), "abcdef".to_owned(), "  ".to_owned()];
        assert_eq!(
            shown(b"Bearer abcdef is not abc\xff", &secrets),
            "Bearer *** is not ***\u{fffd}"
        );
        let long = format!("{}abcdef", "x".repeat(SHOWN - 3));
        assert!(shown(long.as_bytes(), &secrets).ends_with("x***"));
    }
}
