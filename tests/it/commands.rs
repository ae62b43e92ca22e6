//! The command line as people use it.

use std::{fs, path::Path};

use quiescent::policy::{
    file::HookPolicy,
    resource::{Judged, judge, manifests},
};
use serde_json::{Value, json};

use crate::support::{golden, quiescent, run};

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: pg, namespace: shop}\nspec:\n  containers:\n    - {name: db, image: \"postgres:16\"}\n";

fn stdout(arguments: &[&str], input: &str) -> String {
    let output = run(arguments, input);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn documents_without_a_change_pass_through_byte_for_byte() {
    let others = "# a comment\napiVersion: v1\nkind:   Service   # odd\nmetadata: {\"name\": 'x'}\n---\n# only a comment\n---\n{\"kind\": \"Secret\",\"apiVersion\":\"v1\"}\n...\n";
    assert_eq!(stdout(&["inject", "-f", "-"], others), others);
    let mixed = stdout(&["inject", "-f", "-"], &format!("{others}---\n{POD}"));
    assert!(mixed.starts_with(others), "{mixed}");
}

#[test]
fn what_was_injected_once_is_not_injected_again() {
    let once = stdout(&["inject", "-f", "-"], POD);
    assert_ne!(once, POD);
    assert_eq!(stdout(&["inject", "-f", "-"], &once), once);
    let again = run(&["inject", "-f", "-"], &once);
    assert!(
        String::from_utf8(again.stderr)
            .unwrap()
            .contains("unchanged")
    );
}

#[test]
fn a_changed_document_keeps_its_comments_and_quotes() {
    let written = "# why\nkind: Pod # odd\napiVersion: 'v1'\nmetadata:\n  name: \"pg\"\n  # the end\nspec:\n  containers:\n    - name: db\n      image: 'postgres:16'\n";
    let once = stdout(&["inject", "-f", "-"], written);
    let mut lines = once.lines();
    for line in written.lines() {
        assert!(lines.any(|it| it == line), "{line:?} is gone\n{once}");
    }
    assert_eq!(stdout(&["uninject", "-f", "-"], &once), written);
}

#[test]
fn what_cannot_be_changed_in_place_is_written_anew_and_told() {
    let alias = "x: &it {name: db, image: \"postgres:16\"}\napiVersion: v1\nkind: Pod\nmetadata: {name: pg, namespace: shop}\nspec:\n  containers: [*it]\n";
    let output = run(&["inject", "-f", "-"], alias);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("Pod shop/pg") && told.contains("written anew"),
        "{told}"
    );
    assert!(told.contains("behind an alias"), "{told}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("quiescent.dev/policies: postgresql-dump@"),
        "{text}"
    );
    let told = run(&["inject", "-f", "-"], POD);
    assert!(!String::from_utf8(told.stderr).unwrap().contains("anew"));
}

#[test]
fn a_check_prints_nothing_and_tells_by_its_exit_code() {
    let output = run(&["inject", "--check", "-f", "-"], POD);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(
        told.contains("Pod shop/pg") && told.contains("would change"),
        "{told}"
    );
    let once = stdout(&["inject", "-f", "-"], POD);
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n";
    for fine in [once.as_str(), service] {
        let output = run(&["inject", "--check", "-f", "-"], fine);
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stdout.is_empty() && output.stderr.is_empty());
    }
    let unreadable = "apiVersion: v1\nkind: Pod\nspec: {containers: text}\n";
    let output = run(&["inject", "--check", "-f", "-"], unreadable);
    assert_eq!(output.status.code(), Some(2));
    assert!(!output.stderr.is_empty());
    let with_format = run(&["inject", "--check", "-o", "json", "-f", "-"], POD);
    assert_eq!(with_format.status.code(), Some(2));
}

#[test]
fn what_was_injected_is_taken_out_again() {
    let stream = format!("---\n# a comment\n{POD}---\nkind: Service\napiVersion: v1\n");
    let once = stdout(&["inject", "-f", "-"], &stream);
    assert!(once.contains("kind: ConfigMap"));
    assert_eq!(stdout(&["uninject", "-f", "-"], &once), stream);
    // The ConfigMaps of a List go too, and its other items stay.
    let list = stdout(&["inject", "-f", "-", "-o", "json"], POD);
    let less: Value = serde_json::from_str(&stdout(&["uninject", "-f", "-"], &list)).unwrap();
    let plain: Value =
        serde_json::from_str(&stdout(&["uninject", "-f", "-", "-o", "json"], POD)).unwrap();
    assert_eq!(less, plain);
    let patches: Value =
        serde_json::from_str(&stdout(&["uninject", "-f", "-", "-o", "patch"], &once)).unwrap();
    let operations = patches[0]["patch"].as_array().unwrap();
    assert!(
        operations.iter().all(|it| it["op"] == "remove"),
        "{patches}"
    );
}

