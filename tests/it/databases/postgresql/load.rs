//! A dump taken while others write has all that was acknowledged before the hook began.

use super::Postgres;
use crate::databases::{
    harness::{Container, Phase, Pod},
    writers::{Writers, session},
};

/// Money moves, rows are changed and added, and a counter all writers share counts the transactions.
fn transaction(writer: usize, number: u64) -> String {
    let from = writer as u64 * 10 + number % 10;
    let to = writer as u64 * 10 + (number + 3) % 10;
    let touched = number * 7919 % 20_000;
    format!(
        "begin; update account set balance = balance - 1 where id = {from}; \
         update account set balance = balance + 1 where id = {to}; \
         update big set note = '{number}' where id = {touched}; \
         insert into written values ({writer}, {number}); \
         update counter set n = n + 1; commit; select 'ack {number}';\n"
    )
}

#[test]
fn every_write_acknowledged_before_the_hook_is_there_after_a_restore() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    server.sql(
        "postgres",
        "create table account (id int primary key, balance int not null);
         insert into account select id, 100 from generate_series(0, 39) id;
         create table big (id int primary key, note text, filler text);
         insert into big select id, '', repeat(md5(id::text), 8) from generate_series(0, 19999) id;
         create table written (worker int, number int, primary key (worker, number));
         create table counter (n int);
         insert into counter values (0)",
    );
    let pod = Pod::inject(&server.pod(&[]), &[]);
    let psql = || {
        let mut psql = server.client("psql", "postgres");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1"]);
        psql
    };
    let writers = Writers::start(|writer| session(psql(), writer, transaction));
    writers.have_written(200);

    let before = writers.record();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    writers.have_written(20);
    pod.run(Phase::Post, &Container::default()).is_ok();
    writers.stop();

    let fresh = Postgres::start();
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    restored.run(Phase::Restore, &Container::default()).is_ok();

    assert_eq!(
        fresh.sql("postgres", "select sum(balance) from account"),
        "4000"
    );
    assert_eq!(
        fresh.sql(
            "postgres",
            "select n - (select count(*) from written) from counter"
        ),
        "0"
    );
    for (writer, acknowledged) in before.into_iter().enumerate() {
        let last = fresh.sql(
            "postgres",
            &format!("select max(number) from written where worker = {writer}"),
        );
        assert!(
            last.parse::<u64>().unwrap() >= acknowledged,
            "writer {writer}: {last} of {acknowledged}"
        );
        let gaps = format!("select max(number) - count(*) from written where worker = {writer}");
        assert_eq!(fresh.sql("postgres", &gaps), "0");
    }
    let amcheck = fresh
        .client("pg_amcheck", "postgres")
        .args(["--install-missing", "--heapallindexed"])
        .status();
    assert!(amcheck.unwrap().success());
}
