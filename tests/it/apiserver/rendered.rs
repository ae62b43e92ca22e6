//! `quiescent render admission-policy`: the API server follows the expressions, and stores what the
//! engine would have had it store, pod by pod.
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use quiescent::{
    inject::inject,
    library,
    pod::PodView,
    policy::PolicySet,
    policy_files::Sources,
    select::{Facts, Namespace, Settings},
};
use serde_json::{Value, json};

use super::{ApiServer, kit::eventually, manifests, there_is_an_api_server, velero_rendered};

const COMMAND: &str = "pre.hook.backup.velero.io/command";

#[test]
fn expressions_write_what_the_engine_would() {
    if !there_is_an_api_server() {
        return;
    }
    // Of its own: what the policies say holds for every namespace.
    let api = ApiServer::start(&[]);
    the_library_says_the_same(&api);
    policies_of_every_kind_say_the_same(&api);
    velero_rendered::velero_takes_what_is_rendered(&api);
}

fn the_library_says_the_same(api: &ApiServer) {
    let (policies, _) = PolicySet::new(library::defaults());
    let cases = cases(api);
    assert!(cases.len() > 150, "{}", cases.len());
    let stage = Stage::new(api, "rendered", &json!({"tier": "db"}));
    let wanted = stage.wanted(&policies, &cases);
    let rendered = Rendered::new(api, &[]);
    let said = |pod: &Value, stored: &Value| {
        sets_a_parameter(pod) && stored["annotations"][COMMAND].is_null() || runs_a_shell(pod)
    };
    let stored = stage.agrees(&cases, &wanted, said);
    let outcomes = cases.iter().zip(wanted.iter().zip(&stored));
    let lost = outcomes.filter(|(_, (wanted, stored))| wanted != stored);
    let lost: Vec<&Value> = lost.map(|(pod, _)| pod).collect();
    let (parameters, shells): (Vec<&Value>, Vec<&Value>) =
        lost.iter().partition(|pod| sets_a_parameter(pod));
    println!(
        "       {} pods, {} with parameters and {} with shells lost",
        cases.len(),
        parameters.len(),
        shells.len()
    );
    assert!(cases.len() > 9 * lost.len());
    // What is lost is said, and the policy beside it names the pod.
    for loss in [
        "set a parameter get no hook",
        "a client that a shell starts",
    ] {
        assert!(rendered.losses.contains(loss), "{}", rendered.losses);
    }
    let create = "create --dry-run=server --warnings-as-errors --validate=false -n rendered -f -";
    let warned = api.kubectl.attempt(create, &parameters[0].to_string());
    assert!(
        warned
            .unwrap_err()
            .contains("selects this pod, and it has no hook"),
        "a pod without hooks is named"
    );
}

fn policies_of_every_kind_say_the_same(api: &ApiServer) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/apiserver/rendered.yaml");
    let sources = Sources {
        paths: vec![file.clone()],
        library: false,
    };
    let policies = sources.load().expect("the policies can be read").policies;
    let stages = [
        (
            Stage::new(api, "rendered-pods", &json!({"tier": "db"})),
            shapes(),
        ),
        (Stage::new(api, "rendered-images", &json!({})), images()),
    ];
    let wanted = stages
        .each_ref()
        .map(|(stage, pods)| stage.wanted(&policies, pods));
    let of_file = ["--policies", file.to_str().unwrap()];
    let rendered = Rendered::new(api, &of_file);
    for ((stage, pods), wanted) in stages.iter().zip(wanted) {
        let hooked = wanted
            .iter()
            .filter(|pod| pod["annotations"][COMMAND].is_string());
        let hooked = hooked.count();
        println!("       {} pods, {hooked} with hooks", pods.len());
        assert!(hooked > pods.len() / 8 && hooked < pods.len(), "{hooked}");
        stage.agrees(pods, &wanted, |_, _| false);
    }
    drop(rendered);

    // Who would rather have no pod than one without a hook says so.
    let _rendered = Rendered::new(api, &[of_file[0], of_file[1], "--backstop=deny"]);
    let mut unsure = stages[0].1[0].clone();
    unsure["metadata"]["annotations"] = json!({"quiescent.dev/one.depth": "7"});
    let limit = Duration::from_mins(1);
    let refused = eventually("the pod is refused", limit, || {
        api.dry_run("rendered-pods", &unsure.to_string()).err()
    });
    assert!(
        refused.contains("selects this pod, and it has no hook"),
        "{refused}"
    );
}

