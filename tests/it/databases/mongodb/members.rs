//! Which servers of a set or a cluster dump, and where a dump is loaded.

use super::Mongo;
use crate::databases::harness::{Phase, Pod, eventually};

#[test]
fn the_primary_dumps_and_a_dump_is_loaded_through_any_member() {
    let Some(installation) = Mongo::at_hand() else {
        return;
    };
    let container = installation.container();
    let start = || Mongo::alone(&installation, &["--replSet", "rs"]);
    let set = || {
        let (primary, secondary, arbiter) = (start(), start(), start());
        primary.initiate("rs", &[&primary, &secondary]);
        primary.ask(&format!("if (!rs.addArb('{}').ok) quit(1)", arbiter.host()));
        eventually("there is a secondary and an arbiter", || {
            secondary.ask("print(db.isMaster().secondary)") == "true"
                && arbiter.ask("print(db.isMaster().arbiterOnly)") == "true"
        });
        (primary, secondary, arbiter)
    };
    let (primary, secondary, arbiter) = set();
    primary.ask("db.getSiblingDB('shop').orders.insert({_id: 1}, {writeConcern: {w: 2}})");
    let run = |server: &Mongo| {
        let pod = Pod::inject(&server.pod("dump", &[]), &[]);
        (pod.run(Phase::Pre, &container), pod)
    };
    let (dumped, pod) = run(&primary);
    dumped.is_ok();
    assert_eq!(pod.manifest().unwrap()["oplog"], "yes");
    run(&secondary).0.is_skipped("role=secondary");
    run(&arbiter).0.is_skipped("role=arbiter");
    let mut told = secondary.pod("dump", &[]);
    told["metadata"]["annotations"]["quiescent.dev/mongodb-dump.member"] = "secondary".into();
    Pod::inject(&told, &[]).run(Phase::Pre, &container).is_ok();
    for (server, role) in [(&secondary, "role=secondary"), (&primary, "role=primary")] {
        let checked = Pod::inject(&server.pod("snapshot", &[]), &[]).run(Phase::Pre, &container);
        checked.is_ok();
        assert!(checked.said.contains(role), "{checked:?}");
    }
    drop((primary, secondary, arbiter));

    // The pod that has the dump is not the primary any more.
    let (primary, secondary, _arbiter) = set();
    Pod::inject(&secondary.pod("dump", &[]), &[])
        .restored_from(&pod)
        .run(Phase::Restore, &container)
        .is_ok();
    assert_eq!(
        primary.ask("print(db.getSiblingDB('shop').orders.count())"),
        "1"
    );
}

#[test]
fn a_set_that_is_not_initiated_and_a_router_are_refused() {
    let Some(installation) = Mongo::at_hand() else {
        return;
    };
    let container = installation.container();
    let new = Mongo::alone(&installation, &["--replSet", "rs"]);
    let pod = Pod::inject(&new.pod("dump", &[]), &[]);
    pod.run(Phase::Pre, &container)
        .failed(2, &["is not initiated", "rs.initiate()"]);

    let config = Mongo::alone(&installation, &["--configsvr", "--replSet", "config"]);
    config.ask(&format!(
        "if (!rs.initiate({{_id: 'config', configsvr: true, members: [{{_id: 0, host: '{}'}}]}}).ok) quit(1)",
        config.host()
    ));
    eventually("the set has a primary", || {
        config.ask("print(db.isMaster().ismaster)") == "true"
    });
    let name = format!("config/{}", config.host());
    let place = crate::databases::server::place();
    let router = Mongo::serve(&installation, "mongos", place, &["--configdb", &name]).unwrap();
    for server in [&config, &router] {
        let pod = Pod::inject(&server.pod("dump", &[]), &[]);
        pod.run(Phase::Pre, &container)
            .failed(2, &["of a sharded cluster"]);
    }
}
