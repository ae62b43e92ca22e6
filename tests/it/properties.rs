//! What holds for every pod and every set of policies, tried on generated ones.

mod durations;
mod fixes;
mod images;
mod manifests;
mod pods;
mod policies;
mod reader;
mod sets;
mod written;

use std::{collections::BTreeSet, sync::LazyLock};

use base64::Engine as _;
use proptest::{prelude::*, sample::select, test_runner::RngSeed};
use quiescent::{
    admission, guard,
    inject::{Injection, explain, inject},
    library,
    pod::PodView,
    policy::{Input, Place, PolicySet, parse},
    select::{Facts, Namespace, Verdict},
    velero::{HookPhase, Timeout, decode_command},
};
use serde_json::{Value, json};

use pods::Case;

static PLACES: LazyLock<Vec<Place>> = LazyLock::new(|| {
    let (mut places, diagnostics) = parse(&Input {
        source: std::sync::Arc::new(quiescent::diagnostic::Source {
            name: "policies.yaml".to_owned(),
            text: include_str!("properties/policies.yaml").to_owned(),
        }),
        scripts: std::collections::BTreeMap::new(),
    });
    assert_eq!(diagnostics, []);
    places.extend(library::policies());
    places
});

static POLICIES: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::new(PLACES.clone()).0);

/// Parts of each hook that make Velero run something.
const HOOK_KEYS: &[&str] = &[
    "pre.hook.backup.velero.io/command",
    "post.hook.backup.velero.io/command",
    "post.hook.restore.velero.io/command",
    "init.hook.restore.velero.io/container-image",
];

