//! Hooks for pods that nobody has seen: a policy as far as its match can be said in namespaces and labels.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Lost, Obstacle, Rendered, Wanted, Why, found::exec};
use crate::{
    plan::alone,
    pod::PodView,
    policy::{
        ContainerChoice, Criteria, INJECT_LABEL, METHOD_LABEL, Policy, PolicySet, Selector, glob,
    },
    select::{Facts, Mode, Namespace, Settings},
    velero::{
        HookPhase,
        spec::{HookSet, Hooks},
    },
};

/// How a database may be captured, and that it is not.
const METHODS: [&str; 5] = ["dump", "snapshot", "physical", "lock", "off"];

/// Says the policies that can be said without their pods. They have their scripts in their commands;
/// `namespaces` are all that are taken, or none to name them all.
#[must_use]
pub fn unseen(
    policies: &PolicySet,
    settings: &Settings,
    namespaces: &[String],
    wanted: Wanted,
) -> Rendered {
    let mut rendered = Rendered::default();
    for policy in policies {
        if policy.calls_without_velero() {
            rendered.lost.push(Lost::new(policy.title(), Why::Calls));
            continue;
        }
        let obstacles = obstacles(policy);
        if !obstacles.is_empty() {
            let why = Why::Unsaid(obstacles);
            rendered.lost.push(Lost::new(policy.title(), why));
            continue;
        }
        let ContainerChoice::Name(container) = &policy.container else {
            continue;
        };
        let Some(included) = included(policy, namespaces) else {
            continue;
        };
        let hooks = hooks(policy, container, settings, wanted);
        if wanted == Wanted::Restore && policy.hooks.init.is_some() {
            rendered.lost.push(Lost::new(policy.title(), Why::Init));
        }
        if hooks == Hooks::default() {
            continue;
        }
        for why in lost(policy) {
            rendered.lost.push(Lost::new(policy.title(), why));
        }
        rendered.hooks.push(HookSet {
            name: policy.name.clone(),
            included,
            excluded: excluded(policies, policy, settings),
            selector: selector(&policy.matching.pod_selector, settings),
            hooks,
        });
    }
    rendered.hooks = undone_backwards(rendered.hooks);
    rendered
}

fn obstacles(policy: &Policy) -> Vec<Obstacle> {
    let Criteria {
        pod_selector,
        namespace_selector,
        namespaces: _,
        images,
        owners,
    } = &policy.matching;
    let beyond_names = |it: &Criteria| {
        let names = Criteria {
            namespaces: it.namespaces.clone(),
            ..Criteria::default()
        };
        *it != names
    };
    let pairs = pod_selector.pairs.iter().map(|(key, _)| &**key);
    let keys = pod_selector.expressions.iter().map(|it| it.key.as_str());
    let mut own = pairs.chain(keys).filter(|key| *key != METHOD_LABEL);
    let named = matches!(policy.container, ContainerChoice::Name(_));
    let all = [
        (Obstacle::Images, !images.is_empty()),
        (Obstacle::Owners, !owners.is_empty()),
        (Obstacle::NamespaceLabels, !namespace_selector.is_empty()),
        (Obstacle::Exclude, policy.exclude.iter().any(beyond_names)),
        (Obstacle::Container, !named),
        (Obstacle::NoPodLabels, own.next().is_none()),
        (Obstacle::Coordinator, policy.coordinator.is_some()),
    ];
    let there = all.into_iter().filter(|(_, there)| *there);
    there.map(|(obstacle, _)| obstacle).collect()
}

fn lost(policy: &Policy) -> impl Iterator<Item = Why> {
    let volumes: Vec<String> = policy.volumes.iter().map(|it| it.name.clone()).collect();
    let all = [
        (!volumes.is_empty(), Why::Volumes(volumes)),
        (!policy.parameters.is_empty(), Why::Parameters),
        (!policy.leave_alone.is_empty(), Why::LeaveAlone),
        (true, Why::NamespaceLabels),
    ];
    let there = all.into_iter().filter(|(there, _)| *there);
    there.map(|(_, why)| why)
}

/// The namespaces of the policy that are taken at all; `None` when none is.
fn included(policy: &Policy, taken: &[String]) -> Option<Vec<String>> {
    let patterns = &policy.matching.namespaces;
    let mut names = patterns.clone();
    if let Some(only) = &policy.namespace {
        if !patterns.is_empty() && !patterns.iter().any(|it| glob::matches(it, only)) {
            return None;
        }
        names = vec![only.to_string()];
    }
    if names.is_empty() {
        return Some(names);
    }
    let is_taken = |name: &String| {
        let covered = |it: &String| glob::matches(it, name) || glob::matches(name, it);
        taken.is_empty() || taken.iter().any(covered)
    };
    names.retain(is_taken);
    (!names.is_empty()).then_some(names)
}

