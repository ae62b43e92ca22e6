//! What `audit` says of manifests: a shop with what people run, and what must not be taken for it.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{golden, quiescent, run, without_hashes};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/audit")
}

fn shop(arguments: &[&str]) -> (Option<i32>, String) {
    let output = quiescent(&[&["audit", "shop"], arguments].concat())
        .current_dir(folder())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.is_empty(), "{told}");
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

/// Without the first digits of a policy's version, which a table shows.
fn steady(text: &str) -> String {
    let mut text = without_hashes(text);
    for place in quiescent::library::policies() {
        let short = format!("{} {}…", place.policy.name, &place.policy.digest[..4]);
        text = text.replace(&short, &format!("{} POLI…", place.policy.name));
    }
    text
}

#[test]
fn every_database_of_a_shop_is_listed_and_nothing_else() {
    let (code, table) = shop(&[]);
    assert_eq!(code, Some(1));
    let long = table.lines().find(|line| line.chars().count() > 120);
    assert_eq!(long, None);
    golden(&folder().join("shop.txt"), &steady(&table));
    let (code, wide) = shop(&["-o", "wide"]);
    assert_eq!(code, Some(1));
    golden(&folder().join("shop-wide.txt"), &steady(&wide));
    let (_, json) = shop(&["-o", "json"]);
    golden(&folder().join("shop.json"), &steady(&json));
    let others = folder().join("shop/others.yaml");
    let output = run(&["audit", others.to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    assert_eq!(output.stderr, b"no pod looks like a database\n");
}

#[test]
fn yaml_says_what_json_says() {
    let (_, json) = shop(&["-o", "json"]);
    let (_, yaml) = shop(&["-o", "yaml"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let documents = quiescent::yaml::parse(&yaml).unwrap();
    assert_eq!(documents[0].root.as_ref().unwrap().to_json(), json);
}

#[test]
fn what_inject_prints_is_protected_and_exits_with_0() {
    let text = fs::read_to_string(folder().join("shop/databases.yaml")).unwrap();
    let first = text.split("\n---\n").next().unwrap();
    let before = run(&["audit", "-f", "-"], first);
    assert_eq!(before.status.code(), Some(1));
    let injected = run(&["inject", "-f", "-"], first).stdout;
    let injected = String::from_utf8(injected).unwrap();
    let judged = |input: &str| {
        let output = run(&["audit", "-f", "-", "-o", "json"], input);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let reason = told["databases"][0]["reason"].clone();
        (output.status.code(), reason.as_str().unwrap().to_owned())
    };
    assert_eq!(judged(&injected), (Some(0), "hooked".to_owned()));
    // The ConfigMap with its scripts, in another namespace.
    let (pod, config_map) = injected.split_once("\n---\n").unwrap();
    let elsewhere = config_map.replace("namespace: shop", "namespace: other");
    let lost = format!("{pod}\n---\n{elsewhere}");
    assert_eq!(judged(&lost), (Some(1), "missing_scripts".to_owned()));
    // A Schedule for another namespace.
    let schedule = "apiVersion: velero.io/v1\nkind: Schedule\nmetadata: {name: x}\nspec: {template: {includedNamespaces: [other]}}\n";
    let passed = format!("{injected}---\n{schedule}");
    assert_eq!(judged(&passed), (Some(1), "no_schedule".to_owned()));
    // Its namespace, which says that it wants none.
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {quiescent.dev/inject: disabled}}\n";
    let disabled = format!("{first}\n---\n{namespace}");
    assert_eq!(judged(&disabled), (Some(0), "disabled".to_owned()));
}

#[test]
fn what_cannot_be_done_exits_with_2() {
    let code = |arguments: &[&str], input: &str| {
        let output = run(&[&["audit"], arguments].concat(), input);
        assert!(!output.stderr.is_empty());
        output.status.code()
    };
    let broken = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: text}\n";
    assert_eq!(code(&["-f", "-"], broken), Some(2));
    assert_eq!(code(&["/nowhere"], ""), Some(2));
    assert_eq!(code(&["--kubeconfig", "/nowhere"], ""), Some(2));
    assert_eq!(code(&["-n", "../secrets"], ""), Some(2));
    assert_eq!(code(&["-l", "app=pg", "-f", "-"], ""), Some(2));
}

/// The page has a row for each reason and each engine; `QUIESCENT_BLESS=1` writes them anew.
#[test]
fn the_page_lists_every_reason_and_every_engine() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md");
    let text = fs::read_to_string(&path).unwrap();
    let mut fresh = String::new();
    let mut rest = text.as_str();
    for (mark, rows) in [
        ("reasons", reasons()),
        ("parts", parts()),
        ("engines", engines()),
    ] {
        let begin = format!("<!-- {mark} -->\n");
        let (before, after) = rest.split_once(&begin).unwrap();
        let (_, after) = after.split_once("\n\n").unwrap();
        fresh.extend([before, &begin, &rows.concat(), "\n"]);
        rest = after;
    }
    golden(&path, &(fresh + rest));
}

fn reasons() -> Vec<String> {
    let head = "| reason | verdict | what it means |\n|---|---|---|\n".to_owned();
    let all = quiescent::audit::Reason::ALL.iter();
    let rows = all.map(|it| {
        let (code, verdict) = (it.as_str(), it.verdict().as_str());
        format!("| `{code}` | `{verdict}` | {it} |\n")
    });
    std::iter::once(head).chain(rows).collect()
}

fn engines() -> Vec<String> {
    let head = "| engine | images | commands | data directories | variables of a server | variables of a client too | ports |\n|---|---|---|---|---|---|---|\n".to_owned();
    let all = quiescent::recognise::engines().iter();
    let rows = all.map(|it| {
        let list = |names: &[&str]| names.join(" ");
        let ports: Vec<String> = it.ports.iter().map(ToString::to_string).collect();
        let named = list(it.port_names);
        let ports = format!("{} {named}", ports.join(" "));
        format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            it.name,
            list(it.images).replace('*', "\\*"),
            list(it.programs),
            list(it.directories),
            list(it.variables),
            list(it.shared_variables),
            ports.trim(),
        )
    });
    std::iter::once(head).chain(rows).collect()
}

fn parts() -> Vec<String> {
    let head = "| engine | its data are named by | further directories are named by | or mounted at |\n|---|---|---|---|\n".to_owned();
    let all = quiescent::recognise::engines().iter();
    let rows = all.filter_map(|it| {
        let list = |names: &[&str]| names.join(" ").replace('*', "\\*");
        let of = &it.parts;
        let said = [list(of.data), list(of.others), list(of.paths)];
        let row = format!("| {} | {} |\n", it.name, said.join(" | "));
        said.iter().any(|it| !it.is_empty()).then_some(row)
    });
    std::iter::once(head).chain(rows).collect()
}
