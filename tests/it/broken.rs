//! What is said about broken policies: a folder each under `broken/`, with what is printed beside it.

use std::{collections::BTreeSet, fs, path::Path};

use quiescent::{diagnostic::Severity, policy::Rule};

use crate::support::{golden, quiescent};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/broken"))
}

#[test]
fn every_broken_policy_is_told_with_its_place_and_what_to_do() {
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let case = entry.unwrap().path();
        if !case.is_dir() {
            continue;
        }
        let name = case.file_name().unwrap().to_str().unwrap();
        let lint = quiescent(&["lint", name])
            .current_dir(folder())
            .output()
            .unwrap();
        let text = String::from_utf8(lint.stdout).unwrap();
        golden(&case.join("expected.txt"), &text);
        codes.extend(
            Rule::ALL
                .iter()
                .map(|rule| rule.code())
                .filter(|code| text.contains(*code)),
        );
        // Some things are wrong with a folder only where it is taken for one of policies.
        let loaded = quiescent(&["scripts", "--policies", name])
            .current_dir(folder())
            .output()
            .unwrap();
        let warned = String::from_utf8(loaded.stderr).unwrap();
        codes.extend(
            Rule::ALL
                .iter()
                .map(|rule| rule.code())
                .filter(|code| warned.contains(*code)),
        );
        let errors = !text.contains(" 0 errors");
        assert_eq!(lint.status.code(), Some(i32::from(errors)), "{name}");
        let findings = text.matches("[QP").count();
        assert_eq!(
            text.matches("-->").count(),
            findings,
            "{name}: each finding has a place"
        );
    }
    let untold: Vec<&str> = Rule::ALL
        .iter()
        .map(|rule| rule.code())
        .filter(|code| !codes.contains(code))
        .collect();
    assert!(untold.is_empty(), "no case for {untold:?}");
    assert!(
        Rule::ALL
            .iter()
            .any(|rule| rule.severity() == Severity::Warning)
    );
}

#[test]
fn serve_and_inject_refuse_broken_policies() {
    for command in [
        &["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"][..],
        &["inject", "-f", "-"],
    ] {
        let mut arguments = command.to_vec();
        arguments.extend(["--policies", "unknown-field"]);
        let run = quiescent(&arguments)
            .current_dir(folder())
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(1));
        let told = String::from_utf8(run.stderr).unwrap();
        assert!(told.contains("unknown-field/policy.yaml:7:5"), "{told}");
    }
}
