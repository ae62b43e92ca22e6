//! Lint of manifests: every rule's own examples, our fixtures of what people print, and what
//! `inject` writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use quiescent::lint::{
    Judged, Rule,
    engines::EVIDENCE,
    manual::{Page, page},
};
use serde_json::Value;

use crate::support::{golden, quiescent, run};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/lint"))
}

/// What is printed about a manifest, and the codes in it.
fn lint(text: &str) -> (String, BTreeSet<String>) {
    let output = run(&["lint", "-"], text);
    let text = String::from_utf8(output.stdout).unwrap();
    let codes = text
        .match_indices("[Q")
        .map(|(at, _)| text[at + 1..at + 6].to_owned());
    let codes = codes.collect();
    let errors = text.contains("error[");
    assert_eq!(output.status.code(), Some(i32::from(errors)), "{text}");
    (text, codes)
}

#[test]
fn every_rule_is_judged_here_or_says_who_judges_it() {
    let mut here = Vec::new();
    let mut partly = Vec::new();
    let mut elsewhere = Vec::new();
    for rule in Rule::ALL {
        let Page {
            title,
            why,
            wrong,
            right,
            source,
            later,
            ..
        } = page(*rule);
        let code = rule.code();
        assert!(
            !title.is_empty() && !why.is_empty() && !source.is_empty(),
            "{code}"
        );
        match rule.judged() {
            Judged::Here => here.push(code),
            Judged::Partly => partly.push(code),
            Judged::Elsewhere => elsewhere.push(code),
        }
        assert_eq!(rule.judged() != Judged::Here, !later.is_empty(), "{code}");
        assert_eq!(
            rule.judged() == Judged::Elsewhere,
            wrong.is_empty(),
            "{code}"
        );
        assert_eq!(wrong.is_empty(), right.is_empty(), "{code}");
        if !later.is_empty() {
            assert!(later.contains("quiescent "), "{code} names a command");
        }
    }
    let numbers: Vec<String> = (0..=55).map(|number| format!("QV{number:03}")).collect();
    let all: Vec<&str> = Rule::ALL.iter().map(|rule| rule.code()).collect();
    assert_eq!(all, numbers);
    let list = format!(
        "judged from files\n  {}\n\njudged from files as far as they tell\n  {}\n\nnot judged from files\n  {}\n",
        here.join(" "),
        partly.join(" "),
        elsewhere.join(" ")
    );
    golden(&folder().join("where.txt"), &list);
}

#[test]
fn the_wrong_example_of_a_rule_is_found_and_the_right_one_is_clean() {
    let mut wrongly = String::new();
    for rule in Rule::ALL
        .iter()
        .filter(|rule| rule.judged() != Judged::Elsewhere)
    {
        let Page { wrong, right, .. } = page(*rule);
        let code = rule.code();
        let (text, codes) = lint(&format!("{wrong}\n"));
        golden(&folder().join("rules").join(format!("{code}.txt")), &text);
        if !codes.contains(code) {
            let _ = writeln!(wrongly, "{code} is not found in its example:\n{text}");
        }
        let (text, codes) = lint(&format!("{right}\n"));
        if !codes.is_empty() {
            let _ = writeln!(wrongly, "what is right by {code} is not clean:\n{text}");
        }
    }
    assert!(wrongly.is_empty(), "{wrongly}");
}

#[test]
fn every_manifest_is_told_what_stands_beside_it() {
    for file in manifests() {
        let name = file.file_name().unwrap().to_str().unwrap();
        let output = quiescent(&["lint", name])
            .current_dir(folder())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        golden(&file.with_extension("txt"), &text);
        let findings = text.matches("[Q").count();
        assert_eq!(
            text.matches("-->").count(),
            findings,
            "{name}: each finding has a place"
        );
        assert_eq!(
            text.matches("= help").count(),
            findings,
            "{name}: each finding has a help"
        );
        let right = name.starts_with("right-");
        assert_eq!(findings == 0, right, "{name}:\n{text}");
    }
}

fn manifests() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| {
            path.extension()
                .is_some_and(|it| it == "yaml" || it == "json")
        })
        .collect();
    files.sort();
    files
}

/// The errors of the founding documents that show in a file stand in fixtures of our own words, on
/// lines with a comment such as `# E7 QV025`.
#[test]
fn errors_of_what_people_print_are_found_by_these_codes() {
    let mut found: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    let mut missed = String::new();
    for file in manifests() {
        let text = fs::read_to_string(&file).unwrap();
        let (_, codes) = lint(&text);
        for line in text.lines() {
            let Some((_, said)) = line.split_once("# E") else {
                continue;
            };
            let mut words = said.split(' ');
            let number: u32 = words.next().unwrap().parse().unwrap();
            for code in words {
                if !codes.contains(code) {
                    let name = file.display();
                    let _ = writeln!(missed, "{name}: E{number} is not found by {code}");
                }
                found.entry(number).or_default().insert(code.to_owned());
            }
        }
    }
    assert!(missed.is_empty(), "{missed}");
    let mut list = String::new();
    for number in 1..=43 {
        let codes = found.get(&number).map(|codes| {
            codes
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        });
        let _ = writeln!(
            list,
            "E{number:<3} {}",
            codes
                .unwrap_or_else(|| format!("not in a file: {}", why_not(number)))
                .trim_end()
        );
    }
    golden(&folder().join("errors.txt"), &list);
}