#[test]
fn an_authors_hook_that_was_composed_in_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let policy = "apiVersion: quiescent.dev/v1\nkind: HookPolicy\nmetadata: {name: flush}\nspec:\n  match: {images: [postgres]}\n  hooks:\n    pre: {command: [/bin/sync], timeout: 20s, onError: Fail}\n    post: {command: [/bin/sync, -f], timeout: 20s, onError: Continue}\n  onConflict: Compose\n";
    let path = dir.path().join("policy.yaml");
    fs::write(&path, policy).unwrap();
    let path = path.to_str().unwrap();
    let written = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: pg\n  annotations:\n    pre.hook.backup.velero.io/command: '[\"/bin/date\",\"-u\"]' # mine\n    pre.hook.backup.velero.io/container: db\n    pre.hook.backup.velero.io/on-error: \"Continue\"\n    pre.hook.backup.velero.io/timeout: 90s\nspec:\n  containers:\n  - name: db\n    image: postgres\n";
    let once = stdout(&["inject", "-f", "-", "--policies", path], written);
    assert!(
        once.contains("/bin/sync") && once.contains("/bin/date"),
        "{once}"
    );
    let again = stdout(&["uninject", "-f", "-", "--policies", path], &once);
    assert_eq!(again, written.replace("90s", "1m30s"));
    // Without the policy its own command is nobody's, while what was composed tells by itself.
    let told = run(&["uninject", "-f", "-"], &once);
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("policy flush is not known here"), "{told}");
}

#[test]
fn json_goes_in_and_out() {
    let list: Value =
        serde_json::from_str(&stdout(&["inject", "-f", "-", "-o", "json"], POD)).unwrap();
    assert_eq!(list["kind"], "List");
    assert_eq!(list["items"][0]["kind"], "Pod");
    assert_eq!(list["items"][1]["kind"], "ConfigMap");
    assert_eq!(list["items"][1]["metadata"]["namespace"], "shop");
    // A List that comes in as JSON is a JSON document again.
    let again = stdout(&["inject", "-f", "-"], &list.to_string());
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again, list);
}

#[test]
fn patches_are_those_of_the_webhook_below_the_template() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: pg}\nspec:\n  template:\n    metadata: {labels: {app: pg}}\n    spec: {containers: [{name: db, image: postgres}]}\n";
    let patches: Value =
        serde_json::from_str(&stdout(&["inject", "-f", "-", "-o", "patch"], deployment)).unwrap();
    let operations = patches[0]["patch"].as_array().unwrap();
    assert!(
        operations
            .iter()
            .all(|it| it["path"].as_str().unwrap().starts_with("/spec/template/"))
    );
    assert_eq!(patches[0]["kind"], "Deployment");
}

#[test]
fn folders_and_several_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("b.yaml"), POD.trim_end()).unwrap();
    fs::write(
        dir.path().join("a.json"),
        "{\"apiVersion\":\"v1\",\"kind\":\"Service\"}",
    )
    .unwrap();
    fs::write(dir.path().join("README.md"), "not a manifest").unwrap();
    let path = dir.path().to_str().unwrap();
    let text = stdout(&["inject", path], "");
    let kinds: Vec<&str> = ["kind\":\"Service", "kind: Pod", "kind: ConfigMap"]
        .into_iter()
        .filter(|kind| text.contains(kind))
        .collect();
    assert_eq!(kinds.len(), 3, "{text}");
    assert_eq!(text.matches("\n---\n").count(), 2, "{text}");
}

#[test]
fn a_document_that_ends_in_dashes_is_still_one_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = "kind: ConfigMap\napiVersion: v1\ndata:\n  ca.pem: |\n    -----BEGIN CERTIFICATE-----\n    MA==\n    -----END CERTIFICATE-----\n";
    fs::write(dir.path().join("a.yaml"), certificate).unwrap();
    fs::write(dir.path().join("b.yaml"), POD).unwrap();
    let text = stdout(&["inject", dir.path().to_str().unwrap()], "");
    assert!(text.starts_with(&format!("{certificate}---\n")), "{text}");
}

