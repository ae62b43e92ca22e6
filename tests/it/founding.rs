//! The founding document with the `pg_dump` case: from its plain StatefulSet comes everything that
//! its hand-made one has, and what that one gets wrong is right.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use crate::support::{golden, quiescent, without_hashes};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/founding"))
}

fn inject(manifest: &str, format: &str) -> String {
    let run = quiescent(&["inject", "-f", manifest, "-n", "shop", "-o", format])
        .current_dir(folder())
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8(run.stdout).unwrap()
}

fn stateful_set(manifest: &str) -> Value {
    let list: Value = serde_json::from_str(&inject(manifest, "json")).unwrap();
    list["items"][0].clone()
}

#[test]
fn the_plain_one_comes_out_as_it_is_written_down() {
    let text = inject("plain.yaml", "yaml");
    let (stateful_set, scripts) = text.split_once("\n---\n").unwrap();
    golden(
        &folder().join("plain.expected.yaml"),
        &without_hashes(&format!("{stateful_set}\n")),
    );
    assert!(scripts.contains("kind: ConfigMap"));
}

#[test]
fn everything_that_the_hand_made_one_has_is_there_and_right() {
    let template = &stateful_set("plain.yaml")["spec"]["template"];
    let annotations: BTreeMap<String, String> =
        serde_json::from_value(template["metadata"]["annotations"].clone()).unwrap();
    let hook = |key: &str| annotations[&format!("pre.hook.backup.velero.io/{key}")].as_str();

    // A dump before the backup, with all four keys: an unset on-error would act as Continue.
    let argv: Vec<String> = serde_json::from_str(hook("command")).unwrap();
    assert_eq!(argv.last().unwrap(), "/quiescent/postgresql-dump/pre.sh");
    assert_eq!(
        (hook("container"), hook("on-error"), hook("timeout")),
        ("db", "Fail", "10m")
    );
    assert!(!hook("command").contains("PASSWORD"));
    // A post hook and a way back, which the document leaves to its reader.
    assert!(annotations.contains_key("post.hook.backup.velero.io/command"));
    assert_eq!(
        annotations["post.hook.restore.velero.io/wait-for-ready"],
        "true"
    );

    // The dump lies in a volume of its own, with a limit, mounted where the hook runs, and is what is uploaded.
    let uploaded = &annotations["backup.velero.io/backup-volumes"];
    let volumes = template["spec"]["volumes"].as_array().unwrap();
    let dump = volumes
        .iter()
        .find(|volume| volume["name"] == **uploaded)
        .unwrap();
    assert_eq!(dump["emptyDir"]["sizeLimit"], "10Gi");
    let mounts = template["spec"]["containers"][0]["volumeMounts"]
        .as_array()
        .unwrap();
    assert!(
        mounts
            .iter()
            .any(|mount| mount["name"] == **uploaded && mount["mountPath"] == "/quiescent/dump")
    );

    // Nothing of the author's is gone.
    assert_eq!(mounts[0]["subPath"], "db");
    assert_eq!(
        template["spec"]["containers"][0]["livenessProbe"]["exec"]["command"][2],
        "exec pg_isready --host $POD_IP"
    );
}

#[test]
fn the_hand_made_one_keeps_its_hooks() {
    let text = std::fs::read_to_string(folder().join("by-hand.yaml")).unwrap();
    assert_eq!(inject("by-hand.yaml", "yaml"), text);
}
