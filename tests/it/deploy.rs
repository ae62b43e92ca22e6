//! What `deploy/` gives: kustomize's overlays and the chart say the same, object by object.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use quiescent::yaml;
use serde_json::Value;

use crate::{
    apiserver::kit::{self, kit, run},
    support,
};

/// Each overlay, and the values of the chart that mean the same.
pub const WAYS: [(&str, &str); 5] = [
    ("opt-in", ""),
    ("cluster-wide", "mode=cluster-wide"),
    ("cert-manager", "certificates=cert-manager"),
    ("own-certificate", "certificates=own"),
    ("high-availability", "highAvailability=true"),
];

/// Kind, namespace and name.
type Id = (String, String, String);

#[test]
fn kustomize_and_the_chart_render_the_same_objects() {
    if !there_are_kubectl_and_helm() {
        return;
    }
    for (name, values) in WAYS {
        same(name, &overlay(name), &chart(values));
    }
    // What is beside the overlays.
    let mut with_all = with_components(&[
        "components/guard",
        "components/heal",
        "components/snapshots",
        "components/verify",
        "components/policies",
        "components/watch-backups",
        "monitoring",
    ]);
    let config_map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: quiescent-policies, namespace: quiescent, \
                      labels: {app.kubernetes.io/name: quiescent}}, data: {own.yaml: one}}";
    with_all.extend(objects(config_map));
    let values = r"guard=true,heal=true,snapshots=true,verify.enabled=true,watchBackups=true,monitoring=true,policies.own\.yaml=one";
    same("components", &with_all, &chart(values));
}

#[test]
fn the_default_is_opt_in() {
    if there_are_kubectl_and_helm() {
        assert_eq!(kustomize("deploy"), overlay("opt-in"));
    }
}

#[test]
fn a_chart_refuses_values_that_it_does_not_know() {
    if !there_are_kubectl_and_helm() {
        return;
    }
    for (values, complaint) in [
        ("moed=cluster-wide", "moed"),
        ("mode=opt-out", "/mode"),
        ("certificates=none", "/certificates"),
        ("highAvailability=three", "/highAvailability"),
        ("image.tag=latest", "/image/tag"),
        ("image.name=quiescent", "/image"),
        ("webhook.replicas=0", "/webhook/replicas"),
        ("webhook.env.quiescent_threads=2", "quiescent_threads"),
        ("networkPolicy.apiServerPorts={65536}", "/networkPolicy"),
        ("policies.own=text", "'own'"),
        ("veleroNamespace=Velero", "/veleroNamespace"),
        ("verify.timeout=soon", "/verify/timeout"),
    ] {
        let refused = template(values).expect_err(values);
        assert!(refused.contains(complaint), "{values}: {refused}");
    }
    let chart = in_tree("deploy/helm/quiescent");
    run(helm().args(["lint", "--strict"]).arg(&chart)).unwrap();
}

#[test]
fn what_the_values_say_is_the_last_word() {
    if !there_are_kubectl_and_helm() {
        return;
    }
    let rendered = chart(
        "certificates=own,webhook.env.QUIESCENT_TRUST_DELAY=40s,image.repository=registry.test/quiescent,\
         image.tag=1.0,priorityClass.create=false,priorityClass.name=high,networkPolicy.enabled=false,\
         veleroNamespace=backups,guard=true",
    );
    let by_id = by_id(&rendered);
    let kinds: Vec<&str> = by_id.keys().map(|(kind, ..)| kind.as_str()).collect();
    assert!(!kinds.contains(&"PriorityClass") && !kinds.contains(&"NetworkPolicy"));
    let pod = |name| &deployment(&rendered, name)["spec"]["template"]["spec"];
    let of = |name, variable: &str| {
        let all = pod(name)["containers"][0]["env"].as_array().unwrap();
        let mut found = all.iter().filter(|it| it["name"] == variable);
        let value = found.next().unwrap()["value"].clone();
        assert!(found.next().is_none(), "{variable} stands twice");
        value
    };
    assert_eq!(of("quiescent", "QUIESCENT_TRUST_DELAY"), "40s");
    for name in ["quiescent", "quiescent-controller"] {
        assert_eq!(of(name, "QUIESCENT_VELERO_NAMESPACE"), "backups");
        assert_eq!(pod(name)["priorityClassName"], "high");
        assert_eq!(
            pod(name)["containers"][0]["image"],
            "registry.test/quiescent:1.0"
        );
        assert_eq!(of(name, "QUIESCENT_IMAGE"), "registry.test/quiescent:1.0");
    }
    let webhooks = rendered.iter().filter_map(|it| it["webhooks"].as_array());
    let entries: Vec<_> = webhooks.flatten().collect();
    assert_eq!(entries.len(), 5);
    for entry in entries {
        let text = entry["namespaceSelector"].to_string();
        assert!(
            text.contains("\"backups\"") && !text.contains("\"velero\""),
            "{text}"
        );
    }
}

