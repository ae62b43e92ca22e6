//! The files of a dump without the policies, as the notes for operators print it.
use std::{fs, process::Command};

use super::{DUMP, Steps, cluster::Cluster};
use crate::{apiserver::kit::run, databases::by_hand::printed};

pub fn a_dump_is_had_without_us(cluster: &Cluster, steps: &Steps) {
    let here = tempfile::tempdir().unwrap();
    let kubectl = &cluster.node.kubectl;
    for (name, program) in [("kubectl", &kubectl.program), ("velero", &cluster.velero)] {
        std::os::unix::fs::symlink(program, here.path().join(name)).unwrap();
    }
    let commands = printed("databases/README.md", "Getting at a dump")
        .replace("NAME", "shop-1")
        .replace("CONTAINER", "postgres")
        .replace("POD", "pg-0");
    let path = format!(
        "{}:{}",
        here.path().display(),
        std::env::var("PATH").unwrap()
    );
    run(Command::new("sh")
        .args(["-ec", &commands])
        .current_dir(here.path())
        .env("PATH", path)
        .env("KUBECONFIG", &kubectl.kubeconfig))
    .unwrap_or_else(|error| panic!("{commands}: {error}"));
    let current = here.path().join("dump/postgresql-dump/current");
    let manifest = fs::read_to_string(current.join("manifest")).unwrap();
    assert!(manifest.contains("databases="), "{manifest}");
    run(Command::new("sha256sum")
        .args(["-c", "checksums"])
        .current_dir(&current))
    .unwrap();
    kubectl.run("delete namespace rescue --timeout 180s");
    steps.done(&format!(
        "the files of {DUMP} are had by velero and kubectl alone"
    ));
}