/// Why an error of the founding documents shows in no file, in order of their numbers.
fn why_not(number: u32) -> &'static str {
    match number {
        14 => "a drawing of an order that Velero does not keep",
        22 => "a script of a test, run by hand, that looks at the first pod only",
        23 | 24 => "a sentence about when hooks run, and what a failed one means",
        30 => "whether initdb finds lost+found depends on the storage class",
        37 => {
            "a command typed by hand; the label is right with Velero's chart, and wrong with velero install"
        }
        38 => "a command typed by hand, which shows less than one thinks",
        39..=41 => "commands of a test after a restore",
        42 => "a restore into another namespace, which may be meant so",
        _ => "",
    }
}

#[test]
fn what_inject_writes_has_no_findings() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut judged = 0;
    for folder in quiescent::library::FOLDERS {
        for case in fs::read_dir(policies.join(folder.name).join("cases")).unwrap() {
            let case = case.unwrap().path();
            let pod = fs::read_to_string(&case).unwrap();
            if !pod.starts_with("# selected") {
                continue;
            }
            let injected = run(&["inject", "-f", "-"], &pod);
            assert!(injected.status.success());
            let injected = String::from_utf8(injected.stdout).unwrap();
            let (text, codes) = lint(&injected);
            assert!(codes.is_empty(), "{}:\n{injected}\n{text}", case.display());
            judged += 1;
        }
    }
    assert!(judged >= 5);
}

#[test]
fn programs_are_told_the_same() {
    let manifest = page(Rule::BadTimeout).wrong;
    let output = |format: &str| {
        String::from_utf8(run(&["lint", "-o", format, "-"], manifest).stdout).unwrap()
    };
    let json: Value = serde_json::from_str(&output("json")).unwrap();
    assert_eq!(json["findings"][0]["code"], "QV015");
    assert_eq!(json["findings"][0]["line"], 9);
    let github = output("github");
    assert!(
        github.starts_with("::error file=standard input,line=9,col=40,title=QV015::"),
        "{github}"
    );
    assert!(github.contains("%0Ahelp: write 300s or 5m"), "{github}");
    let sarif: Value = serde_json::from_str(&output("sarif")).unwrap();
    let run = &sarif["runs"][0];
    assert_eq!(run["results"][0]["ruleId"], "QV015");
    assert_eq!(run["results"][0]["level"], "error");
    assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "QV015");
    assert_eq!(
        run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"],
        9
    );
}

#[test]
fn codes_are_selected_and_ignored() {
    let manifest = page(Rule::EngineIgnores).wrong;
    let codes = |arguments: &[&str]| {
        let output = run(
            &[&["lint", "-", "-o", "json"], arguments].concat(),
            manifest,
        );
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = json["findings"].as_array().unwrap().iter();
        findings
            .map(|it| it["code"].as_str().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        codes(&["--select", "qv023"]),
        BTreeSet::from(["QV023".to_owned()])
    );
    assert!(!codes(&["--ignore", "QV023"]).contains("QV023"));
    assert!(codes(&["--ignore", "QV"]).is_empty());
    let unknown = quiescent(&["lint", "-", "--select", "QV15"]);
    let unknown = { unknown }.output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    let told = String::from_utf8(unknown.stderr).unwrap();
    assert!(told.contains("did you mean QV015?"), "{told}");
}

#[test]
fn a_rule_is_explained() {
    let explained = run(&["lint", "--explain", "qv015"], "");
    assert_eq!(explained.status.code(), Some(0));
    golden(
        &folder().join("explain.txt"),
        &String::from_utf8(explained.stdout).unwrap(),
    );
    let engines = run(&["lint", "--explain", "QV022"], "");
    assert!(
        String::from_utf8(engines.stdout)
            .unwrap()
            .contains("does not exist")
    );
    let later = run(&["lint", "--explain", "QV032"], "");
    assert!(
        String::from_utf8(later.stdout)
            .unwrap()
            .contains("quiescent audit")
    );
    assert_eq!(
        run(&["lint", "--explain", "QV099"], "").status.code(),
        Some(2)
    );
}

#[test]
fn every_row_of_evidence_says_what_to_do_and_who_knows() {
    for row in EVIDENCE {
        assert!(
            !row.says.is_empty() && !row.help.is_empty() && !row.proof.is_empty(),
            "{}",
            row.wrong
        );
        let small = row
            .says
            .iter()
            .chain(row.unless)
            .all(|words| words.to_ascii_lowercase() == *words);
        assert!(small, "{:?} is compared in small letters", row.says);
    }
}

#[test]
fn files_of_a_folder_that_hold_no_object_are_passed_over_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("pod.yaml", page(Rule::BadTimeout).right);
    write(
        "template.yaml",
        "{{- if .Values.backup }}\nkind: Pod\n{{- end }}\n",
    );
    write("values.yaml", "backup: true\n");
    let output = run(&["lint", dir.path().to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "1 file, 0 errors, 0 warnings\n"
    );
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("template.yaml: a template"), "{told}");
    assert!(told.contains("values.yaml: no object"), "{told}");
    let named = dir.path().join("values.yaml");
    let named = run(&["lint", named.to_str().unwrap()], "");
    assert_eq!(named.status.code(), Some(1));
}

#[test]
fn a_stream_is_judged_in_the_order_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = page(Rule::BadTimeout).wrong;
    for number in 0..200 {
        fs::write(dir.path().join(format!("{number:03}.yaml")), wrong).unwrap();
    }
    let output = run(&["lint", "-o", "json", dir.path().to_str().unwrap()], "");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = json["findings"].as_array().unwrap();
    let names: Vec<&str> = findings
        .iter()
        .map(|it| it["file"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 200);
    assert!(names.is_sorted());
}
