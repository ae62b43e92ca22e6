//! Velero's own objects: Backup, Schedule and Restore.

use super::{
    Rule, Spot, annotations, command,
    findings::Findings,
    hook::{self, Hook},
    pod::{Pod, at, entries, items, text},
    settings,
};
use crate::{
    policy::glob,
    velero::{GROUP, HookPhase, Timeout},
    yaml::{Node, Value},
};

/// A Backup, the template of a Schedule, or a Restore.
#[derive(Clone, Copy, Debug)]
pub struct Run<'d> {
    pub object: &'d Node,
    pub spec: &'d Node,
    pub restore: bool,
}

impl<'d> Run<'d> {
    pub fn of(object: &'d Node) -> Option<Self> {
        if !text(object, &["apiVersion"])?.starts_with(GROUP) {
            return None;
        }
        let (path, restore): (&[&str], bool) = match text(object, &["kind"])? {
            "Backup" => (&["spec"], false),
            "Schedule" => (&["spec", "template"], false),
            "Restore" => (&["spec"], true),
            _ => return None,
        };
        Some(Self {
            object,
            spec: at(object, path)?,
            restore,
        })
    }

    pub fn title(&self) -> String {
        let part = |path: &[&str]| text(self.object, path).unwrap_or_default();
        format!("{} {}", part(&["kind"]), part(&["metadata", "name"]))
    }

    pub fn flag(&self, field: &str) -> Option<(bool, &'d Node)> {
        let node = self.spec.get(field)?;
        match node.value {
            Value::Bool(value) => Some((value, node)),
            _ => None,
        }
    }

    /// Whether a pod is in it, as far as names and labels tell.
    pub fn has(&self, pod: &Pod<'_>) -> bool {
        covers(self.spec, pod.namespace())
            && selects(self.spec.get("labelSelector"), pod)
            && takes_pods(self.spec)
    }
}

/// Whether a namespace is among those that are included.
pub fn covers(spec: &Node, namespace: &str) -> bool {
    let listed = |field: &str| strings(spec.get(field));
    let (included, excluded) = (listed("includedNamespaces"), listed("excludedNamespaces"));
    let within = |names: &[&str]| names.iter().any(|name| glob::matches(name, namespace));
    (included.is_empty() || within(&included)) && !within(&excluded)
}

/// Whether the labels of a pod are what the equalities of a selector ask for.
pub fn selects(selector: Option<&Node>, pod: &Pod<'_>) -> bool {
    entries(selector.and_then(|it| it.get("matchLabels")))
        .iter()
        .all(|(key, value)| pod.label(&key.name) == value.as_str())
}

fn strings(node: Option<&Node>) -> Vec<&str> {
    items(node).iter().filter_map(Node::as_str).collect()
}

fn is_pods(name: &str) -> bool {
    matches!(
        name.to_ascii_lowercase().as_str(),
        "pods" | "pod" | "po" | "*"
    )
}

fn takes_pods(spec: &Node) -> bool {
    let included = strings(spec.get("includedResources"));
    (included.is_empty() || included.into_iter().any(is_pods))
        && !strings(spec.get("excludedResources"))
            .into_iter()
            .any(is_pods)
}

/// Judges what can be seen without any pod.
pub fn judge(run: &Run<'_>, findings: &mut Findings<'_>) {
    durations(run.object.get("spec"), findings);
    let resources = hook::resources(run.spec);
    if let Some(first) = resources.first().filter(|_| !takes_pods(run.spec)) {
        let place = ["includedResources", "excludedResources"]
            .iter()
            .find_map(|it| run.spec.get(it));
        let place = place
            .and_then(|it| items(Some(it)).first())
            .unwrap_or(first);
        findings
            .on(
                Rule::OutOfBackup,
                place,
                "there are hooks below, and no pods in it: no hook ever runs",
            )
            .help("add pods to includedResources, or take the hooks out");
    }
    for resource in resources {
        reach(run, resource, findings);
        fields(run, resource, findings);
        let hooks = hook::of_resource(resource);
        for hook in &hooks {
            settings::judge(hook, None, findings);
            if hook.argv.first().is_none_or(|first| first.text.is_empty()) {
                findings
                    .at(
                        Rule::NoProgram,
                        &hook.command,
                        "this command names no program: Velero refuses to run it",
                    )
                    .help("write a list that begins with the program: [/bin/sh, -c, …]");
            }
        }
        annotations::pairs(&hooks, findings);
        uploads(run, &hooks, findings);
        inits(resource, findings);
    }
}

