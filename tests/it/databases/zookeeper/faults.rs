//! What goes wrong is said in a sentence.

use std::fs;

use super::Zookeeper;
use crate::databases::{
    capture::Stopped,
    harness::{Container, Phase, Pod},
    server::place,
};

const PHASES: [Phase; 2] = [Phase::Pre, Phase::Post];

#[test]
fn a_healthy_server_is_found_so_with_whatever_the_image_has() {
    if !Zookeeper::at_hand() {
        return;
    }
    let server = Zookeeper::start("");
    let pod = Pod::inject(&server.pod(), &[]);
    let small = tempfile::tempdir().unwrap();
    let containers = [
        Container::default(),
        Container::of_user(0).with_shell("bash"),
        Container::of_user(4242).with_shell("busybox"),
        Container::of_a_small_image(small.path(), &[]),
    ];
    for container in &containers {
        for phase in PHASES {
            let done = pod.run(phase, container);
            done.is_ok();
            assert!(done.said.contains("role=standalone nodes="), "{done:?}");
        }
    }
    fs::remove_file(small.path().join("nc")).unwrap();
    let [.., small] = containers;
    pod.run(Phase::Pre, &small)
        .failed(2, &["neither nc nor bash"]);
}

#[test]
fn a_server_that_is_down_or_does_not_answer_is_said() {
    if !Zookeeper::at_hand() {
        return;
    }
    let server = Zookeeper::start("");
    let pod = Pod::inject(&server.pod(), &[]);
    let small = tempfile::tempdir().unwrap();
    let small = (Container::of_a_small_image(small.path(), &[]), small);
    let stopped = Stopped::all_of(server.server.pid());
    for container in [&Container::default(), &small.0] {
        pod.run(Phase::Pre, container)
            .failed(1, &["does not answer on 127.0.0.1"]);
    }
    drop(stopped);
    let mut elsewhere = server.pod();
    let port = "quiescent.dev/zookeeper-copy.port";
    elsewhere["metadata"]["annotations"][port] = place().1.to_string().into();
    for phase in PHASES {
        Pod::inject(&elsewhere, &[])
            .run(phase, &Container::default())
            .failed(1, &["does not answer on 127.0.0.1"]);
    }
}

#[test]
fn a_member_without_a_quorum_is_not_worth_a_copy() {
    if !Zookeeper::at_hand() {
        return;
    }
    let here = place();
    let data = here.0.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("myid"), "1").unwrap();
    if crate::databases::harness::is_root() {
        let nobody = Some(crate::databases::harness::NOBODY);
        std::os::unix::fs::chown(&data, nobody, nobody).unwrap();
    }
    let members: String = [1, 2, 3]
        .map(|id| format!("server.{id}=127.0.0.1:{}:{}\n", place().1, place().1))
        .concat();
    let settings = format!("initLimit=5\nsyncLimit=5\n{members}");
    let server = Zookeeper::serve(here, &settings).unwrap();
    Pod::inject(&server.pod(), &[])
        .run(Phase::Pre, &Container::default())
        .failed(1, &["has no quorum"]);
}

#[test]
fn two_volumes_are_refused_unless_somebody_accepts_them() {
    if !Zookeeper::at_hand() {
        return;
    }
    let log = tempfile::tempdir_in("/dev/shm").unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(log.path(), permissions).unwrap();
    let server = Zookeeper::start(&format!("dataLogDir={}\n", log.path().display()));
    let mut described = server.pod();
    Pod::inject(&described, &[])
        .run(Phase::Pre, &Container::default())
        .failed(2, &["lies on another volume", "twoVolumes"]);
    let accept = "quiescent.dev/zookeeper-copy.twoVolumes";
    described["metadata"]["annotations"][accept] = "accept".into();
    Pod::inject(&described, &[])
        .run(Phase::Pre, &Container::default())
        .is_ok();
}
