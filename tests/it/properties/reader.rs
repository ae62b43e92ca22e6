//! The view of a pod, which passes over most of it, beside a full parse of the same bytes.

use proptest::prelude::*;
use quiescent::{
    json::{Pairs, Text},
    pod::{Container, PodView},
};
use serde_json::{Map, Value, json};

use super::{config, mangled, pods};

/// What a field of a pod must be.
enum Type {
    Text,
    Number,
    Flag,
    Anything,
    Pairs,
    Object(&'static [(&'static str, Type)]),
    List(&'static [(&'static str, Type)]),
}

const POD: &[(&str, Type)] = &[
    (
        "metadata",
        Type::Object(&[
            ("name", Type::Text),
            ("generateName", Type::Text),
            ("labels", Type::Pairs),
            ("annotations", Type::Pairs),
            (
                "ownerReferences",
                Type::List(&[("kind", Type::Text), ("name", Type::Text)]),
            ),
        ]),
    ),
    ("spec", Type::Object(SPEC)),
];

const SPEC: &[(&str, Type)] = &[
    ("containers", Type::List(CONTAINER)),
    ("initContainers", Type::List(CONTAINER)),
    (
        "volumes",
        Type::List(&[
            ("name", Type::Text),
            ("configMap", Type::Object(&[("name", Type::Text)])),
            ("emptyDir", Type::Anything),
            ("ephemeral", Type::Anything),
        ]),
    ),
    ("restartPolicy", Type::Text),
    ("nodeSelector", Type::Pairs),
    ("os", Type::Object(&[("name", Type::Text)])),
];

const CONTAINER: &[(&str, Type)] = &[
    ("name", Type::Text),
    ("image", Type::Text),
    ("ports", Type::List(&[("containerPort", Type::Number)])),
    (
        "volumeMounts",
        Type::List(&[
            ("name", Type::Text),
            ("mountPath", Type::Text),
            ("readOnly", Type::Flag),
            ("subPath", Type::Text),
            ("subPathExpr", Type::Text),
        ]),
    ),
    ("volumeDevices", Type::List(&[("devicePath", Type::Text)])),
    ("restartPolicy", Type::Text),
];

/// What a full parse says of a pod. Without a spec it is as one without anything in it.
fn told_of_pod(pod: &Value) -> Option<Value> {
    let mut pod = told(POD, pod)?;
    if pod["spec"].is_null() {
        pod["spec"] = told(SPEC, &json!({}))?;
    }
    Some(pod)
}

/// What a full parse says of an object; nothing if a field has another type. Empty is absent.
fn told(fields: &[(&str, Type)], object: &Value) -> Option<Value> {
    let object = object.as_object()?;
    let mut told = Map::new();
    for (key, of) in fields {
        let value = object.get(*key).filter(|value| !value.is_null());
        let value = value.map(|value| told_as(of, value));
        told.insert((*key).to_owned(), value.unwrap_or(Some(Value::Null))?);
    }
    Some(told.into())
}

fn told_as(of: &Type, value: &Value) -> Option<Value> {
    match of {
        Type::Text => value.as_str().map(text),
        Type::Number => value.as_i64().map(Value::from),
        Type::Flag => value.as_bool().map(Value::from),
        Type::Anything => Some(true.into()),
        Type::Pairs => value
            .as_object()?
            .iter()
            .map(|(key, value)| match value {
                Value::Null => Some((key.clone(), Value::Null)),
                value => Some((key.clone(), text(value.as_str()?))),
            })
            .collect(),
        Type::Object(fields) => told(fields, value),
        Type::List(fields) => value
            .as_array()?
            .iter()
            .map(|it| told(fields, it))
            .collect(),
    }
}

fn text(text: &str) -> Value {
    (!text.is_empty()).then_some(text).into()
}

fn maybe(text: Option<&Text<'_>>) -> Value {
    self::text(text.map_or("", |text| &**text))
}