/// Judges what the hooks do, in the containers of the pods that they are for.
pub fn in_pods(run: &Run<'_>, pods: &[Pod<'_>], findings: &mut Findings<'_>) {
    for resource in hook::resources(run.spec) {
        let meant = pods.iter().find(|pod| {
            covers(resource, pod.namespace())
                && selects(resource.get("labelSelector"), pod)
                && run.has(pod)
        });
        for hook in hook::of_resource(resource) {
            let container = settings::container_of(&hook, meant);
            command::doing(&hook, container.as_ref(), findings);
        }
    }
}

/// Whether the hooks of an entry can be for any pod of the backup.
fn reach(run: &Run<'_>, resource: &Node, findings: &mut Findings<'_>) {
    let included = items(resource.get("includedNamespaces"));
    let outside = |name: &&Node| {
        name.as_str()
            .is_some_and(|name| !name.contains('*') && !covers(run.spec, name))
    };
    if let Some(node) = included.iter().find(outside).filter(|_| !run.restore) {
        let name = node.as_str().unwrap_or_default();
        findings
            .on(Rule::OutOfBackup, node, format!("namespace {name:?} is not in this backup: the hook never runs"))
            .help(format!("add {name} to includedNamespaces of the spec, or put the hook into that namespace's own backup"));
    }
    let wanted = |spec: &Node, key: &str| {
        text(spec, &["labelSelector", "matchLabels", key]).map(str::to_owned)
    };
    let what = if run.restore { "restore" } else { "backup" };
    for (key, value) in entries(at(resource, &["labelSelector", "matchLabels"])) {
        let other = wanted(run.spec, &key.name);
        if let Some(other) = other.filter(|other| Some(other.as_str()) != value.as_str()) {
            findings
                .on(
                    Rule::OutOfBackup,
                    value,
                    format!(
                        "the {what} takes only pods with {}={other}: the hook never runs",
                        key.name
                    ),
                )
                .help(format!(
                    "write {other}, or widen the labelSelector of the spec"
                ));
        }
    }
    let kinds = items(resource.get("includedResources"));
    if run.restore {
        let ignored = resource
            .get("includedResources")
            .or_else(|| resource.get("excludedResources"));
        if let Some(node) = ignored {
            findings
                .on(
                    Rule::OutOfBackup,
                    node,
                    "Velero never reads this in a Restore: its hooks are for pods, all of them",
                )
                .help("remove it, and choose pods by labelSelector");
        }
    } else if let Some(first) = kinds
        .first()
        .filter(|_| !kinds.iter().filter_map(Node::as_str).any(is_pods))
    {
        findings
            .on(
                Rule::OutOfBackup,
                first,
                "hooks run in pods alone: for this kind there is none, and nothing is said",
            )
            .help("write pods, or remove includedResources");
    }
}

/// Fields that do not exist are dropped without a word.
fn fields(run: &Run<'_>, resource: &Node, findings: &mut Findings<'_>) {
    let known: &[&str] = if run.restore {
        &[
            "container",
            "command",
            "onError",
            "execTimeout",
            "waitTimeout",
            "waitForReady",
        ]
    } else {
        &["container", "command", "onError", "timeout"]
    };
    let lists = ["pre", "post", "postHooks"]
        .iter()
        .flat_map(|list| items(resource.get(list)));
    for (key, _) in lists.flat_map(|hook| entries(hook.get("exec"))) {
        if known.contains(&key.name.as_str()) {
            continue;
        }
        let nearest = known.iter().max_by(|one, other| {
            strsim::jaro_winkler(one, &key.name).total_cmp(&strsim::jaro_winkler(other, &key.name))
        });
        findings
            .push(
                Rule::UnknownKey,
                key.span.clone(),
                format!(
                    "a hook has no field {:?}: the API server drops it",
                    key.name
                ),
            )
            .help(format!("did you mean {}?", nearest.unwrap_or(&"command")));
    }
}

