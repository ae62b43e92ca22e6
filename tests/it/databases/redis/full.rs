//! A data volume without room for another save: hooks whose save the server writes there say so.

use std::process::Command;

use super::{Redis, tool};
use crate::{
    databases::{
        harness::{Container, Phase, Pod, in_namespace, is_root},
        installation::Installation,
        server::{output, place},
    },
    support,
};

const MOUNT: &str =
    r#"mount --make-rprivate / && mount -t tmpfs -o size=8m,mode=0777 small "$0" && exec "$@""#;

/// A server whose folder is a volume of 8 MiB, which those who enter its container see too.
fn on_a_small_volume() -> Redis {
    let own = Installation::own();
    let place = place();
    let home = place.0.path().to_owned();
    let server = own.unprivileged(&tool(&own, "server"), &home);
    let mut command = in_namespace();
    command.args(["sh", "-c", MOUNT]).arg(&home);
    command.arg(server.get_program()).args(server.get_args());
    command.arg("--dir").arg(&home);
    command.args(["--bind", "127.0.0.1", "--port", &place.1.to_string()]);
    for (setting, value) in [
        ("--save", ""),
        ("--enable-debug-command", "local"),
        ("--rdbcompression", "no"),
        ("--repl-diskless-sync", "no"),
        ("--appendonly", "yes"),
        ("--auto-aof-rewrite-percentage", "42"),
    ] {
        command.args([setting, value]);
    }
    Redis::run(&own, place, "", command).unwrap()
}

#[test]
fn a_data_volume_without_room_for_a_save_is_said_and_nothing_is_held() {
    if !Redis::at_hand() || !support::require(is_root(), "root, to enter a container") {
        return;
    }
    let server = on_a_small_volume();
    let inside = server.server.pid();
    let container = Container {
        first_process: Some(inside),
        ..Container::default()
    };
    let snapshot = Pod::inject(&server.pod_for("snapshot", &[]), &[]);
    let dump = Pod::inject(&server.pod(&[]), &[]);
    let populate = |prefix| server.ask(&["debug", "populate", "2000", prefix, "1000"]);
    let in_its_folder = |script: &str| {
        let mut shell = Command::new("nsenter");
        shell.args(["--mount", &format!("--target={inside}"), "sh", "-c", script]);
        output(shell.arg(server.server.folder.path()))
    };
    let save = |what: &str| in_its_folder(&format!("cd \"$0\" && {what}"));

    populate("first");
    for pod in [&snapshot, &dump] {
        pod.run(Phase::Pre, &container).is_ok();
        pod.run(Phase::Post, &container).is_ok();
    }
    let good = (save("sha256sum dump.rdb"), dump.files());

    // There is room for one like the last, but this one is larger.
    for prefix in ["second", "third", "fourth"] {
        populate(prefix);
    }
    snapshot
        .run(Phase::Pre, &container)
        .failed(1, &["the BGSAVE failed", "is full"]);
    assert_eq!(server.setting("auto-aof-rewrite-percentage"), "42");
    let refused = dump.run(Phase::Pre, &container);
    refused.failed(1, &[]);

    save("head -c 5000000 /dev/zero >other");
    snapshot
        .run(Phase::Pre, &container)
        .failed(1, &["are needed beside the last dump.rdb"]);
    assert_eq!(server.setting("auto-aof-rewrite-percentage"), "42");
    assert_eq!((save("sha256sum dump.rdb"), dump.files()), good);
    server.ask(&["set", "key", "value"]);

    save("rm other");
    server.ask(&["flushall"]);
    for pod in [&snapshot, &dump] {
        pod.run(Phase::Pre, &container).is_ok();
        pod.run(Phase::Post, &container).is_ok();
    }
}