/// Kustomize says what the webhook's entries mean, and the controller means the same pods.
#[test]
fn the_controller_means_the_pods_that_the_entries_mean() {
    if !there_are_kubectl_and_helm() {
        return;
    }
    for (name, _) in WAYS {
        let objects = overlay(name);
        let all = deployment(&objects, "quiescent-controller");
        let all = &all["spec"]["template"]["spec"]["containers"][0]["env"];
        let mode = all
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["name"] == "QUIESCENT_MODE");
        let entries = entries_of(&objects);
        let asks = &entries["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["operator"];
        let expected = if asks == "In" { "opt-in" } else { "opt-out" };
        assert_eq!(mode.unwrap()["value"], expected, "{name}");
    }
}

/// The image of all that is deployed has a tag that is a version: that of the program.
#[test]
fn versions_are_those_of_the_program() {
    if !there_are_kubectl_and_helm() {
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    let about =
        &objects(&fs::read_to_string(in_tree("deploy/helm/quiescent/Chart.yaml")).unwrap())[0];
    assert_eq!(
        (&about["version"], &about["appVersion"]),
        (&version.into(), &version.into())
    );
    let expected = format!("quiescent:{version}");
    for objects in [overlay("opt-in"), chart("")] {
        for name in ["quiescent", "quiescent-controller"] {
            let pod = &deployment(&objects, name)["spec"]["template"]["spec"];
            assert_eq!(pod["containers"][0]["image"], expected.as_str());
        }
    }
    for path in [
        "deploy/live-test.yaml",
        "deploy/components/verify/cronjob.yaml",
    ] {
        let beside = objects(&fs::read_to_string(in_tree(path)).unwrap());
        let job = beside.iter().find(|it| it["kind"] == "CronJob").unwrap();
        let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["image"], expected.as_str(), "{path}");
    }
}

/// What coordinators get the program from is the image of the program itself, whoever names it.
#[test]
fn a_kustomization_on_top_names_the_image_of_coordinators_too() {
    if !there_are_kubectl_and_helm() {
        return;
    }
    let rendered = on_top(&serde_json::json!({
        "images": [{"name": "quiescent", "newName": "registry.test/quiescent", "newTag": "1.0"}],
    }));
    for name in ["quiescent", "quiescent-controller"] {
        let container = &deployment(&rendered, name)["spec"]["template"]["spec"]["containers"][0];
        let mut variables = container["env"].as_array().unwrap().iter();
        let variable = variables
            .find(|it| it["name"] == "QUIESCENT_IMAGE")
            .unwrap();
        assert_eq!(variable["value"], "registry.test/quiescent:1.0");
        assert_eq!(container["image"], variable["value"]);
    }
}

#[test]
fn the_image_is_built_by_the_compiler_that_is_tested() {
    let read = |path| fs::read_to_string(in_tree(path)).unwrap();
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = \""));
    let (minor, _) = channel.unwrap().rsplit_once('.').unwrap();
    let image = format!("\nFROM rust:{minor}-");
    assert!(read("deploy/Dockerfile").contains(&image), "{image}");
}

#[test]
fn links_of_its_pages_lead_somewhere() {
    let pages = [
        "deploy/README.md",
        "deploy/helm/quiescent/README.md",
        "certs/README.md",
        "docs/choosing.md",
        "docs/good-practice.md",
        "docs/http-hooks.md",
        "docs/release.md",
        "docs/results.md",
        "docs/snapshot-controller.md",
        "docs/snapshot.md",
        "docs/test.md",
        "docs/verify.md",
    ];
    let notes = fs::read_dir(in_tree("docs/databases")).unwrap();
    let notes = notes.map(|it| it.unwrap().file_name().into_string().unwrap());
    let notes = notes.map(|name| format!("docs/databases/{name}"));
    for page in pages.map(str::to_owned).into_iter().chain(notes) {
        let page = page.as_str();
        let text = fs::read_to_string(in_tree(page)).unwrap();
        let links = text
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap());
        let folder = in_tree(page).parent().unwrap().to_owned();
        for link in links.filter(|link| !link.starts_with("https://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                in_tree(page)
            } else {
                folder.join(path)
            };
            assert!(target.exists(), "{page}: {link}");
            if !anchor.is_empty() {
                let words = fs::read_to_string(&target).unwrap().to_lowercase();
                let heading = format!("# {}\n", anchor.replace('-', " "));
                assert!(words.contains(&heading), "{page}: {link}");
            }
        }
    }
}

pub fn there_are_kubectl_and_helm() -> bool {
    support::require(
        kit::built("envtest/build", &["kubectl"]) && kit::built("helm/build", &[]),
        "kubectl and helm (tests/kit/envtest/build and tests/kit/helm/build make them, once)",
    )
}