fn uploads(run: &Run<'_>, hooks: &[Hook<'_>], findings: &mut Findings<'_>) {
    if !run
        .flag("defaultVolumesToFsBackup")
        .is_some_and(|(on, _)| on)
    {
        return;
    }
    for hook in hooks.iter().filter(|hook| hook.phase == HookPhase::Pre) {
        let said = hook.said();
        if let Some((row, _)) = command::freeze(&said).filter(|(row, _)| row.outlives(&said)) {
            findings
                .at(Rule::LockedUpload, &hook.find(row.stops), "this backup uploads every volume file by file, and this is held until the last of the pod is done")
                .help("dump into a volume of its own, or set defaultVolumesToFsBackup: false and take the data by a snapshot");
        }
    }
}

fn inits(resource: &Node, findings: &mut Findings<'_>) {
    for hook in items(resource.get("postHooks")) {
        for container in items(at(hook, &["init", "initContainers"])) {
            let missing = ["name", "image", "command"]
                .iter()
                .find(|field| container.get(field).is_none());
            if let Some(missing) = missing {
                let place = container.get("name").unwrap_or(container);
                findings
                    .on(Rule::BrokenInit, place, format!("this init container has no {missing}: Velero refuses the whole Restore with FailedValidation"))
                    .help(format!("add {missing}"));
            }
        }
    }
}

/// Every field of the spec that Velero decodes as a duration.
fn durations(spec: Option<&Node>, findings: &mut Findings<'_>) {
    const FIELDS: [&str; 8] = [
        "ttl",
        "csiSnapshotTimeout",
        "itemOperationTimeout",
        "resourceTimeout",
        "timeout",
        "execTimeout",
        "waitTimeout",
        "uploaderTimeout",
    ];
    const HOOK_FIELDS: [&str; 3] = ["timeout", "execTimeout", "waitTimeout"];
    let Some(spec) = spec else { return };
    match &spec.value {
        Value::Mapping(entries) => {
            for (key, value) in entries {
                if !FIELDS.contains(&key.name.as_str()) {
                    if key.name != "initContainers" {
                        durations(Some(value), findings);
                    }
                    continue;
                }
                let said = match &value.value {
                    Value::String(said) => said.clone(),
                    Value::Number(number) => number.to_string(),
                    _ => continue,
                };
                let wrong = match (&value.value, said.parse::<Timeout>()) {
                    (Value::Number(_), _) => "the API server refuses a number here".to_owned(),
                    (_, Err(_)) => format!(
                        "no client of Velero can decode {said:?}: with this object in the cluster, it handles none of its kind any more"
                    ),
                    _ => continue,
                };
                let of_hook = HOOK_FIELDS.contains(&key.name.as_str());
                findings
                    .on(Rule::UndecodableDuration, value, wrong)
                    .help(format!("write {}", settings::repaired(&said)))
                    .fix(settings::repair(value, &said, of_hook));
            }
        }
        Value::Sequence(all) => all.iter().for_each(|item| durations(Some(item), findings)),
        _ => {}
    }
}

/// Alerts on metrics that say nothing of hooks.
pub fn alerts(object: &Node, findings: &mut Findings<'_>) {
    if text(object, &["kind"]) != Some("PrometheusRule") {
        return;
    }
    let groups = items(at(object, &["spec", "groups"])).iter();
    for rule in groups.flat_map(|group| items(group.get("rules"))) {
        let Some(node) = rule.get("expr") else {
            continue;
        };
        let said = node.as_str().unwrap_or_default();
        let whole = Spot::of(node);
        let named = text(rule, &["alert"])
            .unwrap_or_default()
            .to_ascii_lowercase();
        if said.contains("velero_backup_failure_total") && named.contains("hook") {
            findings
                .at(Rule::WrongMetric, &whole.find("velero_backup_failure_total"), "a failed hook makes a backup PartiallyFailed, which this metric does not count")
                .help("write velero_backup_partial_failure_total");
        }
        let bare = "velero_backup_duration_seconds";
        let suffixed = said
            .find(bare)
            .is_some_and(|start| said[start + bare.len()..].starts_with('_'));
        if said.contains(bare) && !suffixed {
            findings
                .at(
                    Rule::WrongMetric,
                    &whole.find(bare),
                    "this is a histogram: no series has its bare name, and the alert never fires",
                )
                .help(
                    "write velero_backup_duration_seconds_bucket inside of histogram_quantile(…)",
                );
        }
    }
}
