//! `quiescent render backup`, `schedule` and `restore`: what is said, what is lost, and that Velero would
//! run what the webhook would have written.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use quiescent::{
    inject::inject,
    library,
    pod::PodView,
    policy::PolicySet,
    render::velero::{Rendered, Seen, Wanted, found},
    select::{Facts, Namespace, Settings},
    velero::{HookKeys, HookPhase, decode_command, spec},
    workload::{places, pod},
    yaml,
};
use serde_json::{Value, json};

use crate::support::{golden, quiescent, run};

mod snapshot_job;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/render")
}

/// What `quiescent render` prints and says, on one page.
fn page(arguments: &[&str]) -> (String, Option<i32>) {
    let output = quiescent(&[&["render"], arguments].concat())
        .current_dir(folder())
        .output()
        .unwrap();
    let [printed, said] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    if !printed.is_empty() {
        let lost: Vec<&str> = printed
            .lines()
            .map_while(|it| it.strip_prefix("# "))
            .collect();
        let said: Vec<&str> = said.lines().collect();
        assert_eq!(lost, said, "what is lost is said above the object too");
    }
    (
        if printed.is_empty() { said } else { printed },
        output.status.code(),
    )
}

#[test]
fn what_is_said_of_pods_and_what_is_lost() {
    let shop = [
        "-f",
        "shop.yaml",
        "--policies",
        "policies.yaml",
        "--name",
        "shop",
    ];
    let within = ["--include-namespaces", "shop,shop-2"];
    let kinds: [(&str, &[&str]); 4] = [
        (
            "backup",
            &[
                "--ttl",
                "720h",
                "--storage-location",
                "cellar",
                "--ordered-resources",
                "pods=shop/pg-0,shop/pg-1",
            ],
        ),
        (
            "schedule",
            &["--schedule", "0 2 * * *", "--without", "quiet"],
        ),
        (
            "restore",
            &[
                "--from-backup",
                "shop",
                "--namespace-mappings",
                "shop:shop-again",
            ],
        ),
        (
            "restore",
            &["--from-schedule", "nightly", "--without", "dump"],
        ),
    ];
    for (at, (kind, more)) in kinds.into_iter().enumerate() {
        let (text, code) = page(&[&[kind], shop.as_slice(), &within, more].concat());
        let hooks = at < 3;
        assert_eq!(code, Some(i32::from(!hooks)), "{text}");
        if hooks {
            golden(&folder().join(format!("{kind}.yaml")), &text);
            assert_clean(&text);
        } else {
            assert!(text.contains("there is no hook to print"), "{text}");
        }
    }
}

#[test]
fn without_pods_a_policy_is_said_only_as_far_as_it_reaches_no_other_pod() {
    let (text, code) = page(&[
        "backup",
        "--policies",
        "policies.yaml",
        "--include-namespaces",
        "shop,shop-2",
    ]);
    assert_eq!(code, Some(0));
    golden(&folder().join("unseen.yaml"), &text);
    assert_clean(&text);

    let (text, code) = page(&["backup"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("with --resolve"), "{text}");
}

#[test]
fn a_policy_that_takes_part_only_when_named_can_be_named() {
    let arguments = [
        "backup",
        "--policies",
        "policies.yaml",
        "--without",
        "quiet,still",
    ];
    let (text, code) = page(&arguments);
    assert_eq!(code, Some(1), "{text}");
    let (text, code) = page(&[&arguments, ["--with", "filesystem-freeze"].as_slice()].concat());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("- name: filesystem-freeze"), "{text}");
    assert_clean(&text);
}

/// Our own lint has nothing to say.
fn assert_clean(objects: &str) {
    let found = String::from_utf8(run(&["lint", "-"], objects).stdout).unwrap();
    assert!(found.ends_with("1 file, 0 errors, 0 warnings\n"), "{found}");
}

/// As the API server shows a pod: its volume for the token is another one in each pod of a StatefulSet.
#[test]
fn an_init_container_leaves_the_token_of_the_account_to_the_api_server() {
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "pg-0", "namespace": "shop",
            "labels": {"app": "pg", "quiescent.dev/method": "physical"},
        },
        "spec": {
            "containers": [{
                "name": "postgres", "image": "postgres:17",
                "volumeMounts": [
                    mount("data", "/var/lib/postgresql/data"),
                    mount("quiescent-dump", "/quiescent/dump"),
                    mount("kube-api-access-x7k2p", "/var/run/secrets/kubernetes.io/serviceaccount"),
                ],
            }],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data-pg-0"}},
                {"name": "quiescent-dump", "emptyDir": {}},
                {"name": "kube-api-access-x7k2p", "projected": {"sources": []}},
            ],
        },
    });
    let arguments = [
        "render",
        "restore",
        "--from-backup",
        "b",
        "-o",
        "json",
        "-f",
        "-",
    ];
    let output = run(&arguments, &pod.to_string());
    let objects: Value = serde_json::from_slice(&output.stdout).unwrap();
    let hooks = &objects["items"][0]["spec"]["hooks"]["resources"][0]["postHooks"];
    let mounts = &hooks[0]["init"]["initContainers"][0]["volumeMounts"];
    let names: Vec<&Value> = mounts
        .as_array()
        .unwrap_or_else(|| panic!("{objects:#}"))
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["data", "quiescent-dump"]);
}

