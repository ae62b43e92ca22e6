//! What goes wrong is said in a sentence.

use super::Nats;
use crate::databases::{
    harness::{Container, Phase, Pod},
    installation::Installation,
    server::place,
};

const PHASES: [Phase; 2] = [Phase::Pre, Phase::Post];

#[test]
fn a_healthy_server_is_found_so_with_whatever_the_image_has() {
    if !Nats::at_hand() {
        return;
    }
    let server = Nats::start(&Installation::own());
    let stream = "{\"name\":\"ORDERS\",\"subjects\":[\"orders\"]}";
    let mut client = server.client();
    client.ask("$JS.API.STREAM.CREATE.ORDERS", stream);
    client.ask("orders", "one");
    let pod = Pod::inject(&server.pod(), &[]);
    let small = tempfile::tempdir().unwrap();
    let containers = [
        Container::default(),
        Container::of_user(0).with_shell("bash"),
        Container::of_a_small_image(small.path(), &[]),
    ];
    for container in &containers {
        for phase in PHASES {
            let done = pod.run(phase, container);
            done.is_ok();
            assert!(
                done.said.contains("streams=1 messages=1 server=2."),
                "{done:?}"
            );
        }
    }
    std::fs::remove_file(small.path().join("nc")).unwrap();
    let [.., small] = containers;
    pod.run(Phase::Pre, &small)
        .failed(2, &["neither nc nor bash"]);
}

#[test]
fn a_server_without_jetstream_is_skipped() {
    if !Nats::at_hand() {
        return;
    }
    let server = Nats::serve(&Installation::own(), place(), false).unwrap();
    let pod = Pod::inject(&server.pod(), &[]);
    for phase in PHASES {
        pod.run(phase, &Container::default())
            .is_skipped("no-jetstream");
    }
}
