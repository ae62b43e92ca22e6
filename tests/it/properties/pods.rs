//! Pods of every shape that made an injector of somebody stumble.

use std::collections::BTreeMap;

use proptest::{option, prelude::*, sample::select};
use quiescent::select::{Facts, Mode, Namespace, Settings};
use serde_json::{Map, Value, json};

/// A pod and what is known beside it.
#[derive(Clone, Debug)]
pub struct Case {
    pub pod: Value,
    namespace: String,
    labels: Option<BTreeMap<String, String>>,
    annotations: BTreeMap<String, String>,
    settings: Settings,
}

impl Case {
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            namespace: &self.namespace,
            about_namespace: match &self.labels {
                Some(labels) => Namespace::Known {
                    labels,
                    annotations: &self.annotations,
                },
                None => Namespace::Unknown,
            },
            owner: None,
            settings: &self.settings,
        }
    }
}

pub fn case() -> impl Strategy<Value = Case> {
    let namespace = select(vec!["shop", "strict-1", "kube-system", "default"]);
    let labels = option::of(select(vec![
        json!({}),
        json!({"tier": "db"}),
        json!({"quiescent.dev/inject": "disabled"}),
        json!({"quiescent.dev/inject": "enabled", "tier": "db"}),
        json!({"quiescent.dev/method": "snapshot"}),
    ]));
    (pod(), namespace, labels, any::<bool>()).prop_map(|(pod, namespace, labels, opt_in)| Case {
        pod,
        namespace: namespace.to_owned(),
        labels: labels.map(|labels| serde_json::from_value(labels).unwrap()),
        annotations: BTreeMap::from([("quiescent.dev/flush.depth".to_owned(), "7".to_owned())]),
        settings: Settings {
            mode: if opt_in { Mode::OptIn } else { Mode::OptOut },
            ..Settings::default()
        },
    })
}

/// A field that may be absent or `null` too.
fn field(
    name: &'static str,
    value: impl Strategy<Value = Value>,
) -> impl Strategy<Value = Option<(&'static str, Value)>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some((name, Value::Null))),
        6 => value.prop_map(move |value| Some((name, value))),
    ]
}

fn object(fields: Vec<Option<(&'static str, Value)>>) -> Value {
    let fields = fields.into_iter().flatten();
    Value::Object(
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
}

fn pod() -> impl Strategy<Value = Value> {
    let metadata = (
        field("generateName", Just(json!("db-"))),
        field("labels", labels()),
        field("annotations", annotations()),
        field("ownerReferences", owners()),
        field(
            "managedFields",
            Just(json!([{"x~/y": {"deep": [1, 2.5, null, "\u{1f980}"]}}])),
        ),
    )
        .prop_map(|(a, b, c, d, e)| object(vec![a, b, c, d, e]));
    let spec = (
        containers(),
        field("initContainers", init_containers()),
        field("volumes", volumes()),
        field(
            "restartPolicy",
            select(vec![json!("Always"), json!("Always"), json!("Never")]),
        ),
        field(
            "resourceClaims",
            Just(json!([{"name": "gpu", "futureField": true}])),
        ),
        field("os", Just(json!({"name": "linux"}))),
    )
        .prop_map(|(a, b, c, d, e, f)| object(vec![Some(("containers", a)), b, c, d, e, f]));
    (field("metadata", metadata), spec).prop_map(|(metadata, spec)| {
        object(vec![
            Some(("apiVersion", json!("v1"))),
            Some(("kind", json!("Pod"))),
            metadata,
            Some(("spec", spec)),
            Some(("status", json!({}))),
        ])
    })
}

fn labels() -> impl Strategy<Value = Value> {
    let app = select(vec!["pg", "web", ""]);
    let method = select(vec!["", "", "dump", "snapshot", "off"]);
    let inject = select(vec!["", "", "", "enabled", "disabled"]);
    let restore = select(vec!["", "", "", "nightly"]);
    (app, method, inject, restore).prop_map(|(app, method, inject, restore)| {
        let pairs = [
            ("app", app),
            ("quiescent.dev/method", method),
            ("quiescent.dev/inject", inject),
            ("velero.io/restore-name", restore),
        ];
        let said = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        said.map(|(key, value)| (key.to_owned(), json!(value)))
            .collect::<Map<_, _>>()
            .into()
    })
}

fn annotations() -> impl Strategy<Value = Value> {
    let hook = |phase: &'static str| {
        select(vec![
            json!({}),
            json!({}),
            json!({"command": "[\"/bin/date\"]"}),
            json!({"command": "/bin/date", "container": "two", "on-error": "Fail", "timeout": "1500ms"}),
            json!({"command": "[\"/bin/sh\",\"-c\",\"a \\\"b\\\" $c\"]", "container": "one", "timeout": "abc"}),
            json!({"timeout": "3m"}),
        ])
        .prop_map(move |keys| {
            let keys = keys.as_object().unwrap().clone().into_iter();
            keys.map(move |(key, value)| (format!("{phase}.velero.io/{key}"), value)).collect::<Vec<_>>()
        })
    };
    let others = select(vec![
        json!({}),
        json!({"backup.velero.io/backup-volumes": "data"}),
        json!({"backup.velero.io/backup-volumes": "data,quiescent-dump"}),
        json!({"backup.velero.io/backup-volumes": "data, other,"}),
        json!({"quiescent.dev/container": "one", "a/b~c": "~1"}),
        json!({"quiescent.dev/flush.depth": "deep"}),
        json!({"quiescent.dev/policies": "postgresql-dump@000000000000", "pre.hook.backup.velero.io/on-error": "Fail"}),
    ]);
    (
        hook("pre.hook.backup"),
        hook("post.hook.backup"),
        hook("post.hook.restore"),
        hook("hook.backup"),
        others,
    )
        .prop_map(|(pre, post, restore, legacy, others)| {
            let mut all: Map<String, Value> = pre.into_iter().chain(post).chain(restore).collect();
            // Rarely: the oldest form of the pre hook.
            if all.len() < 3 {
                all.extend(legacy);
            }
            all.extend(others.as_object().unwrap().clone());
            all.into()
        })
}

fn owners() -> impl Strategy<Value = Value> {
    select(vec![
        json!([]),
        json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "1", "controller": true}]),
        json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "1"}]),
        json!([{"kind": "Job", "name": "migrate"}]),
    ])
}

