use std::sync::Arc;

use super::{TOO_EARLY, fix};
use crate::{
    diagnostic::Source,
    lint::{File, in_order, judge},
};

/// The text after its fixes, the codes of what is gone, and what was left with the reason.
fn fixed(text: &str) -> (String, Vec<&'static str>, Vec<String>) {
    let source = Arc::new(Source {
        name: "test.yaml".to_owned(),
        text: text.to_owned(),
    });
    let found = in_order(judge(&File::read(source).unwrap()));
    let fixed = fix(text, &found);
    let left = fixed.left.iter();
    (
        fixed.text,
        fixed.done.iter().map(|it| it.code).collect(),
        left.map(|(it, why)| format!("{}: {why}", it.code))
            .collect(),
    )
}

/// A pod with these annotations of its pre hook, and these containers.
fn pod(annotations: &str, containers: &str) -> String {
    let lines = annotations.lines();
    let lines = lines.map(|line| format!("    pre.hook.backup.velero.io/{line}\n"));
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: db\n  annotations:\n{}spec:\n  containers: {containers}\n",
        lines.collect::<String>()
    )
}

const ONE: &str = "[{name: db, image: x}]";

#[test]
fn what_is_missing_comes_behind_and_what_is_wrong_keeps_its_quotes_and_comments() {
    let before = pod(
        "command: \"['/bin/sync', '-f']\" # why\ntimeout: \"300\"   # long",
        ONE,
    );
    let after = pod(
        "command: \"[\\\"/bin/sync\\\",\\\"-f\\\"]\" # why\ntimeout: \"300s\"   # long\ncontainer: db\non-error: Fail",
        ONE,
    );
    let (text, done, left) = fixed(&before);
    assert_eq!(text, after);
    assert_eq!(done, ["QV012", "QV013", "QV001", "QV015"]);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_duration_is_written_where_it_is_clear_and_never_shorter_than_today() {
    let timeout = |said: &str| {
        let text = pod(
            &format!("command: /bin/sync\ncontainer: db\non-error: Fail\ntimeout: {said}"),
            ONE,
        );
        let (after, _, left) = fixed(&text);
        let line = after.lines().find(|it| it.contains("timeout")).unwrap();
        (
            line.split_once(": ").unwrap().1.to_owned(),
            left.into_iter().next(),
        )
    };
    for (said, written) in [
        ("\"30\"", "\"30s\""),
        ("300", "300s"),
        ("'90'", "'90s'"),
        ("5 min", "5m"),
        ("2H", "2h"),
        ("10seconds", "10s"),
    ] {
        assert_eq!(timeout(said), (written.to_owned(), None), "{said}");
    }
    for said in ["\"5\"", "1d", "soon", "99999", "-5m", "1.5 h"] {
        let (after, left) = timeout(said);
        assert_eq!(after, said);
        assert!(left.is_some(), "{said}");
    }
}

#[test]
fn an_array_becomes_json_where_each_argument_is_in_quotes() {
    let command = |said: &str| {
        let text = pod(
            &format!("command: {said}\ncontainer: db\non-error: Fail"),
            ONE,
        );
        let (after, _, left) = fixed(&text);
        let line = after.lines().find(|it| it.contains("command")).unwrap();
        (
            line.split_once(": ").unwrap().1.to_owned(),
            left.into_iter().next(),
        )
    };
    for (said, written) in [
        (
            "'[\"/bin/sh\", \"-c\", \"sync\",]'",
            "'[\"/bin/sh\",\"-c\",\"sync\"]'",
        ),
        ("\"[ 'a' , \\\"b, c\\\" ]\"", "\"[\\\"a\\\",\\\"b, c\\\"]\""),
        ("\"[\u{201c}a\u{201d}, 'b']\"", "\"[\\\"a\\\",\\\"b\\\"]\""),
        ("' [\"/bin/sync\"]'", "'[\"/bin/sync\"]'"),
    ] {
        assert_eq!(command(said), (written.to_owned(), None), "{said}");
    }
    for said in [
        "\"['sh', '-c', 'echo 'a b'']\"",
        "\"[sh, -c, sync]\"",
        "\"['printf', 'a\\\\n']\"",
        "\"['sh', 5]\"",
        "\"['', 'a']\"",
        "\"['a' 'b']\"",
        "'[\"a\"'",
    ] {
        let (after, left) = command(said);
        assert_eq!(after, said);
        assert!(left.is_some(), "{said}");
    }
}

#[test]
fn one_of_several_containers_is_not_chosen() {
    let text = pod(
        "command: /bin/sync\non-error: Fail",
        "[{name: a, image: x}, {name: b, image: x}]",
    );
    let (after, done, left) = fixed(&text);
    assert_eq!(after, text);
    assert!(done.is_empty());
    assert!(left[0].contains("several containers"), "{left:?}");
}

#[test]
fn what_is_not_in_the_text_is_left() {
    let text = pod("command: /bin/sync\non-error: Fail\ntimeout: \"300\"", ONE);
    let source = Arc::new(Source {
        name: "test.yaml".to_owned(),
        text: text.clone(),
    });
    let found = in_order(judge(&File::read(source).unwrap()));
    let other = format!("# longer\n{text}");
    for text in ["", "# nothing\n", "kind: [", &other] {
        let fixed = fix(text, &found);
        assert_eq!(fixed.text, text);
        assert!(fixed.done.is_empty());
        let left: Vec<_> = fixed
            .left
            .iter()
            .map(|(it, why)| (it.code, &**why))
            .collect();
        let why = "what changes is not found in the text";
        assert_eq!(left, [("QV012", why), ("QV015", why)], "{text}");
    }
}

#[test]
fn what_stands_behind_an_alias_is_left_and_its_neighbours_are_not() {
    let pod = |annotations: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, annotations: {annotations}}}\nspec: {{containers: {ONE}}}\n"
        )
    };
    let text = format!(
        "x: &x\n  pre.hook.backup.velero.io/command: /bin/sync\n  pre.hook.backup.velero.io/timeout: '60'\n{}---\n{}",
        pod("*x"),
        pod(
            "{pre.hook.backup.velero.io/command: /bin/sync, pre.hook.backup.velero.io/container: db}"
        ),
    );
    let (after, done, left) = fixed(&text);
    let changed = "{pre.hook.backup.velero.io/command: /bin/sync, pre.hook.backup.velero.io/container: db,\n    pre.hook.backup.velero.io/on-error: Fail}";
    assert!(after.ends_with(&pod(changed)), "{after}");
    assert_eq!(done, ["QV013"]);
    assert_eq!(
        left,
        [
            "QV012: what changes stands behind an alias or a merge key",
            "QV015: a change in place would change something else with it",
            &format!("QV013: {TOO_EARLY}"),
        ]
    );
}
