//! What stands in a policy's folder beside the policy: a page that says all it must, and a proof that
//! says what the policy claims.

use quiescent::library::{FOLDERS, HEADINGS, Row, policies};

#[test]
fn every_policy_says_what_it_blocks_needs_and_how_to_do_without_it() {
    for folder in FOLDERS {
        let name = folder.name;
        let lines = folder.about.lines();
        let headings: Vec<&str> = lines.filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS, "{name}");
        assert!(folder.about.starts_with("## "), "{name}");
        for section in folder.about.split("## ").skip(1) {
            let (heading, said) = section.split_once('\n').unwrap();
            assert!(!said.trim().is_empty(), "{name} says nothing of {heading}");
        }
        let long = folder.about.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "{name}");
    }
}

#[test]
fn rows_of_a_proof_can_be_true() {
    for folder in FOLDERS {
        for row in folder.proof() {
            let Row {
                server,
                rounds,
                restored,
                throughput,
                seconds,
                date,
                ..
            } = &row;
            let (software, version) = server.rsplit_once(' ').expect("a name and a version");
            assert!(!software.is_empty() && version.starts_with(|it: char| it.is_ascii_digit()));
            assert!(
                *rounds > 0 && restored <= rounds,
                "{}: {row:?}",
                folder.name
            );
            assert!(
                *throughput >= 0.0 && *seconds >= 0.0,
                "{}: {row:?}",
                folder.name
            );
            let parts: Vec<usize> = date.split('-').map(str::len).collect();
            assert_eq!(parts, [4, 2, 2], "{}: {date}", folder.name);
        }
    }
}

/// Policies whose folder has no rows yet are not held to them.
#[test]
fn a_policy_is_proven_on_every_version_that_it_names() {
    for (folder, place) in FOLDERS.iter().zip(policies()) {
        let rows = folder.proof();
        let Some(proven) = place.policy.about.proven else {
            continue;
        };
        if rows.is_empty() {
            continue;
        }
        for row in rows.iter().filter(|row| row.hook) {
            assert!(row.is_good(), "{}: {row:?}", folder.name);
        }
        for version in versions(&proven) {
            let of_it = |row: &&Row| {
                let rest = row.server.strip_prefix(&version);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            assert!(
                rows.iter().filter(|row| row.hook).any(|row| of_it(&row)),
                "{} says that it was proven on {version}",
                folder.name
            );
        }
    }
}

#[test]
fn versions_are_told_from_what_a_policy_says() {
    assert_eq!(
        versions("PostgreSQL 14, 15, Valkey 9.1 (by hand), Redis 7.0, 8.0"),
        ["PostgreSQL 14", "PostgreSQL 15", "Redis 7.0", "Redis 8.0"]
    );
}

/// Each server and version of the annotation `quiescent.dev/proven`, but those proven by hand.
fn versions(proven: &str) -> Vec<String> {
    let mut versions = Vec::new();
    let mut software = "";
    for item in proven.split(", ") {
        let named = item.strip_suffix(" (by hand)");
        let version = match named.unwrap_or(item).rsplit_once(' ') {
            Some((name, version)) => {
                software = name;
                version
            }
            None => item,
        };
        if named.is_none() {
            versions.push(format!("{software} {version}"));
        }
    }
    versions
}
