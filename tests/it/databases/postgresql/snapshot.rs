//! The hook of a volume snapshot looks after the server and holds nothing.

use super::Postgres;
use crate::databases::harness::{Container, Phase, Pod};

#[test]
fn a_checkpoint_is_made_and_a_server_that_is_down_is_said() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    let mut pod = server.pod(&[]);
    pod["metadata"]["labels"]["quiescent.dev/method"] = "snapshot".into();
    let pod = Pod::inject(&pod, &[]);

    let redo = "select redo_lsn from pg_control_checkpoint()";
    server.sql("postgres", "create table t ()");
    let before = server.sql("postgres", redo);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
    assert_ne!(server.sql("postgres", redo), before);
    server.sql("postgres", "create table written_meanwhile ()");

    drop(server);
    pod.run(Phase::Pre, &Container::default())
        .failed(1, &["does not answer on 127.0.0.1"]);
}