/// What an overlay renders.
pub fn overlay(name: &str) -> Vec<Value> {
    kustomize(&format!("deploy/overlays/{name}"))
}

/// The entries of the webhook as an overlay has them, for a server that is somewhere else.
pub fn entries(name: &str, client_config: &Value) -> Value {
    let mut entries = entries_of(&overlay(name)).clone();
    for entry in entries["webhooks"].as_array_mut().unwrap() {
        entry["clientConfig"] = client_config.clone();
    }
    entries
}

fn entries_of(objects: &[Value]) -> &Value {
    let mut all = objects.iter();
    all.find(|object| object["kind"] == "MutatingWebhookConfiguration")
        .expect("the webhook's entries")
}

pub fn helm() -> Command {
    let directory = run(&mut Command::new(kit("helm/build"))).expect("helm is built");
    Command::new(Path::new(directory.trim()).join("helm"))
}

fn kustomize(folder: &str) -> Vec<Value> {
    let directory =
        run(Command::new(kit("envtest/build")).arg("kubectl")).expect("kubectl is built");
    let mut kubectl = Command::new(Path::new(directory.trim()).join("kubectl"));
    let rendered = run(kubectl
        .arg("kustomize")
        .arg(folder)
        .current_dir(in_tree("")));
    objects(&rendered.unwrap_or_else(|error| panic!("{folder}: {error}")))
}

/// The overlay `opt-in` with further components.
pub fn with_components(components: &[&str]) -> Vec<Value> {
    on_top(&serde_json::json!({ "components": components }))
}

/// The overlay `opt-in` under a kustomization of somebody's own, whose components are those of `deploy`.
fn on_top(kustomization: &Value) -> Vec<Value> {
    // Kustomize knows relative paths alone, and resolves links first.
    let folder = tempfile::tempdir().unwrap();
    let own = fs::canonicalize(folder.path()).unwrap();
    let up: PathBuf = own.iter().skip(1).map(|_| "..").collect();
    let deploy = up.join(in_tree("deploy").strip_prefix("/").unwrap());
    let path = |part: &str| deploy.join(part).display().to_string();
    let mut kustomization = kustomization.clone();
    kustomization["resources"] = serde_json::json!([path("overlays/opt-in")]);
    let components = kustomization.get_mut("components");
    for component in components
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        *component = path(component.as_str().unwrap()).into();
    }
    fs::write(own.join("kustomization.yaml"), kustomization.to_string()).unwrap();
    kustomize(own.to_str().unwrap())
}

fn chart(values: &str) -> Vec<Value> {
    objects(&template(values).unwrap_or_else(|error| panic!("{values}: {error}")))
}

fn template(values: &str) -> Result<String, String> {
    run(helm()
        .args([
            "template",
            "quiescent",
            "--namespace",
            "quiescent",
            "--set",
            values,
        ])
        .arg(in_tree("deploy/helm/quiescent")))
}

fn objects(text: &str) -> Vec<Value> {
    let documents = yaml::parse(text).unwrap();
    let roots = documents.into_iter().filter_map(|document| document.root);
    roots.map(|root| root.to_json()).collect()
}

fn deployment<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    let mut all = objects.iter();
    all.find(|it| it["kind"] == "Deployment" && it["metadata"]["name"] == name)
        .expect(name)
}

fn same(name: &str, kustomize: &[Value], chart: &[Value]) {
    let mut ours = by_id(kustomize);
    let theirs = by_id(chart);
    // The one thing that is Helm's own: `helm install --create-namespace` makes the namespace.
    let namespace = (
        "Namespace".to_owned(),
        String::new(),
        "quiescent".to_owned(),
    );
    assert!(ours.remove(&namespace).is_some());
    assert_eq!(
        ours.keys().collect::<Vec<_>>(),
        theirs.keys().collect::<Vec<_>>(),
        "{name}"
    );
    for (id, object) in ours {
        assert_eq!(object, theirs[&id], "{name}: {id:?}");
    }
}

fn by_id(objects: &[Value]) -> BTreeMap<Id, Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = BTreeMap::new();
    for object in objects {
        let metadata = &object["metadata"];
        let id = (
            text(&object["kind"]),
            text(&metadata["namespace"]),
            text(&metadata["name"]),
        );
        let mut object = object.clone();
        // The order of variables means nothing, and is another one after a patch.
        if let Some(all) = object.pointer_mut("/spec/template/spec/containers/0/env") {
            let all = all.as_array_mut().unwrap();
            all.sort_by_key(|it| it["name"].to_string());
        }
        assert!(
            all.insert(id.clone(), object).is_none(),
            "{id:?} stands twice"
        );
    }
    all
}

fn in_tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
