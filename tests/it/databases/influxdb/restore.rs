//! What was dumped is what is restored, and nothing else is touched.

use super::Influx;
use crate::databases::harness::{Container, Phase, Pod, overwriting};

fn furnish(influx: &Influx) {
    influx.ask("create database shop; create database \"odd \\\"db 😀\"; create database empty");
    influx.ask(
        "create retention policy \"keep it\" on shop duration inf replication 1 shard duration 1d",
    );
    influx.ask(
        "create continuous query mean on shop begin \
         select mean(v) into \"m, 2\" from m group by time(1m) end",
    );
    influx.ask("create user app with password 'x'; create user \"o'brien\" with password 'x'");
    influx.ask("grant all on shop to app; grant read on \"odd \\\"db 😀\" to \"o'brien\"");
    let lines: Vec<String> = (1..=2000)
        .map(|n| {
            format!(
                "m,tag=a\\ b,n={} v={n},s=\"x😀\\\"\\\\\",yes=true {n}000000000",
                n % 50
            )
        })
        .collect();
    influx.write("shop", &lines.join("\n"));
    influx.write("odd%20%22db%20%F0%9F%98%80", "m v=1i 5");
    influx.ask_in("shop", "select * into \"keep it\".copy from m group by *");
}

/// All that one can see of the databases.
fn digest(influx: &Influx) -> Vec<String> {
    [
        "show databases",
        "show retention policies on shop",
        "show continuous queries",
        "show series on shop",
        "select * from shop.autogen.m order by time",
        "select * from shop.\"keep it\".copy order by time",
        "select * from \"odd \\\"db 😀\"..m",
        "show grants for app",
        "show grants for \"o'brien\"",
    ]
    .map(|question| influx.ask(question))
    .into()
}

fn survives(container: &Container, password: &'static str) {
    if !Influx::at_hand() {
        return;
    }
    let server = Influx::start(password);
    furnish(&server);
    let digests = digest(&server);
    let pod = Pod::inject(&server.pod(), &[]);
    pod.run(Phase::Pre, container).is_ok();
    pod.run(Phase::Post, container).is_ok();
    assert_eq!(pod.manifest().unwrap()["shards"], "3");

    // As an image leaves it that was told to make a database and a user.
    let fresh = Influx::start(password);
    fresh.ask("create database shop; create user app with password 'y'; grant all on shop to app");
    fresh.ask("create user \"o'brien\" with password 'y'");
    let restored = Pod::inject(&fresh.pod(), &[]).restored_from(&pod);
    restored.run(Phase::Restore, container).is_ok();
    for (now, then) in digest(&fresh).into_iter().zip(digests) {
        assert!(now == then, "{now:.500}\n\n{then:.500}");
    }

    fresh.write("shop", "since v=1 1");
    restored
        .run(Phase::Restore, container)
        .is_skipped("already-loaded");
    assert!(fresh.ask("select * from shop..since").contains("since"));
}

#[test]
fn databases_survive_without_a_password() {
    survives(&Container::default(), "");
}

#[test]
fn databases_survive_as_root_with_bash_and_a_password() {
    survives(&Container::of_user(0).with_shell("bash"), "secret");
}

#[test]
fn databases_survive_as_any_user_with_busybox_and_a_password() {
    survives(&Container::of_user(4242).with_shell("busybox"), "secret");
}

/// A backup asks for no password. What an administrator alone may ask is not in it, and that is said.
#[test]
fn databases_survive_where_nobody_knows_an_administrators_password() {
    if !Influx::at_hand() {
        return;
    }
    let server = Influx::start("secret");
    furnish(&server);
    let no_administrator = [
        ("INFLUXDB_ADMIN_USER", "app"),
        ("INFLUXDB_ADMIN_PASSWORD", "x"),
    ];
    for environment in [&[][..], &no_administrator] {
        let pod = Pod::inject(&server.pod_with(environment), &[]);
        let done = pod.run(Phase::Pre, &Container::default());
        done.is_ok();
        assert!(done.said.contains("without continuous queries"), "{done:?}");
        let mut files = pod.files().into_keys();
        assert!(!files.any(|it| it.ends_with("queries") || it.ends_with("grants")));
        let fresh = Influx::start("secret");
        let restored = Pod::inject(&fresh.pod_with(&[]), &[]).restored_from(&pod);
        restored.run(Phase::Restore, &Container::default()).is_ok();
        let points = fresh.ask("select count(v) from shop..m");
        assert!(points.ends_with(",2000"), "{points}");
    }
}

#[test]
fn a_user_of_the_dump_that_is_not_there_is_named() {
    if !Influx::at_hand() {
        return;
    }
    let server = Influx::start("");
    furnish(&server);
    let pod = Pod::inject(&server.pod(), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let fresh = Influx::start("");
    let restored = Pod::inject(&fresh.pod(), &[]).restored_from(&pod);
    let done = restored.run(Phase::Restore, &Container::default());
    done.is_ok();
    assert!(done.said.contains("\"app\" \"o'brien\""), "{done:?}");
}

#[test]
fn data_of_others_are_never_overwritten() {
    if !Influx::at_hand() {
        return;
    }
    let server = Influx::start("");
    furnish(&server);
    let pod = Pod::inject(&server.pod(), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();

    let fresh = Influx::start("");
    fresh.ask("create database empty; create database shop");
    fresh.write("shop", "mine v=1 1");
    let restored = Pod::inject(&fresh.pod(), &[]).restored_from(&pod);
    restored.run(Phase::Restore, &Container::default()).failed(
        6,
        &["database \"shop\" has measurements", "nothing was changed"],
    );
    let databases = fresh.ask("show databases");
    assert!(databases.contains("empty") && !databases.contains("odd"));
    assert!(fresh.ask("select * from shop..mine").contains("mine"));

    let told = overwriting(fresh.pod(), "influxdb-dump");
    let told = Pod::inject(&told, &[]).restored_from(&pod);
    told.run(Phase::Restore, &Container::default()).is_ok();
    assert!(!fresh.ask("show measurements on shop").contains("mine"));
    assert!(fresh.ask("show databases").contains("odd"));
}
