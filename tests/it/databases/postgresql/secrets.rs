//! Passwords: where they are found, and that nobody sees them.

use std::fs;

use super::Postgres;
use crate::databases::{
    harness::{Container, Phase, Pod},
    server::{output, unprivileged},
};

#[test]
fn a_password_is_found_where_images_keep_it() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start_with_password("s3 \"cr'et$");
    let file = server.0.folder.path().join("password");
    let file = file.to_str().unwrap();
    for environment in [
        &[("POSTGRES_PASSWORD", "s3 \"cr'et$")][..],
        &[("POSTGRES_PASSWORD_FILE", file)],
        &[("PGUSER", "postgres"), ("PGPASSWORD", "s3 \"cr'et$")],
        &[("POSTGRESQL_PASSWORD", "s3 \"cr'et$")],
        &[
            ("POSTGRESQL_USERNAME", "app"),
            ("POSTGRESQL_PASSWORD", "other"),
            ("POSTGRESQL_POSTGRES_PASSWORD_FILE", file),
        ],
    ] {
        let pod = Pod::inject(&server.pod(environment), &[]);
        pod.run(Phase::Pre, &Container::default()).is_ok();
    }
}

#[test]
fn no_command_line_and_no_output_has_the_password() {
    if !Postgres::at_hand() {
        return;
    }
    let password = "unspeakable";
    let server = Postgres::start_with_password(password);
    let pod = Pod::inject(&server.pod(&[("POSTGRES_PASSWORD", password)]), &[]);
    let hook = pod.start(Phase::Pre, &Container::default());
    let mut seen = 0;
    while !pod.finished().exists() {
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(argv) = fs::read_to_string(process.path().join("cmdline")) else {
                continue;
            };
            let of_the_hook =
                argv.contains("pg_dump") || argv.contains("psql") || argv.contains("pre.sh");
            // What makes the container has the container's variables in its argv, nothing else does.
            if of_the_hook && !argv.contains("\0POSTGRES_PASSWORD=") {
                seen += 1;
                assert!(!argv.contains(password), "{argv}");
            }
        }
    }
    let done = hook.finish();
    done.is_ok();
    assert!(seen > 0);
    assert!(
        !done.said.contains(password) && !done.complained.contains(password),
        "{done:?}"
    );
}

/// Peer authentication, as Debian sets it up: over the socket, by the name of the process's user.
#[test]
fn a_server_that_knows_its_users_by_name_needs_no_password() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start_with_password("known to nobody");
    let folder = server.0.folder.path();
    let name = output(unprivileged("id", folder).arg("-un"));
    server.sql_with(
        "known to nobody",
        &format!("create role \"{name}\" login superuser"),
    );
    let rules = "local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n";
    fs::write(folder.join("data/pg_hba.conf"), rules).unwrap();
    server.sql_with("known to nobody", "select pg_reload_conf()");

    let sockets = folder.to_str().unwrap();
    let pod = server.pod(&[("PGUSER", &name), ("PGHOST", sockets)]);
    let pod = Pod::inject(&pod, &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
}
