//! The alert rules fire when they should, and rules and dashboard name only what is measured.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{apiserver::kit::Process, support};

/// Metrics of the API server itself.
const OF_THE_API_SERVER: [&str; 2] = [
    "apiserver_admission_webhook_fail_open_count",
    "apiserver_admission_webhook_rejection_count",
];

fn shipped(file: &str) -> String {
    fs::read_to_string(in_tree("deploy/monitoring").join(file)).unwrap()
}

fn in_tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The file of rules in the PrometheusRule: what stands under its spec.
fn rules() -> String {
    let text = shipped("alerts.yaml");
    let (_, spec) = text.split_once("\nspec:\n").unwrap();
    let lines = spec
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    let promtool = Command::new("promtool").arg("--version").output();
    if !support::require(promtool.is_ok(), "promtool (Debian's package prometheus)") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yaml"), rules()).unwrap();
    let cases = in_tree("tests/it/monitoring/alerts.yaml");
    fs::copy(cases, folder.path().join("alerts.yaml")).unwrap();
    for arguments in [
        ["check", "rules", "rules.yaml"],
        ["test", "rules", "alerts.yaml"],
    ] {
        let done = Command::new("promtool")
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned()
            + &String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
    }
}

#[test]
fn every_alert_is_tried_and_has_its_paragraph() {
    let rules = rules();
    let names: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(names.len() > 10, "{names:?}");
    let tried = fs::read_to_string(in_tree("tests/it/monitoring/alerts.yaml")).unwrap();
    let page = fs::read_to_string(in_tree("docs/alerts.md")).unwrap();
    for name in &names {
        assert!(
            tried.contains(&format!("\"{name}\"")) || tried.contains(&format!("{name}\n")),
            "{name}"
        );
        assert!(page.contains(&format!("\n## {name}\n")), "{name}");
    }
    assert_eq!(page.matches("\n## ").count(), names.len());
}

#[test]
fn rules_and_dashboard_name_what_is_measured() {
    let nowhere = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        nowhere.path(),
        "{apiVersion: v1, kind: Config, current-context: c, \
         contexts: [{name: c, context: {cluster: c, user: u, namespace: quiescent}}], \
         clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], users: [{name: u, user: {token: t}}]}",
    )
    .unwrap();
    let nowhere = nowhere.path().to_str().unwrap();
    let (webhook, _) = Process::start("serve", ["--listen=127.0.0.1:0", "--admin=127.0.0.1:0"]);
    let (controller, _) = Process::start(
        "controller",
        [
            "--admin=127.0.0.1:0",
            "--certificates=issue",
            "--watch-backups",
            "--snapshots",
            "--kubeconfig",
            nowhere,
        ],
    );
    let mut measured: BTreeSet<String> = OF_THE_API_SERVER.map(str::to_owned).into();
    for process in [&webhook, &controller] {
        let metrics = process.admin("/metrics").unwrap();
        let lines = metrics.lines().filter(|line| !line.starts_with('#'));
        let names = lines.filter_map(|line| line.split(['{', ' ']).next());
        measured.extend(names.map(str::to_owned));
        // What is in the cluster has no line where nothing is known of it.
        let types = metrics.lines();
        let types = types.filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        measured.extend(types.filter_map(|(name, kind)| match kind {
            "gauge" => Some(name.to_owned()),
            "counter" => Some(format!("{name}_total")),
            _ => None,
        }));
    }

    let dashboard: Value = serde_json::from_str(&shipped("dashboard.json")).unwrap();
    let mut asked: Vec<String> = rules()
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix("expr: ")?.to_owned()))
        .collect();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().into_iter().flatten();
        asked.extend(targets.map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    assert!(asked.len() > 30, "{asked:#?}");
    for query in asked {
        // What stands in quotes are values of labels.
        let query: String = query.split('"').step_by(2).collect();
        let words = query.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        let names: Vec<&str> = words
            .filter(|word| word.starts_with("quiescent_") || word.starts_with("apiserver_"))
            .collect();
        assert!(!names.is_empty(), "{query}");
        for name in names {
            assert!(measured.contains(name), "{name} in {query}");
        }
    }
}