fn pairs(pairs: Option<&Pairs<'_>>) -> Value {
    let entries = |pairs: &Pairs<'_>| {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| (key.to_owned(), text(value)))
            .collect::<Value>()
    };
    pairs.map_or(Value::Null, entries)
}

/// What the view says, in the same form.
fn seen(pod: &PodView<'_>) -> Value {
    let metadata = pod.metadata.as_ref().map(|it| {
        let owners = it.owner_references.as_ref().map(|owners| {
            let owners = owners.iter();
            owners
                .map(|it| json!({"kind": text(&it.kind), "name": text(&it.name)}))
                .collect::<Value>()
        });
        json!({
            "name": maybe(it.name.as_ref()),
            "generateName": maybe(it.generate_name.as_ref()),
            "labels": pairs(it.labels.as_ref()),
            "annotations": pairs(it.annotations.as_ref()),
            "ownerReferences": owners,
        })
    });
    let spec = &pod.spec;
    let volumes = spec.volumes.as_ref().map(|volumes| {
        let volumes = volumes.iter();
        volumes
            .map(|it| {
                json!({
                    "name": text(&it.name),
                    "configMap": it.config_map.as_ref().map(|it| json!({"name": text(&it.name)})),
                    "emptyDir": it.empty_dir.map(|_| true),
                    "ephemeral": it.ephemeral.map(|_| true),
                })
            })
            .collect::<Value>()
    });
    let containers = spec.containers.as_ref();
    let init_containers = spec.init_containers.as_ref();
    json!({
        "metadata": metadata,
        "spec": {
            "containers": containers.map(|it| it.iter().map(container).collect::<Value>()),
            "initContainers":
                init_containers.map(|it| it.iter().map(|it| container(&it)).collect::<Value>()),
            "volumes": volumes,
            "restartPolicy": maybe(spec.restart_policy.as_ref()),
            "nodeSelector": pairs(spec.node_selector.as_ref()),
            "os": spec.os.as_ref().map(|os| json!({"name": text(&os.name)})),
        },
    })
}

fn container(container: &Container<'_>) -> Value {
    let ports = container.ports.as_ref().map(|ports| {
        let ports = ports.iter();
        ports
            .map(|it| json!({"containerPort": it.container_port}))
            .collect::<Value>()
    });
    let mounts = container.volume_mounts.as_ref().map(|mounts| {
        let mounts = mounts.iter();
        mounts
            .map(|it| {
                json!({
                    "name": text(&it.name),
                    "mountPath": text(&it.mount_path),
                    "readOnly": it.read_only,
                    "subPath": maybe(it.sub_path.as_ref()),
                    "subPathExpr": maybe(it.sub_path_expr.as_ref()),
                })
            })
            .collect::<Value>()
    });
    let devices = container.volume_devices.as_ref().map(|devices| {
        let devices = devices.iter();
        devices
            .map(|it| json!({"devicePath": text(&it.device_path)}))
            .collect::<Value>()
    });
    json!({
        "name": text(&container.name),
        "image": maybe(container.image.as_ref()),
        "ports": ports,
        "volumeMounts": mounts,
        "volumeDevices": devices,
        "restartPolicy": maybe(container.restart_policy.as_ref()),
    })
}

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn a_full_parse_tells_the_same_of_a_pod(case in pods::case(), pretty in any::<bool>()) {
        let text = if pretty { format!("{:#}", case.pod) } else { case.pod.to_string() };
        let view = PodView::parse(&text).unwrap();
        prop_assert_eq!(Some(seen(&view)), told_of_pod(&case.pod));
    }

    #[test]
    fn what_is_seen_of_broken_bytes_a_full_parse_sees_too(
        case in pods::case(),
        wounds in prop::collection::vec(any::<(usize, u8, u8)>(), 1..6),
    ) {
        let bytes = mangled(&case.pod, &wounds);
        let text = String::from_utf8_lossy(&bytes);
        if let (Ok(view), Ok(whole)) = (PodView::parse(&text), serde_json::from_str(&text)) {
            prop_assert_eq!(Some(seen(&view)), told_of_pod(&whole), "{}", text);
        }
    }
}