#[test]
fn json_is_read_as_json() {
    let pod = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{\"containers\":[{\"name\":\"db\",\"image\":\"postgres\",\"args\":[\"\u{7f}\"]}]}}";
    let service = "{\"apiVersion\":\"v1\",\"kind\":\"Service\"}";
    let text = stdout(
        &["inject", "-f", "-", "-o", "json"],
        &format!("{service}\n{pod}\n"),
    );
    let services = format!("{service}\n {service}");
    assert_eq!(stdout(&["inject", "-f", "-"], &services), services);
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["items"][0]["kind"], "Service");
    assert_eq!(
        list["items"][1]["spec"]["containers"][0]["args"][0],
        "\u{7f}"
    );
}

#[test]
fn what_is_written_anew_means_the_same() {
    let odd = [
        "yes",
        "0755",
        "1e3",
        "~",
        "null",
        " x ",
        "a: b",
        "# c",
        "- d",
        "\ttab\n\tmore\n",
        "\n\tx",
        "line\n\n",
        "é\u{1f980}",
        "'",
        "\"",
        "",
        "y",
        "2024-01-01",
        "0x10",
        "{",
        "[a",
        "&a",
        "*a",
        "!x",
        "%x",
        "@x",
        "`x",
        "|",
        ">",
        "key:",
        "trailing \nspace",
    ];
    let mut pod = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pg"}, "spec": {"containers": [{"name": "db", "image": "postgres", "args": odd}]}});
    pod["metadata"]["labels"] = serde_json::json!({"yes": "no", "012": "x"});
    let injected = stdout(
        &["inject", "-f", "-", "-o", "yaml"],
        &format!(
            "---\n{}",
            serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [pod]})
        ),
    );
    let text = injected.split("\n---\n").next().unwrap();
    let documents = quiescent::yaml::parse(text).unwrap();
    let list = documents[0].root.as_ref().unwrap().to_json();
    assert_eq!(
        list["items"][0]["spec"]["containers"][0]["args"],
        serde_json::json!(odd)
    );
}

#[test]
fn the_namespace_decides_where_its_labels_are_told() {
    let explain = |labels: &[&str]| stdout(&[&["explain", "-f", "-"][..], labels].concat(), POD);
    assert!(
        explain(&["--namespace-labels", "quiescent.dev/inject=disabled"])
            .contains("inject says disabled")
    );
    assert!(explain(&["--mode", "opt-in"]).contains("labels of the namespace are not known"));
    assert!(
        explain(&[
            "--mode",
            "opt-in",
            "--namespace-labels",
            "quiescent.dev/inject=enabled"
        ])
        .contains("✔ postgresql-dump")
    );
    assert!(
        explain(&["--namespace-labels", "quiescent.dev/method=snapshot"])
            .contains("✔ postgresql-snapshot")
    );
    assert!(explain(&["--default-method", "snapshot"]).contains("✔ postgresql-snapshot"));
}

#[test]
fn explain_says_what_a_snapshot_hook_does() {
    let hook = |name: &str, labels: Value| {
        json!({
            "apiVersion": "quiescent.dev/v1", "kind": "SnapshotHook",
            "metadata": {"name": name},
            "spec": {
                "targetPVC": "data-pg-1", "podLabels": labels,
                "preHook": {"exec": {"command": ["hold"]}},
            },
        })
    };
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "pg"},
        "spec": {
            "template": {
                "metadata": {"labels": {"app": "pg"}},
                "spec": {"containers": [{"name": "postgres", "image": "postgres:16"}]},
            },
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        },
    });
    let explain = |hooks: &[Value]| {
        let documents = hooks.iter().chain([&set]).map(Value::to_string);
        let text = documents.collect::<Vec<_>>().join("\n---\n");
        let output = run(&["explain", "-f", "-"], &format!("# hooks\n{text}\n"));
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), said)
    };
    let mine = || hook("mine", json!({}));
    for (hooks, code, says) in [
        (vec![], 0, None),
        (vec![mine()], 0, Some("✔ SnapshotHook mine")),
        (
            vec![hook("others", json!({"role": "primary"}))],
            0,
            Some("– SnapshotHook others"),
        ),
        (
            vec![mine(), hook("second", json!({"app": "pg"}))],
            1,
            Some("mine (of data-pg-1), second (of data-pg-1)"),
        ),
    ] {
        let (ended, said) = explain(&hooks);
        assert_eq!(ended, code, "{said}");
        assert_eq!(
            said.contains("snapshots without Velero"),
            says.is_some(),
            "{said}"
        );
        assert!(says.is_none_or(|it| said.contains(it)), "{said}");
    }
}

