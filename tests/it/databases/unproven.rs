//! Policies for servers that cannot be had here, as far as they go before they speak to one: what cannot
//! work is said in a sentence, and nothing is left that looks like a backup.

use quiescent::library;
use serde_json::json;

use super::{
    blocks::{inject, with_tools},
    harness::{self, Container, Phase, Pod},
};

/// One pod, and what its pre hook must say.
struct Case {
    policy: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    environment: &'static [(&'static str, &'static str)],
    code: i32,
    words: &'static [&'static str],
}

const fn case(
    policy: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    environment: &'static [(&'static str, &'static str)],
    code: i32,
    words: &'static [&'static str],
) -> Case {
    Case {
        policy,
        parameters,
        environment,
        code,
        words,
    }
}

const CASSANDRA: &str = "cassandra-snapshot";
const CLICKHOUSE: &str = "clickhouse-backup";
const COCKROACHDB: &str = "cockroachdb-backup";
const ELASTICSEARCH: &str = "elasticsearch-snapshot";
const SQLSERVER: &str = "sqlserver-backup";
const VAULT: &str = "vault-snapshot";

const IMAGES: [(&str, &str); 6] = [
    (CASSANDRA, "cassandra:5.0"),
    (CLICKHOUSE, "clickhouse/clickhouse-server:25.8"),
    (COCKROACHDB, "cockroachdb/cockroach:v25.4.0"),
    (
        ELASTICSEARCH,
        "docker.elastic.co/elasticsearch/elasticsearch:9.1.0",
    ),
    (SQLSERVER, "mcr.microsoft.com/mssql/server:2022-latest"),
    (VAULT, "hashicorp/vault:1.20"),
];

const CASES: &[Case] = &[
    case(CASSANDRA, &[], &[], 2, &["no nodetool"]),
    case(CASSANDRA, &[("user", "backup")], &[], 2, &["passwordEnv"]),
    case(
        CASSANDRA,
        &[("user", "backup"), ("passwordEnv", "JMX_PASSWORD")],
        &[],
        2,
        &["JMX_PASSWORD is empty", "passwordEnv"],
    ),
    case(CLICKHOUSE, &[], &[], 2, &["no clickhouse-client"]),
    case(
        CLICKHOUSE,
        &[("passwordEnv", "BACKUP_PASSWORD")],
        &[],
        2,
        &["BACKUP_PASSWORD is empty"],
    ),
    case(
        CLICKHOUSE,
        &[],
        &[("CLICKHOUSE_PASSWORD_FILE", "/run/secrets/none")],
        2,
        &["cannot read /run/secrets/none", "CLICKHOUSE_PASSWORD_FILE"],
    ),
    case(
        COCKROACHDB,
        &[("pods", "*")],
        &[],
        2,
        &["parameter destination is empty", "external://"],
    ),
    case(
        COCKROACHDB,
        &[
            ("pods", "*"),
            ("destination", "s3://bucket/path?AWS_SECRET_ACCESS_KEY=x"),
        ],
        &[],
        2,
        &["Velero logs it", "external connection"],
    ),
    case(
        COCKROACHDB,
        &[
            ("pods", "*"),
            ("destination", "external://b'; DROP TABLE t"),
        ],
        &[],
        2,
        &["no plain URI"],
    ),
    case(
        COCKROACHDB,
        &[("pods", "*"), ("destination", "backups")],
        &[],
        2,
        &["external://backups"],
    ),
    case(
        COCKROACHDB,
        &[
            ("pods", "*"),
            ("destination", "external://backups"),
            ("certsDir", "/nope"),
        ],
        &[],
        2,
        &["no folder /nope", "certsDir"],
    ),
    case(
        COCKROACHDB,
        &[("pods", "*"), ("destination", "external://backups")],
        &[],
        2,
        &["no cockroach"],
    ),
    case(
        ELASTICSEARCH,
        &[("pods", "*")],
        &[],
        2,
        &["parameter repository is empty", "register"],
    ),
    case(
        ELASTICSEARCH,
        &[("pods", "*"), ("repository", "my/repo")],
        &[],
        2,
        &["no repository is called so"],
    ),
    case(
        ELASTICSEARCH,
        &[
            ("pods", "*"),
            ("repository", "nightly"),
            ("url", "https://elastic:secret@127.0.0.1:9200"),
        ],
        &[],
        2,
        &["no plain URL", "secret"],
    ),
    case(
        ELASTICSEARCH,
        &[
            ("pods", "*"),
            ("repository", "nightly"),
            ("caFile", "/nope.crt"),
        ],
        &[],
        2,
        &["cannot read /nope.crt", "caFile"],
    ),
    case(
        ELASTICSEARCH,
        &[("pods", "*"), ("repository", "nightly")],
        &[],
        2,
        &["no curl"],
    ),
    case(SQLSERVER, &[], &[], 2, &["MSSQL_SA_PASSWORD"]),
    case(
        SQLSERVER,
        &[],
        &[("MSSQL_SA_PASSWORD", "Right1234")],
        2,
        &["no sqlcmd"],
    ),
    case(
        VAULT,
        &[],
        &[],
        2,
        &["no token", "VAULT_TOKEN", "sys/storage/raft/snapshot"],
    ),
    case(
        VAULT,
        &[("address", "127.0.0.1:8200")],
        &[("VAULT_TOKEN", "s.token")],
        2,
        &["http://", "parameter address"],
    ),
    case(
        VAULT,
        &[],
        &[("VAULT_TOKEN", "s.token")],
        2,
        &["none of vault bao"],
    ),
];