#[test]
fn mistakes_in_arguments_are_told() {
    for (arguments, told) in [
        (
            &["backup", "--without", "quit", "--policies", "policies.yaml"][..],
            "did you mean \"quiet\"?",
        ),
        (
            &["backup", "--with", "maintenance-flags"],
            "did you mean \"maintenance-flag\"?",
        ),
        (&["backup", "--ttl", "30"], "has no unit"),
        (&["backup", "--name", "A b"], "cannot be an object's name"),
        (
            &["backup", "--ordered-resources", "shop/pg-0"],
            "is not KIND=NAME",
        ),
        (&["schedule", "--schedule", "daily"], "has not five fields"),
        (&["restore"], "--from-backup"),
        (
            &["restore", "--from-backup", "a", "--namespace-mappings", "b"],
            "is not OLD:NEW",
        ),
    ] {
        let (text, code) = page(arguments);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(told), "{text}");
    }
}

/// A pod of the library's cases, as it would be with volumes and without hooks.
struct Case {
    title: String,
    namespace: String,
    text: String,
    untouched: Value,
    /// What the webhook would write.
    annotations: Value,
    applied: Vec<String>,
    hooked_by_author: bool,
}

impl Case {
    fn facts<'a>(&'a self, settings: &'a Settings) -> Facts<'a> {
        Facts {
            namespace: &self.namespace,
            about_namespace: Namespace::Unknown,
            owner: None,
            settings,
        }
    }
}

/// The pods of all cases, each with a label of its own.
fn cases(policies: &PolicySet, settings: &Settings) -> Vec<Case> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let folders = library::FOLDERS
        .iter()
        .map(|it| library.join(it.name).join("cases"));
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut files: Vec<PathBuf> = files.map(|it| it.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "yaml"));
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for document in yaml::parse(&text).unwrap() {
            let object = document
                .root
                .as_ref()
                .map_or(Value::Null, yaml::Node::to_json);
            for place in places(&object) {
                let mut pod = pod(&object, &place).unwrap();
                pod["metadata"]["labels"]["case"] = format!("case-{}", cases.len()).into();
                let mut case = Case {
                    title: format!("{} {}", file.display(), place.name),
                    namespace: place.namespace.unwrap_or_else(|| "default".to_owned()),
                    text: pod.to_string(),
                    untouched: Value::Null,
                    annotations: Value::Null,
                    applied: Vec::new(),
                    hooked_by_author: pod["metadata"]["annotations"].to_string().contains("hook."),
                };
                let view = PodView::parse(&case.text).unwrap();
                let injection = inject(policies, &view, case.facts(settings));
                let applied = injection.plan.applied.iter();
                let applied = applied.map(|it| it.policy.name.clone()).collect();
                let mut injected = pod.clone();
                injection.patch(&view).apply(&mut injected, "").unwrap();
                let annotations = injected["metadata"]["annotations"].clone();
                injected["metadata"]["annotations"] = pod["metadata"]["annotations"].clone();
                drop(injection);
                case.applied = applied;
                case.annotations = annotations;
                case.untouched = injected;
                cases.push(case);
            }
        }
    }
    cases
}

/// Container, argv, on-error and timeout.
type Run = (Value, Value, Value, Value);

/// The hook of a phase in annotations.
fn annotated(annotations: &Value, phase: HookPhase) -> Option<Run> {
    let HookKeys {
        command,
        container,
        on_error,
        timeout,
    } = phase.keys();
    let argv = decode_command(annotations[command].as_str()?)?;
    let of = |key: &str| annotations[key].clone();
    Some((of(container), json!(argv), of(on_error), of(timeout)))
}

/// The hooks that Velero runs in a pod: of all entries that are for it, in the order of the list.
fn by_velero(object: &Value, pod: &Value, namespace: &str, phase: HookPhase) -> Vec<Run> {
    let (field, timeout) = match phase {
        HookPhase::Pre => ("pre", "timeout"),
        HookPhase::Post => ("post", "timeout"),
        HookPhase::PostRestore => ("postHooks", "execTimeout"),
    };
    let entries = object["spec"]["hooks"]["resources"]
        .as_array()
        .unwrap()
        .iter();
    let meant = entries.filter(|entry| {
        let included = entry["includedNamespaces"].as_array().unwrap();
        let wanted = entry["labelSelector"]["matchLabels"].as_object().unwrap();
        let labels = &pod["metadata"]["labels"];
        included.contains(&namespace.into())
            && wanted.iter().all(|(key, value)| labels[key] == *value)
    });
    let hooks = meant.flat_map(|entry| entry[field].as_array().into_iter().flatten());
    hooks
        .filter(|hook| hook["init"].is_null())
        .map(|hook| {
            let exec = &hook["exec"];
            let of = |key: &str| exec[key].clone();
            (of("container"), of("command"), of("onError"), of(timeout))
        })
        .collect()
}

