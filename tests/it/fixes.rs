//! `lint --fix`: what it mends, what it leaves, and that nothing else in a file changes.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown, symlink},
        process::CommandExt as _,
    },
    path::Path,
    process::Command,
    sync::Arc,
};

use quiescent::{
    diagnostic::{Diagnostic, Fix, Source},
    lint::{File, Rule, fix, in_order, judge, manual::page},
    yaml,
};
use serde_json::Value;

use crate::support::{copy_of_the_program, quiescent, run};

const WRONG: &str = "# the shop's database\napiVersion: v1\nkind: Pod\nmetadata:\n  name: pg\n  annotations:\n    pre.hook.backup.velero.io/command: \"['/bin/sync']\" # flush\n    pre.hook.backup.velero.io/timeout: \"300\"\nspec:\n  containers: [{name: db, image: \"postgres:17\"}]\n";
const RIGHT: &str = "# the shop's database\napiVersion: v1\nkind: Pod\nmetadata:\n  name: pg\n  annotations:\n    pre.hook.backup.velero.io/command: \"[\\\"/bin/sync\\\"]\" # flush\n    pre.hook.backup.velero.io/timeout: \"300s\"\n    pre.hook.backup.velero.io/container: db\n    pre.hook.backup.velero.io/on-error: Fail\nspec:\n  containers: [{name: db, image: \"postgres:17\"}]\n";

/// What is found in a text, if it is YAML.
pub fn found_in(text: &str) -> Option<Vec<Diagnostic>> {
    let source = Arc::new(Source {
        name: "test".to_owned(),
        text: text.to_owned(),
    });
    Some(in_order(judge(&File::read(source).ok()?)))
}

fn found(text: &str) -> Vec<Diagnostic> {
    found_in(text).unwrap()
}

pub fn trees(text: &str) -> Vec<Value> {
    let documents = yaml::parse(text).unwrap();
    let roots = documents.into_iter().filter_map(|it| it.root);
    roots.map(|root| root.to_json()).collect()
}

/// Puts the fixes into the tree, without any text.
fn by_hand(tree: &mut Value, was: &str, fixes: &[&Fix]) {
    match tree {
        Value::Object(entries) => {
            for fix in fixes {
                match fix {
                    Fix::Entry { key, text, .. } => {
                        let stem = key.rsplit_once('/').map_or("", |(stem, _)| stem);
                        let command = match stem {
                            "" => "command".to_owned(),
                            stem => format!("{stem}/command"),
                        };
                        if entries.contains_key(&command) && !entries.contains_key(key) {
                            entries.insert(key.clone(), text.as_str().into());
                        }
                    }
                    Fix::Text { at, text } => {
                        let old = trees(&was[at.clone()]).remove(0);
                        for value in entries.values_mut().filter(|it| **it == old) {
                            *value = text.as_str().into();
                        }
                    }
                    Fix::Person(_) => {}
                }
            }
            for value in entries.values_mut() {
                by_hand(value, was, fixes);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|it| by_hand(it, was, fixes)),
        _ => {}
    }
}

/// Holds that a text means after its fixes what they say, that they are made once, and that what has
/// none is still found. Returns the findings that are left.
pub fn check(text: &str) -> Vec<Diagnostic> {
    let before = found(text);
    let fixed = fix(text, &before);
    let after = found(&fixed.text);
    let again = fix(&fixed.text, &after);
    assert_eq!(again.text, fixed.text, "fixing twice is fixing once");
    assert!(again.done.is_empty());
    let mut expected = trees(text);
    let carried_out: Vec<&Fix> = fixed.done.iter().filter_map(|it| it.fix.as_ref()).collect();
    for tree in &mut expected {
        by_hand(tree, text, &carried_out);
    }
    assert_eq!(trees(&fixed.text), expected, "{text}\n{}", fixed.text);
    // What has no fix stays a finding.
    for left in &fixed.left {
        assert!(
            after.iter().any(|it| it.code == left.0.code),
            "{}",
            left.0.code
        );
    }
    after
}

#[test]
fn fixing_twice_is_fixing_once_and_the_rest_of_a_file_stays_as_it_was() {
    let mut rules = Vec::new();
    for rule in Rule::ALL {
        let page = page(*rule);
        let is_left = |after: Vec<Diagnostic>| after.iter().any(|it| it.code == rule.code());
        let fixable = |it: &Diagnostic| {
            it.code == rule.code() && it.fix.as_ref().is_some_and(Fix::is_a_change)
        };
        for wrong in [page.wrong, page.right] {
            if wrong.is_empty() {
                continue;
            }
            let text = format!("{wrong}\n");
            let fixes = found(&text).iter().any(fixable);
            assert!(
                !fixes || !page.fix.is_empty(),
                "{} says nothing of it",
                rule.code()
            );
            assert!(!check(&text).iter().any(fixable));
            if fixes {
                rules.push(rule.code());
                let windows = text.replace('\n', "\r\n");
                let json: Vec<String> = trees(&text).iter().map(|it| format!("{it:#}\n")).collect();
                let commented = text.replace('\n', " # why\n");
                for text in [text, windows, json.concat(), commented] {
                    assert!(!is_left(check(&text)), "{}: {text}", rule.code());
                }
            }
        }
        if !page.fix.is_empty() {
            assert!(
                rules.contains(&rule.code()),
                "{} has no example",
                rule.code()
            );
        }
    }
    assert_eq!(
        rules,
        ["QV001", "QV002", "QV012", "QV013", "QV015", "QV045"]
    );
}

#[test]
fn a_fixture_changes_in_the_lines_of_its_fixes_alone() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/lint"));
    let mut mended = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|it| it != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let before = found(&text);
        let fixed = fix(&text, &before);
        check(&text);
        let touched: Vec<usize> = fixed
            .done
            .iter()
            .filter_map(|it| match &it.fix {
                Some(Fix::Text { at, .. }) => Some(text[..at.start].lines().count()),
                _ => None,
            })
            .collect();
        let mut after = fixed.text.lines();
        for (number, line) in text.lines().enumerate() {
            let changes = touched.contains(&(number + 1)) || line.contains('{');
            assert!(
                changes || after.any(|it| it == line),
                "{}:{}: {line}",
                path.display(),
                number + 1
            );
        }
        mended += fixed.done.len();
    }
    assert!(mended >= 5, "{mended}");
}