/// A namespace in which pods are tried.
struct Stage<'a> {
    api: &'a ApiServer,
    name: &'static str,
    labels: BTreeMap<String, String>,
}

impl<'a> Stage<'a> {
    fn new(api: &'a ApiServer, name: &'static str, labels: &Value) -> Self {
        api.namespace(name, labels);
        let mut labels: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap();
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
        Self { api, name, labels }
    }

    /// What is stored where the engine has had its way and nobody else has.
    fn wanted(&self, policies: &PolicySet, pods: &[Value]) -> Vec<Value> {
        let (settings, nothing) = (Settings::default(), BTreeMap::new());
        let facts = Facts {
            namespace: self.name,
            about_namespace: Namespace::Known {
                labels: &self.labels,
                annotations: &nothing,
            },
            owner: None,
            settings: &settings,
        };
        let injected = pods.iter().map(|pod| {
            let text = pod.to_string();
            let view = PodView::parse(&text).unwrap();
            let mut pod = pod.clone();
            let injection = inject(policies, &view, facts);
            injection.patch(&view).apply(&mut pod, "").unwrap();
            pod
        });
        self.stored(&injected.collect::<Vec<_>>())
    }

    /// What is stored of each pod: what a policy could change in it.
    fn stored(&self, pods: &[Value]) -> Vec<Value> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": pods});
        let create = format!(
            "create --dry-run=server --validate=false -n {} -o json -f -",
            self.name
        );
        let stored = self.api.kubectl.apply(&create, &list.to_string());
        let stored = serde_json::Deserializer::from_str(&stored).into_iter::<Value>();
        let stored: Vec<Value> = stored.map(|pod| essence(&pod.unwrap())).collect();
        assert_eq!(stored.len(), pods.len());
        stored
    }

    /// What is stored of each pod once all policies are in force: what is wanted, or something else
    /// that was said.
    fn agrees(
        &self,
        pods: &[Value],
        wanted: &[Value],
        said: impl Fn(&Value, &Value) -> bool,
    ) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let stored = self.stored(pods);
            let mut all = pods.iter().zip(wanted.iter().zip(&stored));
            let strange =
                all.find(|(pod, (wanted, stored))| wanted != stored && !said(pod, stored));
            match strange {
                None => return stored,
                // The API server takes them up one by one.
                Some(_) if Instant::now() < deadline => {}
                Some((pod, (wanted, stored))) => {
                    panic!("{pod:#}\nshould be\n{wanted:#}\nand is\n{stored:#}")
                }
            }
        }
    }
}

/// Rendered policies, until they are dropped.
struct Rendered<'a> {
    api: &'a ApiServer,
    objects: String,
    losses: String,
}

impl<'a> Rendered<'a> {
    fn new(api: &'a ApiServer, arguments: &[&str]) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_quiescent"))
            .args(["render", "admission-policy"])
            .args(arguments)
            .output()
            .expect("quiescent starts");
        let [objects, losses] =
            [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        assert!(output.status.success(), "{losses}");
        let create = "create --warnings-as-errors -f -";
        api.kubectl.apply(create, &objects);
        Self {
            api,
            objects,
            losses,
        }
    }
}

impl Drop for Rendered<'_> {
    fn drop(&mut self) {
        let _ = self
            .api
            .kubectl
            .attempt("delete --wait=false -f -", &self.objects);
    }
}

/// The pods of the library's cases and of the other scenarios.
fn cases(api: &ApiServer) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let find = Command::new("find")
        .arg(root.join("policies"))
        .args(["-path", "*/cases/*.yaml"])
        .output();
    let find = String::from_utf8(find.expect("find").stdout).unwrap();
    let (library, _) = PolicySet::new(library::policies());
    let files = find
        .lines()
        .filter(|file| is_rendered(&library, Path::new(file)));
    let files = files.map(|file| fs::read_to_string(file).unwrap());
    let beside = ["hooked", "untouched"].into_iter().flat_map(manifests);
    let texts = files.chain(beside.map(|(_, text)| text));
    let text = texts.collect::<Vec<_>>().join("\n---\n");
    let list = api.kubectl.apply(
        "create --dry-run=client --validate=false -o json -f -",
        &text,
    );
    let objects = serde_json::Deserializer::from_str(&list).into_iter::<Value>();
    let objects = objects
        .map(Result::unwrap)
        .flat_map(|object| match object["items"].as_array() {
            Some(items) => items.clone(),
            None => vec![object],
        });
    let pods = objects.filter(|object| object["kind"] == "Pod");
    pods.enumerate().map(|(at, pod)| here(at, pod)).collect()
}