/// The commands of the init containers that Velero puts into a restored pod.
fn inits_by_velero(object: &Value, pod: &Value, namespace: &str) -> Vec<Value> {
    let entries = object["spec"]["hooks"]["resources"].as_array().unwrap();
    let meant = entries.iter().filter(|entry| {
        let included = entry["includedNamespaces"].as_array().unwrap();
        let wanted = entry["labelSelector"]["matchLabels"].as_object().unwrap();
        let labels = &pod["metadata"]["labels"];
        included.contains(&namespace.into())
            && wanted.iter().all(|(key, value)| labels[key] == *value)
    });
    let hooks = meant.flat_map(|entry| entry["postHooks"].as_array().into_iter().flatten());
    let inits = hooks.flat_map(|hook| {
        hook["init"]["initContainers"]
            .as_array()
            .into_iter()
            .flatten()
    });
    inits
        .map(|init| {
            assert!(
                init["image"].is_string() && init["volumeMounts"].is_array(),
                "{init:#}"
            );
            init["command"].clone()
        })
        .collect()
}

/// What each of the policies that were followed would write if it were alone, in its order.
fn alone(case: &Case, policies: &PolicySet, settings: &Settings, phase: HookPhase) -> Vec<Run> {
    let view = PodView::parse(&case.text).unwrap();
    let runs = case.applied.iter().filter_map(|name| {
        let only = policies.iter().find(|it| it.name == *name).unwrap();
        let only = PolicySet::default().with(&[Arc::new(only.clone())]);
        let injection = inject(&only, &view, case.facts(settings));
        let mut pod: Value = serde_json::from_str(&case.text).unwrap();
        injection.patch(&view).apply(&mut pod, "").unwrap();
        annotated(&pod["metadata"]["annotations"], phase)
    });
    let mut runs: Vec<Run> = runs.collect();
    if phase == HookPhase::Post {
        runs.reverse();
    }
    runs
}

#[test]
fn velero_runs_what_the_webhook_would_have_written() {
    let policies = library::policies().into_iter();
    let policies: Vec<_> = policies.map(|it| Arc::new(it.policy.inlined())).collect();
    let policies = PolicySet::default().with(&policies);
    let settings = Settings::default();
    let cases = cases(&policies, &settings);
    assert!(cases.len() > 140, "{}", cases.len());
    let texts: Vec<String> = cases.iter().map(|it| it.untouched.to_string()).collect();
    let views: Vec<PodView<'_>> = texts.iter().map(|it| PodView::parse(it).unwrap()).collect();
    let claims = BTreeMap::new();
    let seen = cases.iter().zip(&views).map(|(case, view)| Seen {
        title: &case.title,
        pod: view,
        facts: case.facts(&settings),
        claims: &claims,
    });
    let seen: Vec<Seen<'_>> = seen.collect();
    let render = |wanted| found(&policies, &seen, None, wanted);
    let (backup, restore) = (render(Wanted::Backup), render(Wanted::Restore));
    let id = ("all", "velero");
    let from = spec::From {
        origin: spec::Origin::Backup("all".to_owned()),
        namespaces: Vec::new(),
        mapping: BTreeMap::new(),
    };
    let objects = [
        spec::backup(id, &spec::Options::default(), &backup.hooks),
        spec::restore(id, &from, &restore.hooks),
    ];
    for object in &objects {
        assert_clean(&object.to_string());
    }
    let [mut hooked, mut several, mut inits] = [0, 0, 0];
    for case in &cases {
        if case.applied.len() == 1 && !case.hooked_by_author {
            let of_velero = inits_by_velero(&objects[1], &case.untouched, &case.namespace);
            let said = case.annotations["init.hook.restore.velero.io/command"].as_str();
            let said = said.and_then(decode_command).map(|argv| json!(argv));
            assert_eq!(of_velero, Vec::from_iter(said), "{}", case.title);
            inits += of_velero.len();
        }
        for phase in HookPhase::ALL {
            let object = &objects[usize::from(phase == HookPhase::PostRestore)];
            let runs = by_velero(object, &case.untouched, &case.namespace, phase);
            let wanted = match case.applied.len() {
                0 => Vec::new(),
                _ if case.hooked_by_author => Vec::new(),
                1 => annotated(&case.annotations, phase).into_iter().collect(),
                _ => alone(case, &policies, &settings, phase),
            };
            assert_eq!(runs, wanted, "{} {phase:?}", case.title);
            hooked += usize::from(runs.len() == 1);
            several += usize::from(runs.len() > 1);
        }
    }
    println!(
        "       {} pods, {hooked} hooks, {several} lists",
        cases.len()
    );
    assert!(hooked > 150, "{hooked}");
    assert!(inits > 6, "{inits}");
    // Nothing that is worth a hook is lost among these, but for what the webhook would not do either.
    let Rendered { lost, .. } = &backup;
    for it in lost {
        let why = it.why.to_string();
        assert!(
            why.starts_with("no hook of ") && !why.contains("volume") || why.contains("emptyDir"),
            "{}: {why}",
            it.of
        );
    }
}