#[test]
fn files_are_mended_in_place_and_judged_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pod.yaml");
    fs::write(&path, WRONG).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let lint = |arguments: &[&str]| {
        let output = quiescent(&[&["lint"], arguments, &["pod.yaml"]].concat())
            .current_dir(&dir)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = lint(&[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("--fix mends 4 of them"), "{text}");
    // A look changes nothing.
    let (code, text) = lint(&["--diff"]);
    assert_eq!(code, Some(1));
    let signs = |sign: char| {
        let lines = text.lines().filter(|it| it.starts_with(sign));
        lines.count() - 1
    };
    assert_eq!((signs('-'), signs('+')), (2, 4), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), WRONG);
    // Only what is selected is mended.
    let (code, _) = lint(&["--fix", "--select", "QV099"]);
    assert_eq!(code, Some(2));
    let (code, text) = lint(&["--fix"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), RIGHT);
    assert_eq!(text.matches("fixed[QV").count(), 4, "{text}");
    assert!(
        text.contains("fixed[QV015]: pod.yaml:8: \"300\" → 300s"),
        "{text}"
    );
    assert!(text.ends_with("1 file, 0 errors, 0 warnings\n"), "{text}");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let (code, text) = lint(&["--diff"]);
    assert_eq!((code, &*text), (Some(0), ""));
}

#[test]
fn a_file_that_is_named_in_two_ways_is_mended_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pod.yaml"), WRONG).unwrap();
    let output = quiescent(&["lint", "--fix", ".", "pod.yaml", "pod.yaml"])
        .current_dir(&dir)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let mended = fs::read_to_string(dir.path().join("pod.yaml")).unwrap();
    assert_eq!(mended, RIGHT);
}

#[test]
fn a_file_that_a_link_leads_out_to_is_left_unless_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside.yaml");
    fs::write(&outside, WRONG).unwrap();
    fs::create_dir(dir.path().join("named")).unwrap();
    symlink("../outside.yaml", dir.path().join("named/link.yaml")).unwrap();
    let lint = |arguments: &[&str]| {
        let output = quiescent(&[&["lint"], arguments].concat())
            .current_dir(&dir)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(lint(&["--diff", "named"]), "");
    let told = lint(&["--fix", "named"]);
    assert_eq!(fs::read_to_string(&outside).unwrap(), WRONG);
    let why = "a link leads to this file, out of the folder that was named";
    assert_eq!(told.matches(why).count(), 4, "{told}");
    lint(&["--fix", "named/link.yaml"]);
    assert_eq!(fs::read_to_string(&outside).unwrap(), RIGHT);
}