/// Asks for a pod as it is in JSON, and hands on what came out while its text lives.
fn injected<T>(
    case: &Case,
    pod: &Value,
    then: impl Fn(&Injection<'_>, &PodView<'_>, Facts<'_>) -> T,
) -> T {
    let text = pod.to_string();
    let view = PodView::parse(&text).unwrap();
    let facts = case.facts();
    then(&inject(&POLICIES, &view, facts), &view, facts)
}

/// The pod with its patch.
fn patched(case: &Case, pod: &Value) -> Value {
    injected(case, pod, |injection, view, _| {
        let mut after = pod.clone();
        injection.patch(view).apply(&mut after, "").unwrap();
        after
    })
}

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn every_patch_applies_and_leaves_a_valid_pod(case in pods::case()) {
        let after = patched(&case, &case.pod);
        valid(&case.pod, &after)?;
    }

    #[test]
    fn injecting_twice_is_injecting_once(case in pods::case()) {
        let once = patched(&case, &case.pod);
        let again = injected(&case, &once, |injection, view, _| injection.patch(view).to_json(""));
        prop_assert_eq!(again, Value::Array(Vec::new()), "after {}", once);
    }

    #[test]
    fn nothing_of_the_author_changes(case in pods::case()) {
        let after = patched(&case, &case.pod);
        let replaced: BTreeSet<String> = injected(&case, &case.pod, |injection, view, _| {
            let patch = injection.patch(view).to_json("");
            let operations = patch.as_array().unwrap().iter();
            let replacing = operations.filter(|it| it["op"] == "replace");
            replacing.map(|it| it["path"].as_str().unwrap().to_owned()).collect()
        });
        extends(&case.pod, &after, "", &replaced)?;
    }

    #[test]
    fn the_guard_allows_what_the_webhook_writes_and_nothing_else(case in pods::case(), key in select(HOOK_KEYS)) {
        let mut before = case.pod.clone();
        let metadata = &mut before["metadata"];
        for (map, prefix) in [("annotations", "quiescent.dev/"), ("annotations", "velero.io/"), ("labels", "velero.io/")] {
            if let Some(map) = metadata[map].as_object_mut() {
                map.retain(|key, _| !key.contains(prefix));
            }
        }
        let mut after = patched(&case, &before);
        let judged = |pod: &Value| {
            let text = pod.to_string();
            guard::judge(&POLICIES, &PodView::parse(&text).unwrap(), None, case.facts())
        };
        let known = matches!(case.facts().about_namespace, Namespace::Known { .. });
        if known {
            prop_assert_eq!(judged(&after), Ok(None), "{}", after);
        }
        if !after["metadata"].is_object() {
            after["metadata"] = json!({});
        }
        if !after["metadata"]["annotations"].is_object() {
            after["metadata"]["annotations"] = json!({});
        }
        after["metadata"]["annotations"][key] = "somebody's".into();
        match judged(&after) {
            Ok(strange) => prop_assert!(strange.is_some_and(|it| it.key == key) && known),
            Err(_) => prop_assert!(!known),
        }
    }

    #[test]
    fn the_order_of_the_files_changes_no_byte(case in pods::case(), seed in any::<usize>()) {
        let mut places = PLACES.clone();
        let count = places.len();
        for position in 0..count {
            let other = seed.rotate_left(u32::try_from(position * 7).unwrap()) % count;
            places.swap(position, other);
        }
        let (shuffled, _) = PolicySet::new(places);
        let text = case.pod.to_string();
        let view = PodView::parse(&text).unwrap();
        let other = inject(&shuffled, &view, case.facts()).patch(&view).to_json("").to_string();
        let ours = injected(&case, &case.pod, |injection, view, _| injection.patch(view).to_json("").to_string());
        prop_assert_eq!(ours, other);
    }

    #[test]
    fn no_bytes_lead_to_a_patch_that_does_not_apply(
        case in pods::case(),
        wounds in prop::collection::vec(any::<(usize, u8, u8)>(), 0..6),
    ) {
        let body = mangled(&review(&case), &wounds);
        // What is passed over is not held to JSON's every rule, and then there is no object to patch.
        let whole = serde_json::from_slice::<Value>(&body);
        if let (Ok(review), Ok(mut body)) = (admission::parse(&body), whole) {
            let answer = admission::answer(&review, &POLICIES, case.facts());
            let answer: Value = serde_json::from_slice(&answer.body).unwrap();
            if let Some(patch) = answer["response"]["patch"].as_str() {
                let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
                let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
                prop_assert!(json_patch::patch(&mut body["request"]["object"], &patch).is_ok());
            }
        }
    }

    #[test]
    fn asking_few_policies_is_as_good_as_asking_all(case in pods::case()) {
        let text = case.pod.to_string();
        let view = PodView::parse(&text).unwrap();
        let few = inject(&POLICIES, &view, case.facts());
        let all = explain(&POLICIES, &view, case.facts());
        let selected = |injection: &Injection<'_>| {
            let verdicts = injection.verdicts.iter();
            let selected = verdicts.filter(|verdict| matches!(verdict, Verdict::Selected(..)));
            selected.map(|verdict| verdict.policy().name.clone()).collect::<Vec<_>>()
        };
        prop_assert_eq!(selected(&few), selected(&all));
        prop_assert_eq!(few.patch(&view), all.patch(&view));
        prop_assert!(all.gate.is_some() || all.verdicts.len() == POLICIES.len());
    }
}

/// How often a property is tried, and from which seed: both can be given by the environment, so that
/// a long campaign differs from a run in CI and can be repeated.
fn config(cases: u32) -> ProptestConfig {
    let given = |name: &str| std::env::var(name).ok().map(|value| value.parse().unwrap());
    let seed = given("QUIESCENT_SEED").unwrap_or(1);
    ProptestConfig {
        cases: given("QUIESCENT_CASES").map_or(cases, |cases: u64| u32::try_from(cases).unwrap()),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn review(case: &Case) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1", "operation": "CREATE", "namespace": "shop",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "object": case.pod,
        },
    })
}

/// A text with some of its bytes changed, taken out or put in.
fn mangled(value: &Value, wounds: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut body = value.to_string().into_bytes();
    for (place, how, byte) in wounds {
        let place = place % body.len();
        // Mostly what JSON is made of, so that some of it stays readable.
        let byte = *b"{}[]\",:0n\\ \xff"
            .get(usize::from(*byte) % 12)
            .unwrap_or(byte);
        match how % 4 {
            0 => body[place] = byte,
            1 => body.insert(place, byte),
            2 => drop(body.remove(place)),
            _ => {
                let end = (place + 40).min(body.len());
                let piece = body[place..end].to_vec();
                body.splice(place..place, piece);
            }
        }
    }
    body
}

