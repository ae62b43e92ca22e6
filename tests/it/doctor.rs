//! The page on the doctor, and what the command says without a cluster.

use std::{fs, path::Path};

use quiescent::doctor::{Finding, Weight};

use crate::support::{golden, run};

/// The page has a row for each finding; `QUIESCENT_BLESS=1` writes them anew.
#[test]
fn the_page_lists_every_finding() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md");
    let text = fs::read_to_string(&path).unwrap();
    let begin = "<!-- findings -->\n";
    let (before, _) = text.split_once(begin).unwrap();
    let head = "| finding | check | | what it means | what to do |\n|---|---|---|---|---|\n";
    let rows = Finding::ALL.iter().map(|it| {
        let weight = match it.weight() {
            Weight::Wrong => "✘",
            Weight::Careful => "!",
        };
        let (code, check) = (it.as_str(), it.check().as_str());
        format!(
            "| `{code}` | `{check}` | {weight} | {it} | {} |\n",
            it.advice()
        )
    });
    let rows: String = rows.collect();
    golden(&path, &format!("{before}{begin}{head}{rows}"));
}

#[test]
fn what_cannot_be_done_exits_with_2() {
    for arguments in [
        &["--kubeconfig", "/nowhere"][..],
        &["--namespace", "../secrets"],
        &["--own-namespace", "a/b"],
        &["--webhook", "a/b"],
        &["--service", "A"],
        &["--timeout", "0s"],
        &["-o", "yaml"],
    ] {
        let output = run(&[&["doctor"], arguments].concat(), "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
}