#[test]
fn explain_says_the_same_to_programs() {
    let pods: Value =
        serde_json::from_str(&stdout(&["explain", "-f", "-", "-o", "json"], POD)).unwrap();
    let verdicts = pods[0]["verdicts"].as_array().unwrap();
    let of = |name: &str| {
        verdicts
            .iter()
            .find(|verdict| verdict["policy"] == name)
            .unwrap()
    };
    assert_eq!(of("postgresql-dump")["selected"], true);
    assert_eq!(of("redis-dump")["reason"], "image");
    assert_eq!(pods[0]["applied"][0]["container"], "db");
}

#[test]
fn scripts_are_what_injected_pods_refer_to() {
    let config_maps: Value =
        serde_json::from_str(&stdout(&["scripts", "-n", "shop", "-o", "json"], "")).unwrap();
    let injected: Value =
        serde_json::from_str(&stdout(&["inject", "-f", "-", "-o", "json"], POD)).unwrap();
    let items = config_maps["items"].as_array().unwrap();
    assert!(items.contains(&injected["items"][1]));
    assert!(
        items
            .iter()
            .all(|it| it["immutable"] == true && it["metadata"]["namespace"] == "shop")
    );
}

#[test]
fn an_exported_policy_is_the_same_policy() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("mine");
    let target = target.to_str().unwrap();
    assert!(
        run(&["library", "export", "mariadb-dump", target], "")
            .status
            .success()
    );
    assert_eq!(run(&["lint", target], "").status.code(), Some(0));
    let scripts =
        |policies: &[&str]| stdout(&[&["scripts", "-o", "json"][..], policies].concat(), "");
    let library: Value = serde_json::from_str(&scripts(&[])).unwrap();
    let exported: Value = serde_json::from_str(&scripts(&["--policies", target])).unwrap();
    assert!(
        library["items"]
            .as_array()
            .unwrap()
            .contains(&exported["items"][0])
    );
    let again = run(&["library", "export", "mariadb-dump", target], "");
    assert_eq!(
        again.status.code(),
        Some(2),
        "nothing of somebody's is overwritten"
    );
}

#[test]
fn the_schema_in_the_tree_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/hookpolicy.schema.json");
    let schema = stdout(&["schema"], "");
    golden(&path, &schema);
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for folder in quiescent::library::FOLDERS {
        let documents = quiescent::yaml::parse(folder.policy).unwrap();
        let root = documents[0].root.as_ref().unwrap();
        assert!(validator.is_valid(&root.to_json()), "{}", folder.name);
        let mut wrong = root.to_json();
        wrong["spec"]["hooks"]["pre"]["timeout"] = "300".into();
        assert!(!validator.is_valid(&wrong));
        wrong = root.to_json();
        wrong["spec"]["unknown"] = true.into();
        assert!(!validator.is_valid(&wrong));
        let typed: HookPolicy = quiescent::yaml::decode(root).unwrap();
        assert_eq!(typed.metadata.name, folder.name);
    }
}

#[test]
fn the_custom_resources_in_the_tree_are_those_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/base/crds.yaml");
    let head = "# The custom resources of policies, as quiescent schema --crd prints them.\n";
    golden(
        &path,
        &format!("{head}{}", stdout(&["schema", "--crd"], "")),
    );
}

#[test]
fn the_custom_resources_of_snapshots_in_the_tree_are_those_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/components/snapshots/crds.yaml");
    let head =
        "# The custom resources of snapshots, as quiescent schema --snapshot-crd prints them.\n";
    golden(
        &path,
        &format!("{head}{}", stdout(&["schema", "--snapshot-crd"], "")),
    );
}

#[test]
fn a_policy_of_the_library_means_the_same_as_an_object_of_a_cluster() {
    let places = quiescent::library::policies();
    for (folder, place) in quiescent::library::FOLDERS.iter().zip(places) {
        for (namespace, kind) in [(None, "ClusterHookPolicy"), (Some("shop"), "HookPolicy")] {
            let object = &manifests(&folder.input(), namespace)[0];
            assert_eq!(object["kind"], kind);
            let Judged { policy, remark } = judge(object);
            let policy = policy.unwrap_or_else(|| panic!("{}: {remark:?}", folder.name));
            assert_eq!(policy.namespace.as_deref(), namespace);
            assert_eq!(policy.provenance(), place.policy.provenance());
            assert_eq!(
                policy.config_map_manifest(namespace),
                place.policy.config_map_manifest(namespace)
            );
        }
    }
    let show = [
        "library",
        "show",
        "influxdb-dump",
        "-o",
        "resource",
        "-n",
        "shop",
    ];
    let documents = quiescent::yaml::parse(&stdout(&show, "")).unwrap();
    let mut folders = quiescent::library::FOLDERS.iter();
    let folder = folders.find(|it| it.name == "influxdb-dump").unwrap();
    let printed = documents[0].root.as_ref().unwrap().to_json();
    assert_eq!(printed, manifests(&folder.input(), Some("shop"))[0]);
}