/// What the API server and Velero ask of a pod, as far as we could spoil it.
fn valid(before: &Value, after: &Value) -> Result<(), TestCaseError> {
    let list = |value: &Value, pointer: &str| {
        value
            .pointer(pointer)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let named = |values: &[Value], field: &str| {
        values
            .iter()
            .map(|it| it[field].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let volumes = named(&list(after, "/spec/volumes"), "name");
    let unique: BTreeSet<&String> = volumes.iter().collect();
    prop_assert_eq!(unique.len(), volumes.len(), "volumes are unique");
    let containers = list(after, "/spec/containers");
    for (position, container) in containers.iter().enumerate() {
        let mounts = list(container, "/volumeMounts");
        let paths = named(&mounts, "mountPath");
        let unique: BTreeSet<&String> = paths.iter().collect();
        prop_assert_eq!(unique.len(), paths.len(), "mount paths are unique");
        let authors = list(before, &format!("/spec/containers/{position}/volumeMounts")).len();
        for name in named(&mounts[authors..], "name") {
            prop_assert!(volumes.contains(&name), "the volume {} is there", name);
        }
    }
    prop_assert_eq!(
        &before["spec"]["initContainers"],
        &after["spec"]["initContainers"]
    );
    let annotations = &after["metadata"]["annotations"];
    let ours = annotations.get("quiescent.dev/policies").is_some() && before != after;
    if !ours {
        return Ok(());
    }
    let backup = [HookPhase::Pre, HookPhase::Post]
        .map(|phase| annotations.get(phase.keys().command).is_some());
    prop_assert_eq!(backup[0], backup[1], "pre and post come together");
    for phase in HookPhase::ALL {
        let keys = phase.keys();
        let changed = before
            .pointer("/metadata/annotations")
            .and_then(|it| it.get(keys.command))
            != annotations.get(keys.command);
        if !changed {
            continue;
        }
        let text = |key: &str| annotations[key].as_str().unwrap_or_default();
        let argv = decode_command(text(keys.command)).unwrap_or_default();
        prop_assert!(argv.first().is_some_and(|program| program.starts_with('/')
            || program.len() > 1
            || ["a", "b"].contains(&program.as_str())));
        prop_assert!(text(keys.command).starts_with('['));
        prop_assert!(
            named(&containers, "name")
                .iter()
                .any(|name| name == text(keys.container))
        );
        prop_assert!(["Fail", "Continue"].contains(&text(keys.on_error)));
        prop_assert!(
            text(keys.timeout)
                .parse::<Timeout>()
                .is_ok_and(Timeout::is_positive)
        );
    }
    Ok(())
}

/// Where something may be added.
fn may_grow(path: &str) -> bool {
    path.is_empty()
        || path == "/metadata"
        || path == "/metadata/annotations"
        || path == "/spec"
        || path == "/spec/volumes"
        || path.starts_with("/spec/containers/")
}

/// Whether `after` is `before` and more: in its places, in its order, and `replaced` aside.
fn extends(
    before: &Value,
    after: &Value,
    path: &str,
    replaced: &BTreeSet<String>,
) -> Result<(), TestCaseError> {
    if replaced.contains(path) || (before.is_null() && may_grow(path)) {
        return Ok(());
    }
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let kept: Vec<&String> = after
                .keys()
                .filter(|key| before.contains_key(*key))
                .collect();
            prop_assert_eq!(
                before.keys().collect::<Vec<_>>(),
                kept,
                "keys keep their order at {}",
                path
            );
            prop_assert!(
                may_grow(path) || before.len() == after.len(),
                "something was added at {}",
                path
            );
            for (key, value) in before {
                let step = key.replace('~', "~0").replace('/', "~1");
                extends(value, &after[key], &format!("{path}/{step}"), replaced)?;
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            prop_assert!(
                may_grow(path) && before.len() <= after.len() || before.len() == after.len()
            );
            for (index, value) in before.iter().enumerate() {
                extends(value, &after[index], &format!("{path}/{index}"), replaced)?;
            }
        }
        _ => prop_assert_eq!(before, after, "at {}", path),
    }
    Ok(())
}
