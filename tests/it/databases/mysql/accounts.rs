//! Which privileges the policies need, as their pages say.

use serde_json::{Value, json};

use super::{MySql, at_hand, is_mariadb};
use crate::databases::{
    harness::{Phase, Pod},
    server::output,
};

/// The statements that a policy's page grants with, up to a line that has this word; all without one.
fn grants(policy: &str, until: &str) -> String {
    let file = format!("{}/policies/{policy}/about.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(file).unwrap();
    let privileges = page.split("## Privileges").nth(1).unwrap();
    let statements = privileges.split("```").nth(1).unwrap();
    let statements = statements
        .strip_prefix("sql\n")
        .unwrap()
        .replace('…', "of backups");
    let end = statements.find(until).filter(|_| !until.is_empty());
    statements[..end.unwrap_or(statements.len())].to_owned()
}

/// A pod whose hooks come in as another account than root.
fn with_account(server: &MySql, policy: &str, method: &str) -> Pod {
    let mut pod: Value = server.pod(server.password);
    pod["metadata"]["labels"]["quiescent.dev/method"] = method.into();
    for (parameter, value) in [("user", "backup"), ("passwordEnv", "BACKUP_PASSWORD")] {
        pod["metadata"]["annotations"][format!("quiescent.dev/{policy}.{parameter}")] =
            value.into();
    }
    let variables = pod["spec"]["containers"][0]["env"].as_array_mut().unwrap();
    variables.push(json!({ "name": "BACKUP_PASSWORD", "value": "of backups" }));
    let pod = Pod::inject(&pod, &[]);
    server.mount(&pod);
    pod
}

fn suffices(server: &str, policy: &str, method: &str, until: &str) {
    let Some(installation) = at_hand(server) else {
        return;
    };
    let server = MySql::start(&installation, "secret", &[]);
    server.load(include_str!("awkward.sql"));
    server.load(&grants(policy, until));
    let pod = with_account(&server, policy, method);
    pod.run(Phase::Pre, &server.container()).is_ok();
    pod.run(Phase::Post, &server.container()).is_ok();
    if method != "dump" {
        return;
    }
    // Nothing was passed over, and a new server is restored by its root.
    let fresh = MySql::start(&installation, "secret", &[]);
    let restored = with_account(&fresh, policy, method).restored_from(&pod);
    restored.run(Phase::Restore, &fresh.container()).is_ok();
    assert_eq!(fresh.everything(), server.everything());
}

#[test]
fn what_the_page_grants_suffices_for_a_dump() {
    suffices("mariadb", "mariadb-dump", "dump", "-- and where");
    suffices("mariadb-11.8", "mariadb-dump", "dump", "-- and where");
    suffices("mysql-8.0", "mysql-dump", "dump", "-- and where");
    suffices("mysql-9", "mysql-dump", "dump", "-- and where");
}

#[test]
fn what_the_page_grants_suffices_for_a_snapshot() {
    suffices(
        "mariadb-11.8",
        "mariadb-snapshot",
        "snapshot",
        "-- and where",
    );
    suffices("mysql-8.4", "mysql-snapshot", "snapshot", "-- and where");
}

#[test]
fn what_the_page_grants_suffices_for_files() {
    suffices("mariadb", "mariadb-backup", "physical", "");
    suffices("mysql-8.4", "mysql-clone", "physical", "");
}

#[test]
fn tables_without_transactions_are_dumped_under_a_lock_and_it_is_said() {
    for (name, policy) in [("mariadb", "mariadb-dump"), ("mysql-8.4", "mysql-dump")] {
        let Some(installation) = at_hand(name) else {
            return;
        };
        let server = MySql::start(&installation, "secret", &[]);
        server.sql(
            "create database shop; create table shop.old (id int) engine = myisam;
             insert into shop.old values (1), (2)",
        );
        server.load(&grants(policy, ""));
        let pod = with_account(&server, policy, "dump");
        let outcome = pod.run(Phase::Pre, &server.container());
        outcome.is_ok();
        assert!(
            outcome.said.contains("not InnoDB: 1 (shop.old in MyISAM)"),
            "{outcome:?}"
        );

        let fresh = MySql::start(&installation, "secret", &[]);
        let restored = Pod::inject(&fresh.pod("secret"), &[]).restored_from(&pod);
        restored.run(Phase::Restore, &fresh.container()).is_ok();
        assert_eq!(fresh.everything(), server.everything());
    }
}

#[test]
fn a_privilege_without_which_a_dump_would_not_be_whole_is_missed() {
    for (name, privilege) in [
        ("mariadb", "TRIGGER"),
        ("mysql-8.4", "EVENT"),
        ("mysql-9", "SELECT"),
    ] {
        let Some(installation) = at_hand(name) else {
            return;
        };
        let server = MySql::start(&installation, "secret", &[]);
        let policy = if is_mariadb(&installation) {
            "mariadb-dump"
        } else {
            "mysql-dump"
        };
        server.load(&grants(policy, "-- and where"));
        server.sql(&format!("revoke {privilege} on *.* from backup@localhost"));
        let pod = with_account(&server, policy, "dump");
        let words = [
            format!("lacks the privilege {privilege}"),
            format!("GRANT {privilege} ON *.*"),
        ];
        pod.run(Phase::Pre, &server.container())
            .failed(2, &words.each_ref().map(String::as_str));
        assert_eq!(pod.manifest(), None);
    }
}

#[test]
fn the_password_is_seen_by_nobody() {
    let Some(installation) = at_hand("mysql-8.4") else {
        return;
    };
    let server = MySql::start(&installation, "not to be seen", &[]);
    server.sql("create database shop; create table shop.t (id int)");
    let pod = Pod::inject(&server.pod("not to be seen"), &[]);
    let lock = server.lock("shop.t");
    let hook = pod.start(Phase::Pre, &server.container());
    crate::databases::harness::eventually("the hook writes", || {
        pod.store().join("new/all.sql").exists()
    });
    let processes = output(std::process::Command::new("ps").args(["-eo", "comm,args"]));
    let dump = processes
        .lines()
        .find(|line| line.starts_with("mysqldump "));
    assert!(
        !dump
            .expect("the tool is at work")
            .contains("not to be seen")
    );
    drop(lock);
    let outcome = hook.finish();
    outcome.is_ok();
    assert!(!format!("{outcome:?}").contains("not to be seen"));
}
