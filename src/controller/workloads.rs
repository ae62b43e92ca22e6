//! Pods, and what makes pods, as they come from a watch: nothing is read of them but what a policy
//! and an audit may ask for, and no value of a variable, no secret and no object's history ever gets
//! into memory.
use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::{Resource, api::ObjectMeta, core::ApiResource};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What `kubectl apply` notes on an object is the object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A Pod, or an object with a pod template at `/spec/template`.
#[derive(Clone, Debug, Deserialize)]
pub struct Workload {
    #[serde(default, deserialize_with = "slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: Spec,
    #[serde(default)]
    status: Status,
}

/// Of a pod or of what makes pods.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    #[serde(skip_serializing)]
    template: Option<Box<Template>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    containers: Option<Vec<Container>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_containers: Option<Vec<Container>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volumes: Option<Vec<Volume>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_selector: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os: Option<Os>,
}

#[derive(Clone, Debug, Deserialize)]
struct Template {
    #[serde(default, deserialize_with = "slim")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<Vec<Port>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Vec<Variable>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env_from: Option<Vec<There>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume_mounts: Option<Vec<VolumeMount>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume_devices: Option<Vec<Device>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart_policy: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_port: Option<i64>,
}

/// A variable without its value, but with where that comes from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Variable {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_from: Option<Box<RawValue>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct VolumeMount {
    name: String,
    mount_path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_path_expr: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    device_path: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Volume {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_map: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    empty_dir: Option<There>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral: Option<There>,
    #[serde(skip_serializing_if = "Option::is_none")]
    persistent_volume_claim: Option<There>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_path: Option<There>,
    #[serde(skip_serializing_if = "Option::is_none")]
    csi: Option<There>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<There>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projected: Option<There>,
    #[serde(rename = "downwardAPI", skip_serializing_if = "Option::is_none")]
    downward_api: Option<There>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    #[serde(default)]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_mode: Option<i64>,
}

/// An object of which nothing is read but that it is there.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct There {}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Os {
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Status {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phase: Option<String>,
}

/// A pod as the engine and an audit read it.
#[derive(Serialize)]
struct Pod<'w> {
    metadata: Meta<'w>,
    spec: &'w Spec,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'w Status>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'w> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'w BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'w BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_references: Option<Vec<Owner>>,
}

#[derive(Serialize)]
struct Owner {
    kind: String,
    name: String,
}

impl Workload {
    /// The pod that it is or makes, in JSON, and without anything that no policy asks for.
    pub fn pod(&self) -> String {
        let Self {
            metadata,
            spec,
            status,
        } = self;
        let (meta, spec, status) = match &spec.template {
            Some(template) => (&template.metadata, &template.spec, None),
            None => (metadata, spec, status.phase.is_some().then_some(status)),
        };
        let owner = |it: &'_ OwnerReference| Owner {
            kind: it.kind.clone(),
            name: it.name.clone(),
        };
        let owners = meta.owner_references.as_ref();
        let pod = Pod {
            metadata: Meta {
                name: meta.name.as_deref(),
                uid: meta.uid.as_deref(),
                labels: meta.labels.as_ref(),
                annotations: meta.annotations.as_ref(),
                owner_references: owners.map(|owners| owners.iter().map(owner).collect()),
            },
            spec,
            status,
        };
        serde_json::to_string(&pod).expect("texts and lists can be written as JSON")
    }

    /// The names of ConfigMaps among the volumes.
    pub fn config_maps(&self) -> impl Iterator<Item = &str> {
        let template = self.spec.template.as_ref();
        let spec = template.map_or(&self.spec, |template| &template.spec);
        let volumes = spec.volumes.iter().flatten();
        volumes.filter_map(|volume| Some(&*volume.config_map.as_ref()?.name))
    }
}

/// What is needed of the metadata: managed fields are as large as the rest of an object.
fn slim<'de, D: serde::Deserializer<'de>>(from: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Slim {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        creation_timestamp: Option<Time>,
        deletion_timestamp: Option<Time>,
        labels: Option<BTreeMap<String, String>>,
        annotations: Option<BTreeMap<String, String>>,
        owner_references: Option<Vec<OwnerReference>>,
    }
    let Slim {
        name,
        namespace,
        uid,
        resource_version,
        creation_timestamp,
        deletion_timestamp,
        labels,
        mut annotations,
        owner_references,
    } = Option::deserialize(from)?.unwrap_or_default();
    if let Some(annotations) = &mut annotations {
        annotations.remove(LAST_APPLIED);
    }
    Ok(ObjectMeta {
        name,
        namespace,
        uid,
        resource_version,
        creation_timestamp,
        deletion_timestamp,
        labels,
        annotations,
        owner_references,
        ..ObjectMeta::default()
    })
}

