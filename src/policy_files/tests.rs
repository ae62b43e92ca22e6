use std::{fs, os::unix::fs::symlink, path::Path};

use super::{InForce, Reload, Sources, Watcher, read};
use crate::policy::ScriptFile;

fn policy(name: &str) -> String {
    format!(
        "apiVersion: quiescent.dev/v1\nkind: HookPolicy\nmetadata: {{name: {name}}}\nspec:\n  match: {{images: [x]}}\n  hooks: {{pre: {{command: [a], timeout: 1m, onError: Fail}}, post: {{command: [b], timeout: 1m, onError: Continue}}}}\n"
    )
}

fn watcher(dir: &Path) -> (Watcher, InForce) {
    let sources = Sources {
        paths: vec![dir.to_owned()],
        library: false,
    };
    let loaded = sources.load().unwrap();
    let in_force = InForce::new(loaded.policies);
    let watcher = Watcher::new(sources, in_force.clone(), loaded.fingerprint);
    (watcher, in_force)
}

fn names(in_force: &InForce) -> Vec<String> {
    in_force
        .get()
        .iter()
        .map(|policy| policy.name.clone())
        .collect()
}

#[test]
fn a_change_takes_effect_and_a_bad_one_leaves_the_last_good_set() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), policy("a")).unwrap();
    let (mut watcher, in_force) = watcher(dir.path());
    assert_eq!(watcher.look(), Reload::Unchanged);
    fs::write(dir.path().join("b.yaml"), policy("b")).unwrap();
    assert_eq!(watcher.look(), Reload::Applied);
    assert_eq!(names(&in_force), ["a", "b"]);
    fs::write(dir.path().join("b.yaml"), "kind: HookPolicy").unwrap();
    assert_eq!(watcher.look(), Reload::Refused);
    assert_eq!(watcher.look(), Reload::Unchanged);
    assert_eq!(names(&in_force), ["a", "b"]);
    fs::remove_dir_all(dir.path()).unwrap();
    assert_eq!(watcher.look(), Reload::Refused);
    assert_eq!(watcher.look(), Reload::Unchanged);
    assert_eq!(names(&in_force), ["a", "b"]);
    fs::create_dir(dir.path()).unwrap();
    fs::write(dir.path().join("c.yaml"), policy("c")).unwrap();
    assert_eq!(watcher.look(), Reload::Applied);
    assert_eq!(names(&in_force), ["c"]);
}

#[test]
fn a_change_between_loading_and_watching_is_not_missed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), policy("a")).unwrap();
    let sources = Sources {
        paths: vec![dir.path().to_owned()],
        library: false,
    };
    let loaded = sources.load().unwrap();
    fs::write(dir.path().join("b.yaml"), policy("b")).unwrap();
    let in_force = InForce::new(loaded.policies);
    let mut watcher = Watcher::new(sources, in_force.clone(), loaded.fingerprint);
    assert_eq!(watcher.look(), Reload::Applied);
    assert_eq!(names(&in_force), ["a", "b"]);
}

#[test]
fn a_mounted_config_map_is_followed_through_its_links() {
    // The kubelet writes a new folder, points `..data.new` at it and renames that over `..data`.
    let dir = tempfile::tempdir().unwrap();
    let version = |number: u8, text: &str| {
        let folder = format!("..2026_{number}");
        fs::create_dir(dir.path().join(&folder)).unwrap();
        fs::write(dir.path().join(&folder).join("p.yaml"), text).unwrap();
        symlink(&folder, dir.path().join("..data.new")).unwrap();
        fs::rename(dir.path().join("..data.new"), dir.path().join("..data")).unwrap();
    };
    version(1, &policy("a"));
    symlink("..data/p.yaml", dir.path().join("p.yaml")).unwrap();
    let (mut watcher, in_force) = watcher(dir.path());
    assert_eq!(names(&in_force), ["a"]);
    version(2, &policy("b"));
    assert_eq!(watcher.look(), Reload::Applied);
    assert_eq!(names(&in_force), ["b"]);
}

#[test]
fn a_script_may_be_a_link_to_a_neighbour_and_no_further() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("policies");
    for folder in ["a/scripts", "b/scripts", "b/cases"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(dir.path().join("secret"), "s").unwrap();
    fs::write(root.join("a/scripts/pre.sh"), "a").unwrap();
    fs::write(root.join("b/policy.yaml"), policy("b")).unwrap();
    fs::write(root.join("b/cases/pod.yaml"), "kind: Pod").unwrap();
    fs::write(root.join("b/scripts/bytes"), [0xff]).unwrap();
    symlink("../../a/scripts/pre.sh", root.join("b/scripts/pre.sh")).unwrap();
    symlink(dir.path().join("secret"), root.join("b/scripts/out.sh")).unwrap();
    let inputs = read(&[root]).unwrap();
    assert_eq!(inputs.len(), 1);
    let scripts = &inputs[0].scripts;
    assert_eq!(scripts["pre.sh"], ScriptFile::Text("a".to_owned()));
    assert_eq!(scripts["out.sh"], ScriptFile::Outside);
    assert_eq!(scripts["bytes"], ScriptFile::Binary);
}

#[test]
fn what_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    assert!(
        read(&[missing])
            .unwrap_err()
            .to_string()
            .contains("missing")
    );
    assert!(
        read(&[dir.path().to_owned()])
            .unwrap_err()
            .to_string()
            .contains("no policy file")
    );
    fs::write(dir.path().join("p.yaml"), [0xff]).unwrap();
    assert!(
        read(&[dir.path().to_owned()])
            .unwrap_err()
            .to_string()
            .contains("not UTF-8")
    );
}