#[test]
fn exit_codes_tell_what_happened() {
    let code = |arguments: &[&str], input: &str| run(arguments, input).status.code();
    assert_eq!(code(&["version"], ""), Some(0));
    assert_eq!(code(&["inject", "-f", "/nowhere.yaml"], ""), Some(2));
    assert_eq!(code(&["inject", "-f", "-"], "a: [1"), Some(2));
    assert_eq!(
        code(
            &["inject", "-f", "-"],
            "apiVersion: v1\nkind: Pod\nspec: {containers: text}\n"
        ),
        Some(2)
    );
    assert_eq!(code(&["inject"], ""), Some(2));
    assert_eq!(code(&["library", "show", "postgres-dump"], ""), Some(2));
    assert_eq!(code(&["lint", "/nowhere"], ""), Some(2));
    assert_eq!(code(&["no-such-command"], ""), Some(2));
    let told = run(&["library", "show", "postgres-dump"], "");
    assert!(
        String::from_utf8(told.stderr)
            .unwrap()
            .contains("did you mean \"postgresql-dump\"?")
    );
    let told = run(&["inject", "-f", "-"], "a: 1\nb: [1\n");
    assert!(
        String::from_utf8(told.stderr)
            .unwrap()
            .contains("standard input:")
    );
}

#[test]
fn help_version_and_completions_are_there() {
    assert_eq!(
        stdout(&["version"], ""),
        format!("quiescent {}\n", env!("CARGO_PKG_VERSION"))
    );
    for command in [
        "serve",
        "inject",
        "uninject",
        "explain",
        "lint",
        "scripts",
        "library",
        "schema",
        "completions",
    ] {
        assert!(
            stdout(&[command, "--help"], "").contains("Usage:"),
            "{command}"
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&["completions", shell], "").contains("quiescent"));
    }
}

#[test]
fn colours_are_for_terminals_only() {
    let escape = '\u{1b}';
    assert!(!stdout(&["explain", "-f", "-"], POD).contains(escape));
    assert!(stdout(&["explain", "-f", "-", "--color", "always"], POD).contains(escape));
    let no_color = quiescent(&["library", "list"])
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(!String::from_utf8(no_color.stdout).unwrap().contains(escape));
}

#[test]
fn what_programs_read_is_printed_byte_for_byte() {
    let pod = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pg"}, "spec": {"containers": [{"name": "db", "image": "postgres", "args": ["\u{7f}"]}]}});
    for command in ["inject", "uninject"] {
        let list = stdout(&[command, "-f", "-", "-o", "json"], &pod.to_string());
        let list: Value = serde_json::from_str(&list).unwrap();
        let argument = &list["items"][0]["spec"]["containers"][0]["args"][0];
        assert_eq!(argument, "\u{7f}", "{command}");
    }
}

#[test]
fn scripts_in_the_policy_are_worth_those_in_its_folder() {
    let policy = |more: &str| {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "apiVersion: quiescent.dev/v1
kind: HookPolicy
metadata: {{name: orders}}
spec:
  match: {{images: [orders]}}
  hooks:
    pre: {{script: pre.sh, timeout: 1m, onError: Fail}}
    post: {{command: [/bin/true], timeout: 1m, onError: Continue}}
{more}"
        );
        fs::write(folder.path().join("policy.yaml"), text).unwrap();
        folder
    };
    let printed = |folder: &tempfile::TempDir| {
        let path = folder.path().to_str().unwrap();
        let done = run(&["scripts", "-o", "json", "--policies", path], "");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    let beside = policy("");
    fs::create_dir(beside.path().join("scripts")).unwrap();
    fs::write(beside.path().join("scripts/pre.sh"), "sync\n").unwrap();
    let within = policy("  scriptFiles:\n    pre.sh: |\n      sync\n");
    assert_eq!(printed(&within), printed(&beside));
    // Nothing of the folder comes beside what the policy has itself.
    fs::create_dir(within.path().join("scripts")).unwrap();
    fs::write(within.path().join("scripts/post.sh"), "true\n").unwrap();
    assert_eq!(printed(&within), printed(&beside));
}
