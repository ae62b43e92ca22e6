//! What goes wrong is said in a sentence, and the last good dump stays.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{ADMIN, Configured, Slapd};
use crate::databases::{
    harness::{Container, Phase, Pod},
    server::place,
};

const ROOT: &str = "dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: x
dc: example
";

#[test]
fn a_server_that_is_down_is_dumped_as_well() {
    if !Slapd::at_hand() {
        return;
    }
    let (home, _) = place();
    let slapd = Slapd::start(home.path(), Configured::Folder, "");
    slapd.add(ADMIN, ROOT);
    let pod = Pod::inject(&slapd.pod(), &[]);
    drop(slapd);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert_eq!(pod.manifest().unwrap()["entries"], "1");
}

#[test]
fn a_configuration_that_is_not_there_or_not_for_us_is_said() {
    if !Slapd::at_hand() {
        return;
    }
    let (home, _) = place();
    let slapd = Slapd::start(home.path(), Configured::Folder, "");
    let pod = Pod::inject(&slapd.pod(), &[]);
    let database = home.path().join("first/data.mdb");
    fs::set_permissions(&database, fs::Permissions::from_mode(0o600)).unwrap();
    pod.run(Phase::Pre, &Container::of_user(4242))
        .failed(2, &["user 4242 cannot read slapd's files"]);
    pod.run(Phase::Post, &Container::default())
        .failed(1, &["no finished dump"]);

    let mut nowhere = slapd.pod();
    nowhere["metadata"]["annotations"]["quiescent.dev/openldap-dump.config"] = "/nowhere".into();
    Pod::inject(&nowhere, &[])
        .run(Phase::Pre, &Container::default())
        .failed(2, &["there is no /nowhere", "parameter config"]);
}

#[test]
fn a_damaged_database_is_said_and_costs_no_dump() {
    if !Slapd::at_hand() {
        return;
    }
    let (home, _) = place();
    let slapd = Slapd::start(home.path(), Configured::Folder, "");
    slapd.add(ADMIN, ROOT);
    let pod = Pod::inject(&slapd.pod(), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();
    drop(slapd);
    fs::write(home.path().join("first/data.mdb"), "not a database").unwrap();
    pod.run(Phase::Pre, &Container::default())
        .failed(1, &["dumping database 1"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn a_database_that_only_follows_is_skipped_and_one_of_several_providers_is_not() {
    if !Slapd::at_hand() {
        return;
    }
    let follows = "syncrepl rid=001 provider=ldap://127.0.0.1:1 searchbase=dc=example,dc=org \
                   bindmethod=simple type=refreshAndPersist retry=\"60 +\"";
    let both = format!("{follows}\nmirrormode on");
    for (further, databases) in [(follows, "1"), (&both, "2")] {
        let (home, _) = place();
        let slapd = Slapd::start(home.path(), Configured::Folder, further);
        let pod = Pod::inject(&slapd.pod(), &[]);
        pod.run(Phase::Pre, &Container::default()).is_ok();
        assert_eq!(pod.manifest().unwrap()["databases"], databases);
    }
}

#[test]
fn a_full_volume_is_said_and_keeps_the_last_dump() {
    if !Slapd::at_hand() {
        return;
    }
    let (home, _) = place();
    let slapd = Slapd::start(home.path(), Configured::Folder, "");
    slapd.add(ADMIN, ROOT);
    let pod = Pod::inject(&slapd.pod(), &[]);
    let small = Container {
        volume: Some(300),
        ..Container::default()
    };
    pod.run(Phase::Pre, &small).is_ok();
    let good = pod.files();
    let big = "x".repeat(300_000);
    slapd.add(
        ADMIN,
        &format!(
            "dn: cn=big,dc=example,dc=org\nobjectClass: device\ncn: big\ndescription: {big}\n"
        ),
    );
    pod.run(Phase::Pre, &small)
        .failed(1, &["is full", "sizeLimit"]);
    assert_eq!(pod.files(), good);
}
