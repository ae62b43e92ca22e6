//! What goes wrong is said in a sentence, and the last good dump stays.

use super::{MySql, at_hand};
use crate::databases::{
    capture::Stopped,
    harness::{Container, Phase, Pod},
};

/// On one server of each kind.
fn on_both(test: impl Fn(&MySql)) {
    for name in ["mariadb", "mysql-8.4"] {
        if let Some(installation) = at_hand(name) {
            let server = MySql::start(&installation, "right", &[]);
            server.sql("create database shop; create table shop.t (id int)");
            test(&server);
        }
    }
}

#[test]
fn a_wrong_password_is_said_and_costs_no_dump() {
    on_both(|server| {
        let pod = Pod::inject(&server.pod("wrong"), &[]);
        pod.run(Phase::Pre, &server.container())
            .failed(2, &["does not let user \"root\" in", "Access denied"]);
        assert_eq!(pod.manifest(), None);
        pod.run(Phase::Post, &server.container())
            .failed(1, &["no finished dump"]);
    });
}

#[test]
fn a_server_that_does_not_answer_is_said_and_costs_no_dump() {
    on_both(|server| {
        let pod = Pod::inject(&server.pod("right"), &[]);
        pod.run(Phase::Pre, &server.container()).is_ok();
        let good = pod.files();
        let stopped = Stopped::all_of(server.server.pid());
        pod.run(Phase::Pre, &server.container())
            .failed(1, &["does not answer on 127.0.0.1"]);
        drop(stopped);
        assert_eq!(pod.files(), good);
        pod.run(Phase::Pre, &server.container()).is_ok();
    });
}

#[test]
fn a_server_that_is_down_is_said_and_costs_no_dump() {
    for name in ["mariadb", "mysql-8.4"] {
        let Some(installation) = at_hand(name) else {
            return;
        };
        let server = MySql::start(&installation, "right", &[]);
        let pod = Pod::inject(&server.pod("right"), &[]);
        pod.run(Phase::Pre, &installation.container()).is_ok();
        let good = pod.files();
        drop(server);
        pod.run(Phase::Pre, &installation.container())
            .failed(1, &["does not answer on 127.0.0.1"]);
        assert_eq!(pod.files(), good);
    }
}

#[test]
fn a_full_volume_is_said_and_keeps_the_last_dump() {
    on_both(|server| {
        let pod = Pod::inject(&server.pod("right"), &[]);
        let small = Container {
            volume: Some(8000),
            ..server.container()
        };
        pod.run(Phase::Pre, &small).is_ok();
        let good = pod.files();
        server.sql("use shop; create table big (b longblob)");
        server.sql("insert into shop.big values (repeat('x', 3000000)), (repeat('y', 3000000))");
        pod.run(Phase::Pre, &small)
            .failed(1, &["is full", "sizeLimit"]);
        assert_eq!(pod.files(), good);
    });
}

#[test]
fn a_missing_tool_is_said() {
    on_both(|server| {
        let pod = Pod::inject(&server.pod("right"), &[]);
        let tools = tempfile::tempdir().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(tools.path(), mode).unwrap();
        let installed = std::process::Command::new("busybox")
            .args(["--install", "-s"])
            .arg(tools.path())
            .status();
        assert!(installed.unwrap().success());
        let container = Container {
            path: tools.path().to_str().unwrap().into(),
            ..server.container()
        };
        pod.run(Phase::Pre, &container)
            .failed(2, &["this container has none of", "mysql"]);
    });
}

#[test]
fn a_load_cut_off_is_said_and_begun_anew_once_it_is_cleared() {
    on_both(|server| {
        server.sql("insert into shop.t values (1); create table shop.u (b longblob)");
        for _ in 0..8 {
            server.sql("insert into shop.u values (repeat('x', 3000000))");
        }
        let pod = Pod::inject(&server.pod("right"), &[]);
        pod.run(Phase::Pre, &server.container()).is_ok();

        let fresh = MySql::start(&server.installation, "right", &[]);
        let restored = Pod::inject(&fresh.pod("right"), &[]).restored_from(&pod);
        let hook = restored.start(Phase::Restore, &fresh.container());
        crate::databases::harness::eventually("the load has come to its tables", || {
            fresh.sql("show databases").contains("shop")
        });
        hook.kill();
        // The server ends what the client had begun.
        crate::databases::harness::eventually("the load has ended", || {
            fresh.sql("select count(*) from information_schema.processlist where user = 'root'")
                == "1"
        });
        fresh.sql("drop database shop");
        restored.run(Phase::Restore, &fresh.container()).is_ok();
        assert_eq!(fresh.everything(), server.everything());
        let settings = "select @@global.max_allowed_packet, @@global.automatic_sp_privileges";
        assert_eq!(fresh.sql(settings), "4194304\t1");
    });
}