fn pod(policy: &str, parameters: &[(&str, &str)], environment: &[(&str, &str)]) -> Pod {
    let (_, image) = IMAGES.iter().find(|(name, _)| *name == policy).unwrap();
    let mut pod = harness::pod(image, environment);
    pod["spec"]["containers"][0]["ports"] = json!([{ "containerPort": 8200 }]);
    for (name, value) in parameters {
        let key = format!("quiescent.dev/{policy}.{name}");
        pod["metadata"]["annotations"][key] = (*value).into();
    }
    inject(&pod)
}

#[test]
fn what_cannot_work_is_said_and_leaves_nothing() {
    if !harness::possible(&["dash", "bash", "busybox"]) {
        return;
    }
    for shell in ["dash", "bash", "busybox"] {
        // Busybox alone: none of the servers' tools, whatever this machine has.
        let (container, _tools) = with_tools(&[], &[]);
        let container = container.with_shell(shell);
        for Case {
            policy,
            parameters,
            environment,
            code,
            words,
        } in CASES
        {
            let pod = pod(policy, parameters, environment);
            pod.run(Phase::Pre, &container).failed(*code, words);
            let dumps = pod.volume();
            let left = std::fs::read_dir(dumps.join(policy)).is_ok();
            assert!(!left, "{policy}: nothing is begun that cannot work");
        }
    }
}

#[test]
fn a_server_that_is_down_is_said() {
    if !harness::possible(&["curl"]) {
        return;
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let parameters = [("pods", "*"), ("repository", "nightly"), ("url", &*url)];
    pod(ELASTICSEARCH, &parameters, &[])
        .run(Phase::Pre, &Container::default())
        .failed(1, &["asking for the repository nightly"]);
}

#[test]
fn a_pod_of_a_cluster_that_has_nothing_to_do_says_so() {
    if !harness::possible(&[]) {
        return;
    }
    for policy in [COCKROACHDB, ELASTICSEARCH] {
        let pod = pod(policy, &[("pods", "not-this-one-*")], &[]);
        pod.run(Phase::Pre, &Container::default())
            .is_skipped("another-pod");
        pod.run(Phase::Post, &Container::default()).is_ok();
    }
}

#[test]
fn a_dump_that_was_never_made_is_said_afterwards() {
    if !harness::possible(&[]) {
        return;
    }
    for policy in [CLICKHOUSE, SQLSERVER, VAULT] {
        pod(policy, &[], &[])
            .run(Phase::Post, &Container::default())
            .failed(1, &["no finished dump"]);
    }
}

#[test]
fn none_of_them_takes_part_unless_it_is_named() {
    let defaults = library::defaults();
    for (policy, _) in IMAGES {
        let default = defaults.iter().any(|place| place.policy.name == policy);
        assert!(!default, "{policy}");
        let known = library::policies();
        assert!(known.iter().any(|place| place.policy.name == policy));
    }
}
