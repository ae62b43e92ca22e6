use serde_json::{Value, json};

use super::spread;

/// Names and paths of the claims that belong together, of a pod whose volumes are claims.
fn claims(container: Value, mounts: &[(&str, &str)]) -> Vec<String> {
    let volume = |name: &str| json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
    let volumes: Vec<Value> = mounts.iter().map(|(name, _)| volume(name)).collect();
    found(container, mounts, &json!(volumes))
}

fn found(mut container: Value, mounts: &[(&str, &str)], volumes: &Value) -> Vec<String> {
    let mounts = mounts.iter();
    let mounts = mounts.map(|(name, path)| json!({"name": name, "mountPath": path}));
    container["name"] = "db".into();
    container["volumeMounts"] = mounts.collect();
    let pod = json!({"spec": {"containers": [container], "volumes": volumes}});
    let found = spread(&pod.to_string()).unwrap();
    let claims = found.iter().flat_map(|it| &it.claims);
    claims
        .map(|it| format!("{} {}", it.volume, it.path))
        .collect()
}

fn postgres(variable: &str, value: &str) -> Value {
    json!({"image": "postgres:16", "env": [{"name": variable, "value": value}]})
}

const DATA: (&str, &str) = ("data", "/var/lib/postgresql/data");

#[test]
fn a_log_on_a_claim_of_its_own_is_found_by_its_place() {
    let image = |name: &str| json!({"image": name});
    let both = [
        "data /var/lib/postgresql/data",
        "wal /var/lib/postgresql/data/pgdata/pg_wal",
    ];
    let wal = ("wal", "/var/lib/postgresql/data/pgdata/pg_wal/");
    assert_eq!(claims(image("postgres:16"), &[DATA, wal]), both);
    assert_eq!(claims(image("postgres:16"), &[wal, DATA]), both);
    for (name, data, other) in [
        ("zookeeper:3.9", "/data", "/datalog"),
        ("mongo:7", "/data/db", "/data/db/journal"),
        ("valkey/valkey:8", "/data", "/data/appendonlydir"),
        (
            "cassandra:5",
            "/var/lib/cassandra",
            "/var/lib/cassandra/commitlog",
        ),
        ("influxdb:1.8", "/var/lib/influxdb", "/var/lib/influxdb/wal"),
        (
            "apache/kafka:3.8",
            "/var/lib/kafka/data-0",
            "/var/lib/kafka/data-1",
        ),
        ("minio/minio", "/data1", "/data2"),
    ] {
        let found = claims(image(name), &[("one", data), ("two", other)]);
        assert_eq!(
            found,
            [format!("one {data}"), format!("two {other}")],
            "{name}"
        );
    }
}

#[test]
fn a_directory_is_found_by_what_names_it() {
    let wal = ("wal", "/wal");
    for (variable, value) in [
        ("POSTGRES_INITDB_WALDIR", "/wal"),
        ("POSTGRES_INITDB_WALDIR", "/wal/pg_wal/"),
        ("POSTGRES_INITDB_ARGS", "--data-checksums --waldir=/wal/pg"),
    ] {
        let found = claims(postgres(variable, value), &[DATA, wal]);
        assert_eq!(found.len(), 2, "{variable}={value}");
    }
    for words in [
        json!(["mysqld", "--innodb_log_group_home_dir=/redo"]),
        json!(["mysqld", "--innodb-log-group-home-dir", "/redo"]),
        json!([
            "sh",
            "-c",
            "exec mysqld --innodb-log-group-home-dir=/redo/x"
        ]),
        json!(["--log-bin=/redo/bin"]),
    ] {
        let container = json!({"image": "mysql:8.4", "args": words});
        let found = claims(container, &[("data", "/var/lib/mysql"), ("redo", "/redo")]);
        assert_eq!(found, ["data /var/lib/mysql", "redo /redo"], "{words}");
    }
    let disks = json!({"image": "yugabytedb/yugabyte:2.20", "command": ["yb-tserver"],
        "args": ["--fs_data_dirs=/mnt/disk0,/mnt/disk1"]});
    let found = claims(disks, &[("one", "/mnt/disk0"), ("two", "/mnt/disk1")]);
    assert_eq!(found, ["one /mnt/disk0", "two /mnt/disk1"]);
    let etcd = json!({"image": "quay.io/coreos/etcd:v3.5.16", "env": [
        {"name": "ETCD_DATA_DIR", "value": "/a"}, {"name": "ETCD_WAL_DIR", "value": "/b"}]});
    assert_eq!(claims(etcd, &[("a", "/a"), ("b", "/b")]), ["a /a", "b /b"]);
}

#[test]
fn what_only_lies_beside_the_data_is_no_part_of_them() {
    let image = |name: &str| json!({"image": name});
    let beside = [
        DATA,
        ("dumps", "/var/lib/postgresql/backups"),
        ("archive", "/archive"),
    ];
    assert_eq!(claims(image("postgres:16"), &beside), [""; 0]);
    let mongo = [("data", "/data/db"), ("config", "/data/configdb")];
    assert_eq!(claims(image("mongo:7"), &mongo), [""; 0]);
    let same = postgres("POSTGRES_INITDB_WALDIR", "/var/lib/postgresql/data/wal");
    assert_eq!(claims(same, &[DATA]), [""; 0]);
    let client = json!({"image": "postgres:16", "command": ["psql"]});
    assert_eq!(claims(client, &[DATA, ("wal", "/pgwal")]), [""; 0]);
    let elsewhere = postgres("PGDATA", "/pg/data");
    let mounts = [DATA, ("pg", "/pg")];
    assert_eq!(claims(elsewhere, &mounts), [""; 0]);
}

#[test]
fn only_claims_count_and_each_once() {
    let volumes = |wal: Value| {
        let mut wal = wal;
        wal["name"] = "wal".into();
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "pg"}}, wal])
    };
    let mounts = [DATA, ("wal", "/wal")];
    let named = || postgres("POSTGRES_INITDB_WALDIR", "/wal");
    let found = |wal: Value| found(named(), &mounts, &volumes(wal)).len();
    assert_eq!(found(json!({"emptyDir": {}})), 0);
    assert_eq!(
        found(json!({"persistentVolumeClaim": {"claimName": "pg"}})),
        0
    );
    assert_eq!(
        found(json!({"persistentVolumeClaim": {"claimName": "pg-wal"}})),
        2
    );
    assert_eq!(found(json!({"ephemeral": {"volumeClaimTemplate": {}}})), 2);
}
