//! What goes wrong is said in a sentence, and the last good dump stays.

use super::Influx;
use crate::databases::harness::{Container, Phase, Pod};

#[test]
fn a_full_volume_is_said_and_keeps_the_last_dump() {
    if !Influx::at_hand() {
        return;
    }
    let server = Influx::start("");
    server.ask("create database shop");
    server.write("shop", "m v=1 1");
    let pod = Pod::inject(&server.pod(), &[]);
    let small = Container {
        volume: Some(300),
        ..Container::default()
    };
    pod.run(Phase::Pre, &small).is_ok();
    let good = pod.files();
    // Noise, or the backup is packed to nothing.
    let lines: Vec<String> = (0..40_000_u64)
        .map(|n| format!("m s=\"{:x}\" {n}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    server.write("shop", &lines.join("\n"));
    pod.run(Phase::Pre, &small)
        .failed(1, &["is full", "sizeLimit"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn a_dump_that_was_changed_is_not_loaded() {
    if !Influx::at_hand() {
        return;
    }
    let server = Influx::start("");
    server.ask("create database shop");
    server.write("shop", "m v=1 1");
    let pod = Pod::inject(&server.pod(), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let meta = pod.files().into_keys();
    let mut meta = meta.filter(|file| file.extension().is_some_and(|it| it == "meta"));
    std::fs::write(meta.next().unwrap(), "x").unwrap();
    let fresh = Influx::start("");
    let restored = Pod::inject(&fresh.pod(), &[]).restored_from(&pod);
    restored
        .run(Phase::Restore, &Container::default())
        .failed(1, &["are not what was written"]);
    assert!(!fresh.ask("show databases").contains("shop"));
}
