use serde_json::{Value, json};

use super::{Evidence, KNOWN, Known, container, pod};
use crate::{library::policies, pod::PodView, policy::Image};

/// What the pod, or its only container, is recognised as.
fn recognised(manifest: &Value) -> Option<&'static Known> {
    let text = manifest.to_string();
    let view = PodView::parse(&text).unwrap();
    pod(&view).or_else(|| container(&view.containers()[0]))
}

fn with(labels: &Value, annotations: &Value, container: &Value) -> Value {
    json!({
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {"containers": [container]},
    })
}

fn plain() -> Value {
    json!({"name": "db", "image": "postgres:16"})
}

#[test]
fn every_piece_of_evidence_is_enough() {
    let some = |text: &str| text.replace('*', "x");
    for known in KNOWN {
        assert!(!known.evidence.is_empty(), "{}", known.name);
        for evidence in known.evidence {
            let image =
                |name: &str| json!({"name": "c", "image": format!("quay.io/some/{name}:1.2")});
            let runs = |words: &[&str]| json!({"name": "c", "image": "postgres", "command": words});
            let manifest = match evidence {
                Evidence::Label(key, value) => {
                    with(&json!({ *key: some(value) }), &json!({}), &plain())
                }
                Evidence::Labels((key, value), (other, its)) => {
                    let alone = with(&json!({ *key: value }), &json!({}), &plain());
                    assert_eq!(recognised(&alone), None, "{evidence:?}");
                    with(&json!({ *key: value, *other: its }), &json!({}), &plain())
                }
                Evidence::Annotation(prefix) => {
                    with(&json!({}), &json!({ format!("{prefix}x"): "" }), &plain())
                }
                Evidence::Beside(name) | Evidence::Image(name) => {
                    with(&json!({}), &json!({}), &image(&some(name)))
                }
                Evidence::Program(name) => with(&json!({}), &json!({}), &runs(&[*name, "--x"])),
                Evidence::Argument(word) => with(
                    &json!({}),
                    &json!({}),
                    &runs(&["redis-server", "/conf", *word]),
                ),
            };
            // A shell with an argument runs a script that nobody here can see.
            let expected = (*evidence != Evidence::Program("sh")).then_some(known.name);
            let found = recognised(&manifest).map(|known| known.name);
            assert_eq!(found, expected, "{evidence:?}");
        }
    }
}

#[test]
fn no_policy_of_the_library_means_an_image_of_these() {
    for known in KNOWN {
        for evidence in known.evidence {
            let (Evidence::Image(name) | Evidence::Beside(name)) = evidence else {
                continue;
            };
            let name = name.replace('*', "postgres");
            for reference in [format!("{name}:1"), format!("quay.io/bitnami/{name}:1")] {
                let by_images = policies().into_iter().filter(|place| {
                    // Who asks for a label of its own means any image.
                    !place.policy.leave_alone.is_empty()
                });
                for place in by_images {
                    let image = Image::parse(&reference);
                    let mut wanted = place.policy.matching.images.iter();
                    let meant = wanted.find(|pattern| pattern.matches(&image));
                    assert_eq!(meant, None, "{} means {reference}", place.policy.name);
                }
            }
        }
    }
}

#[test]
fn advice_is_a_part_of_a_sentence() {
    for known in KNOWN {
        assert!(!known.advice.ends_with('.'), "{}", known.advice);
        assert!(known.advice.len() > 20, "{}", known.advice);
    }
}

#[test]
fn servers_are_not_taken_for_something_else() {
    for words in [
        json!([]),
        json!(["postgres", "-c", "max_connections=200"]),
        json!(["docker-entrypoint.sh", "mysqld"]),
        json!(["redis-server", "/etc/redis.conf"]),
        json!(["mongod", "--replSet", "rs0"]),
        json!([
            "/bin/bash",
            "-c",
            "/opt/bitnami/scripts/start-scripts/start-master.sh"
        ]),
        json!([
            "sh",
            "-c",
            "until psql; do sleep 1; done & exec docker-entrypoint.sh postgres"
        ]),
        json!(["etcd", "--name", "a"]),
    ] {
        let server = json!({"name": "db", "image": "postgres:16", "args": words});
        let manifest = with(
            &json!({"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/part-of": "shop"}),
            &json!({}),
            &server,
        );
        assert_eq!(recognised(&manifest), None, "{words}");
    }
    for image in [
        "victoriametrics/victoria-metrics",
        "bitnami/postgresql",
        "mysql/mysql-server",
    ] {
        let manifest = with(
            &json!({}),
            &json!({}),
            &json!({"name": "db", "image": image}),
        );
        assert_eq!(recognised(&manifest), None, "{image}");
    }
}