fn excluded(policies: &PolicySet, policy: &Policy, settings: &Settings) -> Vec<String> {
    let system = [
        "kube-*",
        &settings.own_namespace,
        &settings.velero_namespace,
    ];
    let others = policy.exclude.iter().flat_map(|it| &it.namespaces);
    let replacing = policies.iter().filter_map(|other| {
        let of = other.namespace.as_deref()?;
        (policy.namespace.is_none() && other.name == policy.name).then_some(of)
    });
    let all = system.into_iter().chain(others.map(String::as_str));
    all.chain(replacing).map(str::to_owned).collect()
}

/// The policy's selector, with what the engine asks of a pod's labels beside it.
fn selector(selector: &Selector, settings: &Settings) -> Value {
    let pairs = selector
        .pairs
        .iter()
        .filter(|(key, _)| **key != *METHOD_LABEL);
    let pairs: serde_json::Map<String, Value> = pairs
        .map(|(key, value)| (key.to_string(), Value::from(&**value)))
        .collect();
    let mut expressions: Vec<Value> = selector
        .expressions
        .iter()
        .filter(|it| it.key != METHOD_LABEL)
        .map(|it| json!(it))
        .collect();
    expressions.push(method(selector, settings));
    expressions.push(match settings.mode {
        Mode::OptIn => json!({"key": INJECT_LABEL, "operator": "In", "values": ["enabled"]}),
        Mode::OptOut => json!({"key": INJECT_LABEL, "operator": "NotIn", "values": ["disabled"]}),
    });
    let mut said = json!({});
    if !pairs.is_empty() {
        said["matchLabels"] = pairs.into();
    }
    said["matchExpressions"] = expressions.into();
    said
}

/// Pods without the label have the method of the operator.
fn method(selector: &Selector, settings: &Settings) -> Value {
    let said = selector
        .expressions
        .iter()
        .filter(|it| it.key == METHOD_LABEL);
    let holds = |method: &str| {
        let pair = selector.pair(METHOD_LABEL);
        method != "off"
            && pair.is_none_or(|wanted| wanted == method)
            && said.clone().all(|it| it.holds(|_| Some(method)))
    };
    let (wanted, others): (BTreeSet<&str>, BTreeSet<&str>) = METHODS
        .into_iter()
        .chain(selector.methods())
        .partition(|method| holds(method));
    if wanted.contains(settings.default_method.as_str()) {
        json!({"key": METHOD_LABEL, "operator": "NotIn", "values": others})
    } else {
        json!({"key": METHOD_LABEL, "operator": "In", "values": wanted})
    }
}

fn hooks(policy: &Policy, container: &str, settings: &Settings, wanted: Wanted) -> Hooks {
    let pod = PodView::parse(r#"{"spec":{"containers":[]}}"#).expect("a pod of ours can be read");
    let facts = Facts {
        namespace: "",
        about_namespace: Namespace::Unknown,
        owner: None,
        settings,
    };
    let run = |phase| alone(policy, phase, &pod, facts).map(|run| exec(run, container));
    match wanted {
        Wanted::Backup => Hooks {
            pre: run(HookPhase::Pre).into_iter().collect(),
            post: run(HookPhase::Post).into_iter().collect(),
            ..Hooks::default()
        },
        Wanted::Restore => {
            let wait = policy.hooks.restore.as_ref().map(|(_, wait)| *wait);
            Hooks {
                restore: run(HookPhase::PostRestore).zip(wait).into_iter().collect(),
                ..Hooks::default()
            }
        }
    }
}

/// A pod may be meant by several: their post hooks are listed behind all others, the last first.
fn undone_backwards(sets: Vec<HookSet>) -> Vec<HookSet> {
    if sets.len() < 2 {
        return sets;
    }
    let mut ahead = Vec::new();
    let mut behind = Vec::new();
    for mut set in sets {
        let post = std::mem::take(&mut set.hooks.post);
        if !post.is_empty() {
            let mut undoing = set.clone();
            undoing.hooks = Hooks {
                post,
                ..Hooks::default()
            };
            behind.push(undoing);
        }
        if set.hooks != Hooks::default() {
            ahead.push(set);
        }
    }
    behind.reverse();
    ahead.extend(behind);
    ahead
}
