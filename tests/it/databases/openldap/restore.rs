//! What was dumped is what is restored, and nothing else is touched.

use std::{fs, path::Path};

use super::{ADMIN, Configured, OTHER_ADMIN, Slapd};
use crate::databases::{
    harness::{Container, Phase, Pod},
    installation::Installation,
    server::place,
};

const AWKWARD: &str = "dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Müller & Söhne 😀
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: cn=Zoë \\\"Z\\\" O'Brien\\, jun.,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Zoë \"Z\" O'Brien, jun.
sn: O'Brien
userPassword: {SSHA}0000
jpegPhoto:: /9j/AAEC//4=
description:  begins with a blank and is long, so that it would be folded, were it folded, which it is not
description:: bGluZQpicmVhaw==
";

const OTHER: &str = "dn: o=other corp
objectClass: organization
o: other corp
";

fn furnish(slapd: &Slapd) {
    slapd.add(ADMIN, AWKWARD);
    slapd.add(OTHER_ADMIN, OTHER);
}

fn empty(home: &Path) {
    for folder in ["first", "second", "slapd.d"].map(|name| home.join(name)) {
        let _ = fs::remove_dir_all(folder);
    }
}

fn survives(container: &Container, configured: Configured) {
    if !Slapd::at_hand() {
        return;
    }
    let (home, _) = place();
    let slapd = Slapd::start(home.path(), configured, "");
    furnish(&slapd);
    let all = slapd.all();
    let described = slapd.pod();
    let pod = Pod::inject(&described, &[]);
    pod.run(Phase::Pre, container).is_ok();
    pod.run(Phase::Post, container).is_ok();
    let manifest = pod.manifest().unwrap();
    assert_eq!(manifest["entries"], "4");
    assert!(manifest["server"].starts_with("2."), "{manifest:?}");
    drop(slapd);

    empty(home.path());
    let restored = Pod::inject(&described, &[]).restored_from(&pod);
    restored.run_script("restore.sh", container).is_ok();
    let slapd = Slapd::serve(&Installation::own(), place(), home.path(), configured).unwrap();
    assert_eq!(slapd.all(), all);
    drop(slapd);
    restored
        .run_script("restore.sh", container)
        .is_skipped("already-loaded");
}

#[test]
fn a_directory_survives() {
    survives(&Container::default(), Configured::Folder);
}

/// What root loads belongs to slapd's user in the end, or slapd would not start.
#[test]
fn a_directory_survives_as_root_with_bash() {
    survives(
        &Container::of_user(0).with_shell("bash"),
        Configured::Folder,
    );
}

#[test]
fn a_directory_of_slapd_conf_survives_with_busybox() {
    survives(
        &Container::default().with_shell("busybox"),
        Configured::File,
    );
}

#[test]
fn a_restore_that_was_cut_off_is_begun_anew() {
    if !Slapd::at_hand() {
        return;
    }
    let (home, _) = place();
    let slapd = Slapd::start(home.path(), Configured::Folder, "");
    furnish(&slapd);
    let all = slapd.all();
    let described = slapd.pod();
    let pod = Pod::inject(&described, &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    drop(slapd);
    empty(home.path());
    let restored = Pod::inject(&described, &[]).restored_from(&pod);
    restored.run_init(&Container::default()).is_ok();
    // One database is cut short, the other is not there yet, and the configuration is half there.
    fs::write(home.path().join("first/data.mdb"), "half").unwrap();
    fs::remove_file(home.path().join("second/data.mdb")).unwrap();
    fs::remove_file(home.path().join("slapd.d/cn=config.ldif")).unwrap();
    let id = fs::read_to_string(restored.store().join("loaded")).unwrap();
    let loading = restored.store().join("loading");
    fs::rename(restored.store().join("loaded"), &loading).unwrap();
    fs::write(loading, format!("{} new\n", id.trim())).unwrap();
    restored.run_init(&Container::default()).is_ok();
    let configured = Configured::Folder;
    let slapd = Slapd::serve(&Installation::own(), place(), home.path(), configured).unwrap();
    assert_eq!(slapd.all(), all);
    drop(slapd);
    fs::remove_file(restored.store().join("loaded")).unwrap();
    restored
        .run_init(&Container::default())
        .is_skipped("data-there");
}

#[test]
fn a_database_that_is_there_is_never_touched() {
    if !Slapd::at_hand() {
        return;
    }
    let (home, _) = place();
    let slapd = Slapd::start(home.path(), Configured::Folder, "");
    furnish(&slapd);
    let described = slapd.pod();
    let pod = Pod::inject(&described, &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let running = pod.run_script("restore.sh", &Container::default());
    running.failed(2, &["slapd runs in this container"]);
    drop(slapd);

    fs::remove_file(home.path().join("first/data.mdb")).unwrap();
    let second = fs::read(home.path().join("second/data.mdb")).unwrap();
    pod.run_script("restore.sh", &Container::default())
        .failed(6, &["second/data.mdb is there", "nothing was changed"]);
    assert!(!home.path().join("first/data.mdb").exists());
    assert!(second == fs::read(home.path().join("second/data.mdb")).unwrap());
}