impl Resource for Workload {
    type DynamicType = ApiResource;
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind(dt: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&dt.kind)
    }

    fn group(dt: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&dt.group)
    }

    fn version(dt: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&dt.version)
    }

    fn plural(dt: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&dt.plural)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        audit::{Around, Backups, audit},
        inject::explain,
        library,
        pod::PodView,
        policy::PolicySet,
        select::{Facts, Namespace, Settings},
        workload::places,
        yaml,
    };

    /// What every policy says about a pod, what would be done, and what an audit finds.
    fn answer(policies: &PolicySet, pod: &str) -> String {
        let text = pod;
        let pod = PodView::parse(text).unwrap();
        let settings = Settings::default();
        let facts = Facts {
            namespace: "shop",
            about_namespace: Namespace::Unknown,
            owner: None,
            settings: &settings,
        };
        let injection = explain(policies, &pod, facts);
        let around = Around {
            facts,
            backups: Backups::Unknown,
            config_maps: None,
        };
        let found = audit(policies, text, around).unwrap();
        format!(
            "{:?} {:?} {:?} {found:?}",
            injection.gate, injection.verdicts, injection.plan
        )
    }

    #[test]
    fn engine_and_audit_say_the_same_of_what_is_left_of_a_pod() {
        let (policies, _) = PolicySet::new(library::policies());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let cases = library::FOLDERS.iter();
        let cases = cases.map(|folder| root.join("policies").join(folder.name).join("cases"));
        let mut tried = 0;
        for folder in cases.chain([root.join("tests/it/audit/shop")]) {
            for case in fs::read_dir(folder).unwrap() {
                let path = case.unwrap().path();
                if path.extension().is_none_or(|it| it != "yaml") {
                    continue;
                }
                for pod in pods(&fs::read_to_string(&path).unwrap()) {
                    let workload: Workload = serde_json::from_value(pod.clone()).unwrap();
                    let (whole, left) = (pod.to_string(), workload.pod());
                    // Metadata is there also where a template has none.
                    assert!(
                        left.len() <= whole.len() + r#""metadata":{},"#.len(),
                        "{left}"
                    );
                    assert_eq!(
                        answer(&policies, &left),
                        answer(&policies, &whole),
                        "{}",
                        path.display()
                    );
                    tried += 1;
                }
            }
        }
        assert!(tried > 100, "{tried}");
    }

    fn pods(text: &str) -> Vec<Value> {
        let documents = yaml::parse(text).unwrap();
        let roots = documents.iter().filter_map(|it| it.root.as_ref());
        let objects = roots.map(yaml::Node::to_json);
        let pods = objects.flat_map(|object| {
            let places = places(&object).into_iter();
            places
                .map(|place| object.pointer(&place.pointer).unwrap().clone())
                .collect::<Vec<_>>()
        });
        pods.collect()
    }

    #[test]
    fn a_template_is_the_pod_that_is_made_from_it() {
        let set: Workload = serde_json::from_value(json!({
            "metadata": {"name": "pg", "namespace": "shop", "managedFields": [{}]},
            "spec": {"replicas": 1, "template": {
                "metadata": {"labels": {"app": "pg"}, "annotations": {LAST_APPLIED: "{}", "a": "b"}},
                "spec": {
                    "containers": [{"name": "db", "image": "postgres:17", "env": [{"name": "P", "value": "secret"}, {"name": "Q", "valueFrom": {"secretKeyRef": {"name": "s", "key": "q"}}}]}],
                    "volumes": [{"name": "s", "configMap": {"name": "quiescent-x", "optional": true}}, {"name": "d", "emptyDir": {}}],
                },
            }},
        }))
        .unwrap();
        let pod: Value = serde_json::from_str(&set.pod()).unwrap();
        let expected = json!({
            "metadata": {"labels": {"app": "pg"}, "annotations": {"a": "b"}},
            "spec": {
                "containers": [{"name": "db", "image": "postgres:17", "env": [{"name": "P"}, {"name": "Q", "valueFrom": {"secretKeyRef": {"name": "s", "key": "q"}}}]}],
                "volumes": [{"name": "s", "configMap": {"name": "quiescent-x"}}, {"name": "d", "emptyDir": {}}],
            },
        });
        assert_eq!(pod, expected);
        assert_eq!(set.config_maps().collect::<Vec<_>>(), ["quiescent-x"]);
    }
}