/// Whether a case is of a policy that is rendered: those with a coordinator are left out, and that is said.
fn is_rendered(library: &PolicySet, case: &Path) -> bool {
    let folder = case.ancestors().nth(2).and_then(Path::file_name);
    let policy = library.get(folder.unwrap().to_str().unwrap(), "");
    policy.is_none_or(|it| it.coordinator.is_none())
}

/// The pod under a name of its own, in the namespace that it is tried in.
fn here(at: usize, mut pod: Value) -> Value {
    let metadata = pod["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| ["labels", "annotations", "ownerReferences"].contains(&key.as_str()));
    metadata.insert("name".to_owned(), format!("case-{at}").into());
    for owner in pod["metadata"]["ownerReferences"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        owner["uid"] = "1".into();
    }
    if pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string() {
        pod["spec"]["nodeName"] = "node".into();
    }
    pod
}

/// What a policy could change: annotations, volumes, and mounts of containers.
fn essence(pod: &Value) -> Value {
    let ours = |item: &&Value| {
        let name = item["name"].as_str().unwrap_or_default();
        !name.starts_with("kube-api-access-")
    };
    let sorted = |list: &Value| {
        let mut items: Vec<Value> = list
            .as_array()
            .into_iter()
            .flatten()
            .filter(ours)
            .cloned()
            .collect();
        items.sort_by_key(|item| item["name"].to_string());
        items
    };
    let containers = pod["spec"]["containers"].as_array().unwrap().iter();
    let mounts: Vec<_> = containers.map(|it| sorted(&it["volumeMounts"])).collect();
    json!({
        "annotations": without_init(&pod["metadata"]["annotations"]),
        "volumes": sorted(&pod["spec"]["volumes"]),
        "mounts": mounts,
    })
}

/// Only a webhook completes what Velero makes of these, so expressions do not ask for it.
fn without_init(annotations: &Value) -> Value {
    let mut annotations = annotations.clone();
    let Some(entries) = annotations.as_object_mut() else {
        return annotations;
    };
    entries.retain(|key, _| !key.starts_with("init.hook.restore.velero.io/"));
    if let Some(Value::String(record)) = entries.get_mut("quiescent.dev/hooks") {
        let others = record.split(',').filter(|it| !it.starts_with("init@"));
        *record = others.collect::<Vec<_>>().join(",");
    }
    annotations
}

fn sets_a_parameter(pod: &Value) -> bool {
    let annotations = pod["metadata"]["annotations"].as_object();
    let mut keys = annotations.into_iter().flat_map(|it| it.keys());
    keys.any(|key| key.starts_with("quiescent.dev/") && key != "quiescent.dev/container")
}

fn runs_a_shell(pod: &Value) -> bool {
    let mut containers = pod["spec"]["containers"].as_array().unwrap().iter();
    containers.any(|container| {
        let words = [&container["command"], &container["args"]];
        let words = words.into_iter().filter_map(Value::as_array).flatten();
        let words: Vec<&str> = words.filter_map(Value::as_str).collect();
        let shell = |word: &&str| ["sh", "bash"].contains(&word.rsplit('/').next().unwrap());
        words.iter().any(shell) && words.len() > 1
    })
}

/// What is changed in a pod, where.
fn changes() -> Vec<(&'static str, Value)> {
    let owners = |kind: &str, name: &str| json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1"}]);
    vec![
        ("", json!(null)),
        ("/metadata/labels", json!({"app": "one"})),
        ("/metadata/labels", json!({"app": "one", "tier": "front"})),
        ("/metadata/labels", json!({"app": "two", "role": "x"})),
        (
            "/metadata/labels",
            json!({"app": "one", "quiescent.dev/inject": "disabled"}),
        ),
        (
            "/metadata/labels",
            json!({"app": "one", "quiescent.dev/method": "off"}),
        ),
        (
            "/metadata/labels",
            json!({"app": "one", "quiescent.dev/method": "snapshot"}),
        ),
        (
            "/metadata/labels",
            json!({"app": "one", "velero.io/restore-name": "nightly"}),
        ),
        (
            "/metadata/ownerReferences",
            owners("StatefulSet", "db-main"),
        ),
        ("/metadata/ownerReferences", owners("StatefulSet", "web")),
        ("/metadata/ownerReferences", owners("Job", "db-main")),
        (
            "/metadata",
            json!({
                "labels": {"pod-template-hash": "5d4f"}, "ownerReferences": owners("ReplicaSet", "db-api-5d4f"),
            }),
        ),
        (
            "/metadata",
            json!({
                "labels": {"pod-template-hash": "5d4f"}, "ownerReferences": owners("ReplicaSet", "db-api"),
            }),
        ),
        ("/spec/containers/0/ports", json!([{"containerPort": 5432}])),
        ("/spec/containers/0/ports", json!([{"containerPort": 80}])),
        ("/spec/restartPolicy", json!("Never")),
        (
            "/spec/volumes",
            json!([{"name": "scratch", "emptyDir": {}}]),
        ),
        (
            "/spec/volumes",
            json!([{"name": "scratch", "configMap": {"name": "x"}}]),
        ),
        ("/spec/volumes", json!([{"name": "data", "emptyDir": {}}])),
        ("/metadata/annotations", json!({COMMAND: "/bin/date"})),
        (
            "/metadata/annotations",
            json!({"post.hook.backup.velero.io/timeout": "1s"}),
        ),
        (
            "/metadata/annotations",
            json!({"hook.backup.velero.io/command": "/bin/date"}),
        ),
        (
            "/metadata/annotations",
            json!({"post.hook.restore.velero.io/command": "/bin/date"}),
        ),
        (
            "/metadata/annotations",
            json!({"backup.velero.io/backup-volumes": "other"}),
        ),
        (
            "/metadata/annotations",
            json!({"backup.velero.io/backup-volumes": "data,scratch"}),
        ),
        (
            "/metadata/annotations",
            json!({"quiescent.dev/container": "beside"}),
        ),
        (
            "/spec/containers/0/volumeMounts",
            json!([{"name": "x", "mountPath": "/scratch//"}]),
        ),
        (
            "/spec/containers/0/volumeMounts",
            json!([{"name": "x", "mountPath": "/other"}]),
        ),
    ]
}

/// Pods that differ in what selectors, owners, ports and conflicts look at.
fn shapes() -> Vec<Value> {
    let changes = changes();
    let mut pods = Vec::new();
    for app in ["one", "two", "owned", "ported", "twice"] {
        for (pointer, value) in &changes {
            let mut pod = pod(app, "db:1");
            if app == "twice" {
                let beside = json!({"name": "beside", "image": "db:1"});
                pod["spec"]["containers"]
                    .as_array_mut()
                    .unwrap()
                    .push(beside);
            }
            set(&mut pod, pointer, value);
            let mounts = &pod["spec"]["containers"][0]["volumeMounts"];
            if mounts.is_array() {
                pod["spec"]["volumes"] = json!([{"name": "x", "emptyDir": {}}]);
            }
            pods.push(here(pods.len(), pod));
        }
    }
    pods
}

/// The labels stay beside those that a change brings.
fn set(pod: &mut Value, pointer: &str, value: &Value) {
    let app = pod["metadata"]["labels"]["app"].clone();
    if let Some((parent, field)) = pointer.rsplit_once('/') {
        pod.pointer_mut(parent).unwrap()[field] = value.clone();
    }
    if pod["metadata"]["labels"]["app"].is_null() {
        pod["metadata"]["labels"]["app"] = app;
    }
}

/// One pod for each reference and each policy that looks at references.
fn images() -> Vec<Value> {
    let digest = format!("@sha256:{}", "0".repeat(64));
    let references = [
        "db",
        "db:1",
        "db:16",
        "db:16.3",
        "db:16.3-alpine",
        "db:17",
        "db:v2",
        "db:v17.3.1",
        "db:15",
        "db:14.9",
        "db:latest",
        "db:1.",
        "db:99999999999999",
        "library/db:16",
        "docker.io/db:16",
        "docker.io/library/db:16",
        "index.docker.io/library/db:16",
        "ghcr.io/db:16",
        "ghcr.io/x/db:16",
        "ghcr.io/a/b/db:16",
        "x:5000/db:16",
        "localhost/db:16",
        "x/db:16",
        "a/b/db:16",
        "x/dbs:16",
        "mydb:16",
        "ghcr.io/library/db:16",
        "host.name/x/db",
    ];
    let digests = ["db", "db:16", "x/db:16", "ghcr.io/db"].map(|it| format!("{it}{digest}"));
    let references = references.map(str::to_owned).into_iter().chain(digests);
    let references: Vec<String> = references.collect();
    let policies = 0..9;
    let pods = policies.flat_map(|policy| {
        let app = format!("image-{policy}");
        references.iter().map(move |reference| pod(&app, reference))
    });
    pods.enumerate().map(|(at, pod)| here(at, pod)).collect()
}

fn pod(app: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "main", "image": image}]},
    })
}