fn containers() -> impl Strategy<Value = Value> {
    let image = select(vec![
        "postgres:16",
        "postgres:16",
        "nginx",
        "redis:7",
        "mysql:8.4",
        "mirror.example/hub/library/mysql",
        "mariadb",
        "valkey/valkey",
        "docker.io/bitnami/postgresql@sha256:00",
        "",
    ]);
    let container = (
        image,
        field("volumeMounts", mounts()),
        field(
            "ports",
            Just(json!([{"containerPort": 3306, "protocol": "TCP"}])),
        ),
        field("resizePolicy", Just(json!([{"resourceName": "cpu"}]))),
    );
    prop::collection::vec(container, 1..4).prop_map(|containers| {
        let names = ["one", "two", "three", "four"];
        let containers = containers.into_iter().zip(names);
        containers
            .map(|((image, mounts, ports, unknown), name)| {
                let image = (!image.is_empty()).then(|| ("image", json!(image)));
                object(vec![
                    Some(("name", json!(name))),
                    image,
                    mounts,
                    ports,
                    unknown,
                ])
            })
            .collect()
    })
}

fn init_containers() -> impl Strategy<Value = Value> {
    select(vec![
        json!([]),
        json!([{"name": "restore-wait", "image": "velero"}]),
        json!([{"name": "sidecar", "image": "postgres", "restartPolicy": "Always"}]),
    ])
}

/// The API server has refused pods with a path twice before we see them.
fn mounts() -> impl Strategy<Value = Value> {
    let paths = vec![
        "/data",
        "/quiescent/dump",
        "/quiescent/dump/",
        "/quiescent/postgresql-dump",
        "/scratch",
    ];
    let names = select(vec!["data", "quiescent-dump", "scratch", "other"]);
    (prop::sample::subsequence(paths, 0..3), names).prop_map(|(paths, name)| {
        let mut paths = paths;
        if paths.contains(&"/quiescent/dump") {
            paths.retain(|path| *path != "/quiescent/dump/");
        }
        paths
            .into_iter()
            .map(|path| json!({"mountPath": path, "name": name, "subPath": "x"}))
            .collect()
    })
}

fn volumes() -> impl Strategy<Value = Value> {
    let all = vec![
        json!({"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}),
        json!({"name": "other", "image": {"reference": "x"}}),
        json!({"name": "quiescent-dump", "emptyDir": {"sizeLimit": "1Gi"}}),
        json!({"name": "quiescent-postgresql-dump", "configMap": {"name": "quiescent-postgresql-dump-0123456789", "optional": true}}),
        json!({"name": "quiescent-redis-dump", "secret": {"secretName": "x"}}),
        json!({"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}),
    ];
    let taken = json!({"name": "quiescent-dump", "persistentVolumeClaim": {"claimName": "mine"}});
    (prop::sample::subsequence(all, 0..5), any::<bool>()).prop_map(move |(mut volumes, take)| {
        if take {
            volumes.retain(|volume| volume["name"] != "quiescent-dump");
            volumes.push(taken.clone());
        }
        volumes.into()
    })
}
