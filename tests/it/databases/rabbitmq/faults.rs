//! What goes wrong is said in a sentence, and the last good dump stays.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{DEFINITIONS, Rabbit};
use crate::databases::harness::{Container, NOBODY, Phase, Pod, is_root};

/// One node for all, for it starts slowly.
#[test]
fn what_goes_wrong_is_said_and_costs_no_dump() {
    if !Rabbit::at_hand() {
        return;
    }
    let node = Rabbit::start(DEFINITIONS);
    let pod = Pod::inject(&node.pod(), &[]);
    for shell in ["bash", "busybox", "dash"] {
        pod.run(Phase::Pre, &Container::default().with_shell(shell))
            .is_ok();
    }
    let good = pod.files();

    // With the cookie of another cluster.
    let (home, _) = super::place();
    let cookie = home.path().join(".erlang.cookie");
    fs::write(&cookie, "ANOTHER").unwrap();
    fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400)).unwrap();
    if is_root() {
        std::os::unix::fs::chown(&cookie, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    Pod::inject(&Rabbit::pod_of(home.path(), node.epmd.port), &[])
        .run(Phase::Pre, &Container::default())
        .failed(1, &["does not take our connection", ".erlang.cookie"]);

    // Without room.
    let full = Container {
        volume: Some(40),
        ..Container::default()
    };
    let small = Pod::inject(&node.pod(), &[]);
    fs::write(small.volume().join("other"), vec![0; 36_000]).unwrap();
    small
        .run(Phase::Pre, &full)
        .failed(1, &["is full", "sizeLimit"]);
    assert_eq!(small.manifest(), None);

    // Without a node.
    let mut nowhere = node.pod();
    nowhere["spec"]["containers"][0]["env"][1]["value"] = "nobody@localhost".into();
    let nowhere = Pod::inject(&nowhere, &[]).restored_from(&pod);
    let restored = nowhere.files();
    nowhere
        .run(Phase::Pre, &Container::default())
        .failed(1, &["RabbitMQ does not answer", "epmd"]);
    assert_eq!(nowhere.files(), restored);
    assert_eq!(pod.files(), good);
}
