//! A snapshot taken while others write has all that was acknowledged before the hook began.

use super::Redis;
use crate::databases::{
    harness::{Container, Phase, Pod},
    writers::Writers,
};

/// Coins move, a list grows, and a counter all writers share counts the transactions.
fn transaction(writer: usize, number: u64) -> String {
    format!(
        "MULTI\nDECR purse:{}\nINCR purse:{}\nRPUSH written:{writer} {number}\nINCR counter\nEXEC\nECHO \"ack {number}\"\n",
        number % 10,
        (number + 3) % 10
    )
}

#[test]
fn every_write_acknowledged_before_the_hook_is_there_after_a_restore() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &[]);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    let writers = Writers::start(|| server.session(), transaction);
    writers.have_written(200);

    let before = writers.record();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    writers.have_written(20);
    pod.run(Phase::Post, &Container::default()).is_ok();
    writers.stop();

    let fresh = Redis::start("", &["--appendonly", "yes"]);
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    restored.run(Phase::Restore, &Container::default()).is_ok();

    let number = |text: String| text.parse::<i64>().unwrap();
    let purses: i64 = (0..10)
        .map(|purse| number(fresh.ask(&["get", &format!("purse:{purse}")])))
        .sum();
    assert_eq!(purses, 0);
    let mut written = 0;
    for (writer, acknowledged) in before.into_iter().enumerate() {
        let list = format!("written:{writer}");
        let length = number(fresh.ask(&["llen", &list]));
        assert_eq!(number(fresh.ask(&["lindex", &list, "-1"])), length);
        assert!(
            length >= acknowledged.try_into().unwrap(),
            "writer {writer}: {length} of {acknowledged}"
        );
        written += length;
    }
    assert_eq!(number(fresh.ask(&["get", "counter"])), written);
}
