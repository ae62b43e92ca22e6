use super::*;

fn object(namespace: Option<&str>, generation: i64, spec: &Value) -> DynamicObject {
    let mut metadata = json!({"name": "pg", "generation": generation});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

fn spec(timeout: &str) -> Value {
    json!({
        "match": {"images": ["postgres"]},
        "hooks": {
            "pre": {"command": ["a"], "timeout": timeout, "onError": "Fail"},
            "post": {"command": ["b"], "timeout": "1m", "onError": "Continue"},
        },
    })
}

fn told(known: &Known) -> (String, String) {
    let due = known.due(&PolicySet::default());
    let condition = &due[0].manifest("now")["status"]["conditions"][0];
    let text = |field: &str| condition[field].as_str().unwrap().to_owned();
    (text("reason"), text("message"))
}

fn timeouts(known: &Known) -> Vec<String> {
    let policies = known.policies();
    let hooks = policies.iter().map(|it| it.hooks.pre.clone().unwrap());
    hooks.map(|hook| hook.timeout.to_string()).collect()
}

#[test]
fn an_object_that_turns_bad_leaves_its_last_good_version_in_force() {
    let mut known = Known::default();
    assert!(known.note(Kind::Namespaced, &object(Some("shop"), 1, &spec("1m"))));
    assert_eq!(told(&known), ("Accepted".into(), "in force".into()));
    assert!(known.note(Kind::Namespaced, &object(Some("shop"), 2, &spec("5h"))));
    let (reason, message) = told(&known);
    assert_eq!(reason, "LastGoodInForce");
    assert!(
        message.starts_with("QP008 at spec.hooks.pre.timeout: "),
        "{message}"
    );
    assert!(message.ends_with("stays in force"), "{message}");
    assert_eq!(
        (timeouts(&known), known.refused()),
        (vec!["1m".to_owned()], 1)
    );
    assert!(known.note(Kind::Namespaced, &object(Some("shop"), 3, &spec("2m"))));
    assert_eq!(
        (timeouts(&known), known.refused()),
        (vec!["2m".to_owned()], 0)
    );
}

#[test]
fn an_object_that_was_never_good_costs_only_itself() {
    let mut known = Known::default();
    known.note(Kind::Cluster, &object(None, 1, &spec("1m")));
    known.note(Kind::Namespaced, &object(Some("shop"), 1, &spec("5h")));
    assert_eq!(timeouts(&known), ["1m"]);
    assert_eq!(known.refused(), 1);
    assert!(known.take_refused() && !known.take_refused());
}

#[test]
fn only_what_differs_is_a_change_and_only_a_wrong_condition_is_due() {
    let mut known = Known::default();
    let mut sound = object(Some("shop"), 1, &spec("1m"));
    known.note(Kind::Namespaced, &sound);
    let due = known.due(&PolicySet::default());
    let manifest = due[0].manifest("2026-01-01T00:00:00Z");
    assert_eq!(
        manifest["metadata"],
        json!({"name": "pg", "namespace": "shop"})
    );
    sound.data["status"] = manifest["status"].clone();
    assert!(!known.note(Kind::Namespaced, &sound));
    assert_eq!(known.due(&PolicySet::default()), []);
    // Since when it holds is kept while it holds.
    sound.metadata.generation = Some(2);
    sound.data["spec"] = spec("2m");
    assert!(known.note(Kind::Namespaced, &sound));
    let again = known.due(&PolicySet::default())[0].manifest("later");
    let condition = &again["status"]["conditions"][0];
    assert_eq!(condition["lastTransitionTime"], "2026-01-01T00:00:00Z");
    assert_eq!(condition["observedGeneration"], 2);
}

#[test]
fn no_condition_is_due_before_a_change_is_in_force() {
    let mut known = Known::default();
    let sound = object(Some("shop"), 1, &spec("1m"));
    assert!(known.hear(Kind::Namespaced, Event::Apply(sound)));
    assert_eq!(known.due(&PolicySet::default()), []);
    let changes = known.changes();
    known.are_in_force(changes);
    assert_eq!(known.due(&PolicySet::default()).len(), 1);
}

#[test]
fn a_new_list_takes_the_place_of_the_old_one() {
    let mut known = Known::default();
    let list = |known: &mut Known, kind, objects: &[DynamicObject]| {
        known.hear(kind, Event::Init);
        for object in objects {
            known.hear(kind, Event::InitApply(object.clone()));
        }
        known.hear(kind, Event::InitDone)
    };
    let shop = object(Some("shop"), 1, &spec("1m"));
    let all = object(None, 1, &spec("2m"));
    list(&mut known, Kind::Namespaced, std::slice::from_ref(&shop));
    assert!(!known.is_whole());
    assert!(list(&mut known, Kind::Cluster, std::slice::from_ref(&all)));
    assert!(known.is_whole());
    assert_eq!(known.policies().len(), 2);
    assert!(!list(&mut known, Kind::Namespaced, &[shop]));
    assert!(list(&mut known, Kind::Namespaced, &[]));
    assert_eq!(timeouts(&known), ["2m"]);
    assert!(known.hear(Kind::Cluster, Event::Delete(all)));
    assert!(known.policies().is_empty());
}
