//! A role that is no superuser: what it needs is what the page says, and what it lacks is said.

use super::{Postgres, on_every_version};
use crate::databases::{
    harness::{Phase, Pod},
    installation::Installation,
};

fn a_role_with_the_rights_of_the_page_dumps_and_without_them_it_is_told(
    installation: &Installation,
) {
    let server = Postgres::of(installation);
    let sql = |statement: &str| server.sql("postgres", statement);
    sql("create role app; create schema shop; create table shop.orders (id serial, n int)");
    sql("insert into shop.orders (n) select generate_series(1, 100)");
    sql("alter table shop.orders enable row level security");
    sql("create role backup login");
    let container = installation.container();
    let pod = server.pod(&[("PGUSER", "backup")]);
    let pod = Pod::inject(&pod, &[]);
    let run = || pod.run(Phase::Pre, &container);

    run().failed(
        2,
        &[
            "may not read all of database \"postgres\"",
            "shop",
            "GRANT pg_read_all_data TO \"backup\"",
        ],
    );
    let major: u32 = sql("show server_version_num").parse::<u32>().unwrap() / 10_000;
    if major >= 14 {
        sql("grant pg_read_all_data to backup");
    } else {
        sql("grant usage on schema shop to backup");
        run().failed(2, &["permission denied for table orders"]);
        sql("grant select on all tables in schema shop to backup");
        sql("grant select on all sequences in schema shop to backup");
    }
    run().failed(2, &["row-level security", "BYPASSRLS"]);
    sql("alter role backup bypassrls");
    let done = run();
    done.is_ok();
    assert!(done.said.contains("without their passwords"), "{done:?}");

    sql("select lo_from_bytea(4711, 'large')");
    run().failed(2, &["large object", "GRANT SELECT ON LARGE OBJECT"]);
    sql("grant select on large object 4711 to backup");
    run().is_ok();

    let fresh = Postgres::of(installation);
    fresh.sql("postgres", "create role backup login bypassrls");
    if major >= 14 {
        fresh.sql("postgres", "grant pg_read_all_data to backup");
    }
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    restored.run(Phase::Restore, &container).is_ok();
    assert_eq!(fresh.everything(), server.everything());
}

on_every_version!(a_role_with_the_rights_of_the_page_dumps_and_without_them_it_is_told);
