//! The library's own cases: pods that a policy must match and must not, with the answer beside each.

use std::{
    fs,
    path::{Path, PathBuf},
};

use quiescent::library::{FOLDERS, defaults, policies};

use crate::support::{golden, quiescent, without_hashes};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_library_is_what_lies_in_the_tree() {
    let mut folders = names(&folder());
    folders.retain(|name| folder().join(name).is_dir());
    let compiled: Vec<&str> = FOLDERS.iter().map(|folder| folder.name).collect();
    assert_eq!(folders, compiled);
    for compiled in FOLDERS {
        let scripts: Vec<&str> = compiled.scripts.iter().map(|(name, _)| *name).collect();
        let folder = folder().join(compiled.name).join("scripts");
        assert_eq!(folder.is_dir(), !scripts.is_empty());
        if folder.is_dir() {
            assert_eq!(names(&folder), scripts);
        }
    }
    let named: Vec<String> = policies()
        .into_iter()
        .map(|place| place.policy.name)
        .collect();
    assert_eq!(named, compiled, "each folder bears the name of its policy");
}

#[test]
fn the_library_has_no_findings() {
    let lint = quiescent(&["lint", "policies"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = String::from_utf8(lint.stdout).unwrap();
    assert_eq!(
        text,
        format!("{} files, 0 errors, 0 warnings\n", FOLDERS.len())
    );
}

#[test]
fn every_case_has_the_answer_that_stands_beside_it() {
    let defaults: Vec<String> = defaults()
        .into_iter()
        .map(|place| place.policy.name)
        .collect();
    for compiled in FOLDERS {
        let cases = folder().join(compiled.name).join("cases");
        let files: Vec<String> = names(&cases)
            .into_iter()
            .filter(|name| Path::new(name).extension().is_some_and(|it| it == "yaml"))
            .collect();
        assert!(
            files.len() >= 2,
            "{}: one that matches and one that does not",
            compiled.name
        );
        // What is not proven takes part only where it is named.
        let exported = tempfile::tempdir().unwrap();
        let named = if defaults.iter().any(|name| name == compiled.name) {
            Vec::new()
        } else {
            named(compiled.name, exported.path())
        };
        let mut selected = 0;
        for file in files {
            let pod = fs::read_to_string(cases.join(&file)).unwrap();
            let explain = quiescent(&["explain", "-f", &file])
                .args(&named)
                .current_dir(&cases)
                .output()
                .unwrap();
            assert!(explain.status.success());
            let text = String::from_utf8(explain.stdout).unwrap();
            golden(
                &cases.join(&file).with_extension("txt"),
                &without_hashes(&text),
            );
            let expected = pod.starts_with("# selected");
            assert!(
                expected || pod.starts_with("# passed over"),
                "{file} says which it is"
            );
            let tick = format!("✔ {} ", compiled.name);
            assert_eq!(
                text.contains(&tick),
                expected,
                "{}/{file}:\n{text}",
                compiled.name
            );
            selected += usize::from(expected);
        }
        assert!(selected > 0, "{} is selected nowhere", compiled.name);
    }
}

/// The arguments that name a policy of the library, written out into an empty folder.
fn named(policy: &str, exported: &Path) -> Vec<String> {
    let exported = exported.to_str().unwrap();
    let done = quiescent(&["library", "export", policy, exported])
        .output()
        .unwrap();
    assert!(done.status.success());
    vec!["--policies".to_owned(), exported.to_owned()]
}