#[test]
fn fail_is_not_written_while_another_error_of_the_hook_stays() {
    let broken = WRONG.replace("['/bin/sync']", "['sh', 5]");
    let unread = WRONG.replace("/timeout: ", "/timeuot: ");
    let misspelt = broken.replace("/timeout: \"300\"", "/on-error: fail");
    let object = "apiVersion: velero.io/v1\nkind: Backup\nmetadata: {name: b}\nspec:\n  hooks:\n    resources:\n      - name: r\n        pre:\n          - exec:\n              container: db\n              command: []\n              timeout: 30s\n";
    for (text, arguments) in [
        (&*broken, &[][..]),
        (&unread, &[]),
        (&misspelt, &[]),
        (object, &[]),
        // What is mended, but not this time.
        (WRONG, &["--ignore", "QV001"]),
        (WRONG, &["--select", "QV013"]),
    ] {
        let output = run(&[&["lint", "--fix", "-"], arguments].concat(), text);
        let fixed = String::from_utf8(output.stdout).unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!fixed.contains("Fail"), "{arguments:?}: {fixed}{told}");
        let left = told.lines().find(|it| it.starts_with("left[QV013]"));
        let left = left.unwrap_or_else(|| panic!("{arguments:?}: {told}"));
        assert!(left.contains("another error of this hook stays"), "{left}");
    }
    // An error of another hook does not count.
    let other = "    post.hook.backup.velero.io/command: \"['sh', 5]\"\n";
    let text = WRONG.replace("spec:", &format!("{other}spec:"));
    let fixed = run(&["lint", "--fix", "-"], &text);
    let fixed = String::from_utf8(fixed.stdout).unwrap();
    assert!(
        fixed.contains("pre.hook.backup.velero.io/on-error: Fail"),
        "{fixed}"
    );
}

#[test]
fn what_was_not_selected_or_was_accepted_stays() {
    let accepted = WRONG.replace(
        "    pre.hook.backup.velero.io/timeout",
        "    # quiescent: allow QV015 because it is a test\n    pre.hook.backup.velero.io/timeout",
    );
    let fixed = run(&["lint", "--fix", "--ignore", "QV012", "-"], &accepted);
    let fixed = String::from_utf8(fixed.stdout).unwrap();
    assert!(fixed.contains("timeout: \"300\"\n"), "{fixed}");
    assert!(fixed.contains("on-error: Fail"), "{fixed}");
    assert!(!fixed.contains("/container"), "{fixed}");
}

#[test]
fn of_standard_input_the_mended_text_is_printed_and_the_rest_told() {
    let output = run(&["lint", "--fix", "-"], WRONG);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), RIGHT);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("fixed[QV001]"), "{told}");
    let several = WRONG.replace("}]", "}, {name: x, image: y}]");
    let output = run(&["lint", "--fix", "-o", "json", "-"], &several);
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(told["fixed"].as_array().unwrap().len(), 3);
    assert_eq!(told["left"][0]["code"], "QV012");
    assert!(
        told["left"][0]["because"]
            .as_str()
            .unwrap()
            .contains("several containers")
    );
    // What is right comes out as it went in.
    let output = run(&["lint", "--fix", "-"], RIGHT);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), RIGHT);
    let both = run(
        &[
            "lint",
            "--fix",
            "-",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/lint/list.json"),
        ],
        WRONG,
    );
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn a_file_that_may_not_be_written_is_told_and_the_others_are_mended() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, mode: u32| {
        let path = dir.path().join(name);
        fs::write(&path, WRONG).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (shut, open) = (file("a.yaml", 0o444), file("b.yaml", 0o666));
    let program = dir.path().join("quiescent");
    copy_of_the_program(&program);
    // Nothing is shut to root.
    if is_root() {
        chown(&open, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let told = |format: &str| {
        let mut command = Command::new(&program);
        command.args(["lint", "--fix", "-o", format, "."]);
        command.current_dir(&dir);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{format}");
        let is_said = |told: Vec<u8>| {
            let told = String::from_utf8(told).unwrap();
            told.contains("not fixed: failed to write ./a.yaml: Permission denied")
        };
        (is_said(output.stdout), is_said(output.stderr))
    };
    assert_eq!(told("text"), (true, false));
    for format in ["json", "github", "sarif"] {
        assert_eq!(told(format), (false, true), "{format}");
    }
    assert_eq!(fs::read_to_string(&shut).unwrap(), WRONG);
    assert_eq!(fs::read_to_string(&open).unwrap(), RIGHT);
}

const NOBODY: u32 = 65534;

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}
