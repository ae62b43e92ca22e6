use serde_json::{Value, json};

use super::{Clues, Server, major, server};
use crate::{
    json::read,
    library::policies,
    pod::PodView,
    policy::Image,
    recognise::{engines, of_image},
};

/// The database in a container, given as JSON.
fn found(container: &Value) -> Option<Server> {
    let pod = json!({"spec": {"containers": [container]}}).to_string();
    let view = PodView::parse(&pod).unwrap();
    let clues = container.to_string();
    let clues: Clues<'_> = read(&clues).unwrap();
    server(&view.containers()[0], &clues)
}

fn name(container: &Value) -> Option<&'static str> {
    found(container).map(|server| server.engine.name)
}

#[test]
fn every_image_and_program_of_the_table_is_enough() {
    for engine in engines() {
        for image in engine.images {
            let image = format!("quay.io/somebody/{}:1.2", image.replace('*', "6"));
            let container = json!({"name": "db", "image": image});
            assert_eq!(name(&container), Some(engine.name), "{image}");
        }
        for program in engine.programs {
            let container =
                json!({"name": "db", "image": "example.com/own:1", "command": [program, "--x"]});
            assert_eq!(name(&container), Some(engine.name), "{program}");
        }
    }
}

#[test]
fn a_data_directory_with_a_port_or_a_variable_is_enough_and_neither_is_alone() {
    for engine in engines() {
        for directory in engine.directories {
            let mounts = json!([{"name": "data", "mountPath": directory}]);
            let alone = json!({"name": "db", "image": "example.com/own:1", "volumeMounts": mounts});
            assert_eq!(name(&alone), None, "{directory}");
            for port in engine.ports {
                let mut with_port = alone.clone();
                with_port["ports"] = json!([{"containerPort": port}]);
                assert_eq!(name(&with_port), Some(engine.name), "{directory} {port}");
            }
            for variable in engine.variables.iter().chain(engine.shared_variables) {
                let mut with_variable = alone.clone();
                with_variable["env"] = json!([{"name": variable, "value": ""}]);
                assert_eq!(
                    name(&with_variable),
                    Some(engine.name),
                    "{directory} {variable}"
                );
            }
        }
    }
}

#[test]
fn what_a_client_has_as_well_is_never_enough() {
    for engine in engines() {
        let variables = engine.shared_variables.iter();
        let env: Vec<Value> = variables.map(|name| json!({"name": name})).collect();
        let ports = engine.ports.iter();
        let ports: Vec<Value> = ports.map(|port| json!({"containerPort": port})).collect();
        let pooler =
            json!({"name": "app", "image": "example.com/app:1", "env": env, "ports": ports});
        assert_eq!(name(&pooler), None, "{}", engine.name);
    }
    let reader = json!({
        "name": "reader", "image": "example.com/backup:1", "ports": [{"containerPort": 5432}],
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data", "readOnly": true}],
    });
    assert_eq!(name(&reader), None);
}

#[test]
fn what_is_recognised_as_something_else_is_no_database() {
    for container in [
        json!({"name": "c", "image": "postgres:16", "command": ["psql", "-h", "pg"]}),
        json!({"name": "c", "image": "redis:7", "args": ["redis-server", "--sentinel"]}),
        json!({"name": "c", "image": "bitnami/pgbouncer:1", "ports": [{"containerPort": 5432}],
            "volumeMounts": [{"name": "d", "mountPath": "/var/lib/postgresql/data"}]}),
        json!({"name": "c", "image": "hashicorp/vault:1.17", "args": ["agent", "-config=/x"]}),
        json!({"name": "c", "image": "openbao/openbao:2", "command": ["sh", "-c", "exec bao agent -config=/x"]}),
        json!({"name": "c", "image": "example.com/web:1"}),
    ] {
        assert_eq!(name(&container), None, "{container}");
    }
}

#[test]
fn an_image_called_after_its_operator_is_told_by_the_rest() {
    let mut container =
        json!({"name": "c", "image": "percona/percona-postgresql-operator:2.5.0-ppg16.4-postgres"});
    assert_eq!(name(&container), None);
    container["env"] = json!([{"name": "PGDATA"}]);
    container["ports"] = json!([{"containerPort": 5432}]);
    assert_eq!(name(&container), Some("PostgreSQL"));
}

#[test]
fn versions_are_those_of_the_engine() {
    for (image, version) in [
        ("postgres:16.4-bookworm", Some("16.4")),
        ("postgres:latest", None),
        ("postgres", None),
        ("postgres:17rc1", Some("17")),
        ("bitnami/postgresql:16.4.0-debian-12-r3", Some("16.4.0")),
        ("timescale/timescaledb:2.17.2-pg16", Some("16")),
        ("timescale/timescaledb:latest-pg15", Some("15")),
        ("pgvector/pgvector:pg17", Some("17")),
        ("postgis/postgis:16-3.4", Some("16")),
        ("ghcr.io/zalando/spilo-16:3.2-p3", Some("16")),
        ("quay.io/sclorg/postgresql-15-c9s:latest", Some("15")),
        ("mysql:8.4", Some("8.4")),
        ("quay.io/coreos/etcd:v3.5.16", Some("3.5.16")),
        ("mcr.microsoft.com/mssql/server:2022-latest", Some("2022")),
        ("minio/minio:RELEASE.2024-10-02T17-50-41Z", None),
        ("mongo@sha256:0123", None),
        ("redis:sha-1234567", None),
    ] {
        let server = found(&json!({"name": "db", "image": image})).unwrap();
        assert_eq!(server.version.as_deref(), version, "{image}");
    }
    let own = json!({"name": "db", "image": "example.com/own:7", "command": ["postgres"]});
    assert_eq!(found(&own).unwrap().version, None);
}

#[test]
fn the_first_number_is_for_the_engine_that_is_asked_about() {
    let of = |image: &str| major("PostgreSQL", &Image::parse(image));
    assert_eq!(of("timescale/timescaledb:2.17.2-pg14"), Some(14));
    assert_eq!(of("postgres:9.6"), Some(9));
    assert_eq!(of("mysql:8"), None);
    assert_eq!(of("postgres:alpine"), None);
}

#[test]
fn every_image_that_a_policy_of_the_library_means_is_of_its_engine() {
    let mut seen = 0;
    for place in policies() {
        let policy = &place.policy;
        for pattern in &policy.matching.images {
            let Some(name) = pattern.literal_name() else {
                continue;
            };
            // Of names with several components the last ones say which it is.
            let written = pattern.to_string();
            let path = written.split(':').next().unwrap().trim_start_matches("*/");
            let reference = path.replace('*', "x");
            let engine = of_image(&Image::parse(&reference));
            let engine = engine.unwrap_or_else(|| panic!("{name} of {}", policy.name));
            let mut engines = policy.about.engine.split(", ");
            assert!(
                engines.any(|it| it == engine.name),
                "{written} of {} is {}",
                policy.name,
                engine.name
            );
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}
