//! A dump taken while others write has all that was acknowledged before the hook began.

use super::MariaDb;
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
        "start transaction; update shop.account set balance = balance - 1 where id = {from}; \
         update shop.account set balance = balance + 1 where id = {to}; \
         update shop.big set note = '{number}' where id = {touched}; \
         insert into shop.written values ({writer}, {number}); \
         update shop.counter set n = n + 1; commit; select 'ack {number}';\n"
    )
}

#[test]
fn every_write_acknowledged_before_the_hook_is_there_after_a_restore() {
    if !MariaDb::at_hand() {
        return;
    }
    let server = MariaDb::start("secret");
    server.sql(
        "create database shop; use shop;
         create table account (id int primary key, balance int not null);
         insert into account select seq, 100 from seq_0_to_39;
         create table big (id int primary key, note text, filler text);
         insert into big select seq, '', repeat(md5(seq), 8) from seq_0_to_19999;
         create table written (worker int, number int, primary key (worker, number));
         create table counter (n int);
         insert into counter values (0)",
    );
    let pod = Pod::inject(&server.pod("secret"), &[]);
    let writers = Writers::start(|writer| session(server.session(), writer, transaction));
    writers.have_written(200);

    let before = writers.record();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    writers.have_written(20);
    pod.run(Phase::Post, &Container::default()).is_ok();
    writers.stop();

    let fresh = MariaDb::start("secret");
    let restored = Pod::inject(&fresh.pod("secret"), &[]).restored_from(&pod);
    restored.run(Phase::Restore, &Container::default()).is_ok();

    assert_eq!(fresh.sql("select sum(balance) from shop.account"), "4000");
    assert_eq!(
        fresh.sql("select n - (select count(*) from shop.written) from shop.counter"),
        "0"
    );
    for (writer, acknowledged) in before.into_iter().enumerate() {
        let last = fresh.sql(&format!(
            "select max(number) from shop.written where worker = {writer}"
        ));
        assert!(
            last.parse::<u64>().unwrap() >= acknowledged,
            "writer {writer}: {last} of {acknowledged}"
        );
        let gaps =
            format!("select max(number) - count(*) from shop.written where worker = {writer}");
        assert_eq!(fresh.sql(&gaps), "0");
    }
    let checked =
        fresh.sql("check table shop.account, shop.big, shop.written, shop.counter extended");
    assert!(
        checked.lines().all(|line| line.ends_with("\tOK")),
        "{checked}"
    );
}
