//! The annotations of one pod: their keys, and each hook with the others.

use super::{
    Rule, command,
    findings::Findings,
    hook::{self, Hook},
    pod::{CLAIM, Pod, at, entries, is_hook_key, items, text},
    settings, shell,
};
use crate::{
    policy::{Invocation, name::is_dns_label},
    velero::{BACKUP_VOLUMES, EXCLUDE_LABEL, HookPhase, INIT_PREFIX, KNOWN_KEYS, LEGACY_PREFIX},
    yaml::{Key, Node, Value},
};

/// Judges the hooks in a pod's annotations.
pub fn judge(pod: &Pod<'_>, findings: &mut Findings<'_>) {
    let annotations = pod.annotations();
    for (key, value) in annotations {
        known(key, value, findings);
    }
    if !pod.has_hooks() {
        return;
    }
    without_command(pod, findings);
    legacy(pod, findings);
    let mut hooks = Vec::new();
    for phase in HookPhase::ALL {
        if let Some(node) = pod.annotation(phase.keys().command) {
            command::text(node, findings);
        }
        let Some(hook) = Hook::of_annotations(pod, phase) else {
            continue;
        };
        settings::judge(&hook, Some(pod), findings);
        let container = settings::container_of(&hook, Some(pod));
        command::doing(&hook, container.as_ref(), findings);
        hooks.push(hook);
    }
    pairs(&hooks, findings);
    captured(pod, &hooks, findings);
    deleted(pod, &hooks, findings);
    init(pod, findings);
    replicas(pod, &hooks, findings);
    ending(pod, findings);
    left_out(pod, findings);
}

/// Annotations that stand on an object where Velero never looks.
pub fn on_workload(pod: &Pod<'_>, findings: &mut Findings<'_>) {
    let paths: [&[&str]; 2] = [
        &["metadata", "annotations"],
        &["spec", "jobTemplate", "metadata", "annotations"],
    ];
    let here = paths.iter().flat_map(|path| entries(at(pod.object, path)));
    let here = here.filter(|_| pod.is_template());
    for (key, _) in here.filter(|(key, _)| is_hook_key(&key.name) || key.name == BACKUP_VOLUMES) {
        let message = format!(
            "Velero reads the annotations of pods, and this one stays with the {}",
            pod.kind()
        );
        findings
            .push(Rule::OnWorkload, key.span.clone(), message)
            .help("move it to spec.template.metadata.annotations");
    }
}

/// Annotations that stand anywhere but below `annotations`, as where the indentation was lost.
pub fn misplaced(object: &Node, findings: &mut Findings<'_>) {
    const PLACES: [&[&str]; 7] = [
        &[],
        &["metadata"],
        &["metadata", "labels"],
        &["spec"],
        &["spec", "template"],
        &["spec", "template", "metadata"],
        &["spec", "template", "metadata", "labels"],
    ];
    for path in PLACES {
        let here = entries(at(object, path)).iter();
        let first = here.map(|(key, _)| key).find(|key| is_hook_key(&key.name));
        if let Some(key) = first {
            let place = match path {
                [] => "at the root of the document".to_owned(),
                path => format!("in {}", path.join(".")),
            };
            findings
                .push(
                    Rule::OnWorkload,
                    key.span.clone(),
                    format!("Velero reads this in metadata.annotations of a pod, and here it stands {place}"),
                )
                .help("set it in below annotations: of the pod's metadata");
        }
    }
}

fn known(key: &Key, value: &Node, findings: &mut Findings<'_>) {
    let Some((domain, name)) = key.name.split_once('/') else {
        return;
    };
    if !is_hook_key(&key.name) {
        let near = !key.name.starts_with(BACKUP_VOLUMES)
            && strsim::jaro_winkler(&key.name, BACKUP_VOLUMES) > 0.97;
        if near {
            findings
                .push(
                    Rule::UnknownKey,
                    key.span.clone(),
                    "Velero never reads this annotation",
                )
                .help(format!("did you mean {BACKUP_VOLUMES}?"));
        }
        return;
    }
    let names = KNOWN_KEYS.iter().find(|(known, _)| *known == domain);
    if names.is_some_and(|(_, names)| names.contains(&name)) {
        let settings = [
            "container",
            "on-error",
            "command",
            "container-name",
            "container-image",
        ];
        let judged = matches!(value.value, Value::String(_)) || !settings.contains(&name);
        if !judged {
            findings
                .on(
                    Rule::UnknownKey,
                    value,
                    "the value is no string: the API server refuses the whole object",
                )
                .help("put it into quotes");
        }
        return;
    }
    let all = KNOWN_KEYS
        .iter()
        .flat_map(|(domain, names)| names.iter().map(move |name| format!("{domain}/{name}")));
    // Within its own domain first: post.hook.restore…/timeout is exec-timeout.
    let own = |known: &String| {
        names.is_none() || known.split_once('/').is_some_and(|(it, _)| it == domain)
    };
    let nearest = all
        .filter(own)
        .map(|known| (strsim::jaro_winkler(&known, &key.name), known))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let restore_timeout = domain == HookPhase::PostRestore.prefix() && name == "timeout";
    let help = match nearest {
        _ if restore_timeout => format!(
            "write {} for how long it may run, {domain}/wait-timeout for how long it may wait",
            HookPhase::PostRestore.keys().timeout
        ),
        _ if domain == INIT_PREFIX && name == "timeout" => {
            "remove it: an init container has no timeout".to_owned()
        }
        Some((_, nearest)) => format!("did you mean {nearest}?"),
        None => "remove it".to_owned(),
    };
    findings
        .push(
            Rule::UnknownKey,
            key.span.clone(),
            "Velero never reads this annotation",
        )
        .help(help);
}

fn without_command(pod: &Pod<'_>, findings: &mut Findings<'_>) {
    for (domain, names) in KNOWN_KEYS
        .iter()
        .filter(|(domain, _)| *domain != INIT_PREFIX)
    {
        let command = pod.annotation(&format!("{domain}/command"));
        if command.is_some_and(|it| it.as_str() != Some("")) {
            continue;
        }
        let sibling = pod.annotations().iter().find(|(key, _)| {
            key.name.split_once('/').is_some_and(|(it, name)| {
                it == *domain && name != "command" && names.contains(&name)
            })
        });
        let said = command
            .map(|command| command.span.clone())
            .or_else(|| sibling.map(|(key, _)| key.span.clone()));
        if let Some(span) = said {
            findings
                .push(
                    Rule::NoCommand,
                    span,
                    "there is no command beside it, and Velero reads nothing of a hook without one",
                )
                .help(format!(
                    "add {domain}/command: '[\"/bin/sh\",\"-c\",\"…\"]', or remove it"
                ));
        }
    }
}

fn legacy(pod: &Pod<'_>, findings: &mut Findings<'_>) {
    let of = |domain: &str| {
        pod.annotations()
            .iter()
            .find(|(key, _)| key.name.split_once('/').is_some_and(|(it, _)| it == domain))
    };
    if let (Some((old, _)), Some(_)) = (of(LEGACY_PREFIX), of(HookPhase::Pre.prefix())) {
        findings
            .push(Rule::Legacy, old.span.clone(), format!("Velero reads this oldest form only where {} is absent, and never mixes the two", HookPhase::Pre.keys().command))
            .help("put pre. in front of it, or remove it");
    }
}

/// What is stopped before must be started after, and the reverse.
pub fn pairs(hooks: &[Hook<'_>], findings: &mut Findings<'_>) {
    let of = |phase| hooks.iter().filter(move |hook| hook.phase == phase);
    for hook in of(HookPhase::Pre) {
        let said = hook.said();
        let Some((row, _)) = command::freeze(&said) else {
            continue;
        };
        let ended =
            of(HookPhase::Post).any(|post| command::thaws(&post.said(), row) || !post.is_plain());
        if !ended && !command::thaws(&said, row) {
            let spot = hook.find(row.stops);
            findings
                .at(Rule::NoThaw, &spot, "no post hook ends what begins here")
                .help(format!("add a post hook that runs {}", row.starts[0]));
        }
    }
    for hook in of(HookPhase::Post) {
        let said = hook.said();
        let begun = |row: &super::engines::Freeze| {
            of(HookPhase::Pre)
                .any(|pre| pre.said().to_ascii_lowercase().contains(row.stops) || !pre.is_plain())
        };
        let rows: Vec<_> = super::engines::FREEZES
            .iter()
            .filter(|row| command::thaws(&said, row))
            .collect();
        if let Some(row) = rows.first().filter(|_| !rows.iter().any(|row| begun(row))) {
            findings
                .at(
                    Rule::NoThaw,
                    &hook.find(row.starts[0]),
                    "no pre hook of this pod begins what ends here",
                )
                .help(format!(
                    "add a pre hook that runs {}, or remove this one",
                    row.stops
                ));
        }
    }
}

fn claims<'d>(pod: &Pod<'d>) -> Vec<&'d str> {
    let claims = pod.volumes().into_iter().filter(|it| it.kind == CLAIM);
    claims.map(|it| it.name).collect()
}

/// A lock and the way in which the data are captured.
fn captured(pod: &Pod<'_>, hooks: &[Hook<'_>], findings: &mut Findings<'_>) {
    let listed = pod.listed_volumes();
    for hook in hooks.iter().filter(|hook| hook.phase == HookPhase::Pre) {
        let said = hook.said();
        let Some((row, _)) = command::freeze(&said).filter(|(row, _)| row.outlives(&said)) else {
            continue;
        };
        let spot = hook.find(row.stops);
        let copied = pod
            .volumes()
            .into_iter()
            .find(|volume| listed.contains(&volume.name));
        if let Some(volume) = copied {
            findings
                .at(Rule::LockedUpload, &spot, format!("this is held until all of volume {:?} is uploaded, which may take hours", volume.name))
                .help("dump into a volume of its own and list that one, or take the data by a snapshot");
        }
        let fails = hook.on_error.and_then(Node::as_str) == Some("Fail");
        let snapshot = claims(pod).into_iter().find(|name| !listed.contains(name));
        if let Some(claim) = snapshot.filter(|_| fails) {
            findings
                .at(Rule::FailedYetCaptured, &spot, format!("when this hook fails, Velero skips the pod and its post hook, and takes the snapshot of claim {claim:?} all the same"))
                .help("let the script undo its own work when it fails, and look for PartiallyFailed before a restore");
        }
    }
}

fn deleted(pod: &Pod<'_>, hooks: &[Hook<'_>], findings: &mut Findings<'_>) {
    let listed = pod.listed_volumes();
    for hook in hooks.iter().filter(|hook| hook.phase == HookPhase::Post) {
        let said = hook.said();
        let Some(start) = shell::call(&said, "rm") else {
            continue;
        };
        let Some(container) = settings::container_of(hook, Some(pod)) else {
            continue;
        };
        let removed = shell::words(shell::command_at(&said, start));
        let dump = removed.iter().find(|word| {
            container
                .volume_of(word)
                .is_some_and(|volume| listed.contains(&volume))
        });
        if let Some(path) = dump {
            findings
                .at(Rule::DeletedDump, &hook.find(path), "Velero 1.14.0 to 1.15.0 runs this before the volume is uploaded: the dump is gone then")
                .help("leave it: the next pre hook replaces it");
        }
    }
}

fn init(pod: &Pod<'_>, findings: &mut Findings<'_>) {
    let field = |name: &str| pod.annotation(&format!("{INIT_PREFIX}/{name}"));
    let (image, said, name) = (
        field("container-image"),
        field("command"),
        field("container-name"),
    );
    if let Some(node) = said {
        command::text(node, findings);
    }
    match (image, said) {
        (Some(image), None) => {
            findings
                .on(
                    Rule::BrokenInit,
                    image,
                    "without a command Velero's plugin panics, and the pod is not restored",
                )
                .help(format!(
                    "add {INIT_PREFIX}/command: '[\"/bin/sh\",\"-c\",\"…\"]'"
                ));
        }
        (None, Some(other)) => {
            findings
                .on(
                    Rule::BrokenInit,
                    other,
                    "without container-image Velero adds no init container",
                )
                .help(format!("add {INIT_PREFIX}/container-image: <image>"));
        }
        (None, None) => return,
        (Some(_), Some(said)) => bare(pod, said, findings),
    }
    let Some((name, node)) = name.and_then(|node| Some((node.as_str()?, node))) else {
        return;
    };
    let taken = pod
        .containers()
        .into_iter()
        .chain(pod.init_containers())
        .any(|it| it.name == name);
    if taken || !is_dns_label(name) {
        let message = if taken {
            format!(
                "the pod has a container {name:?} already: the API server refuses the restored pod"
            )
        } else {
            format!(
                "{name:?} cannot be a container's name: the API server refuses the restored pod"
            )
        };
        findings
            .on(Rule::BrokenInit, node, message)
            .help("remove it: Velero makes up a name");
    } else {
        findings
            .on(Rule::NamedInit, node, "a restored pod keeps this container: when it is backed up and restored again, the name stands twice and the API server refuses the pod")
            .help("remove it: Velero makes up a name");
    }
}

/// What the init container is made of: a name, an image and a command, and nothing else.
fn bare(pod: &Pod<'_>, said: &Node, findings: &mut Findings<'_>) {
    let argv = hook::argv(said);
    let words: Vec<String> = argv.iter().map(|arg| arg.text.clone()).collect();
    // One of ours is completed when the restored pod passes the webhook.
    if Invocation::is_of_a_script(&words) {
        return;
    }
    for arg in &argv {
        for container in pod.containers() {
            let mounted = container
                .mounts()
                .into_iter()
                .find(|(_, path, _)| path.len() > 1 && arg.text.contains(*path));
            if let Some((_, path, _)) = mounted {
                findings
                    .at(Rule::BareInit, &arg.spot.find(path), format!("the container that this annotation makes mounts no volume: there is no {path} in it"))
                    .help("put the init container into spec.hooks of the Restore, where it can have volumeMounts, or use a post.hook.restore");
                return;
            }
            let variables = items(container.node.get("env"))
                .iter()
                .filter_map(|it| text(it, &["name"]));
            if let Some(variable) = variables
                .into_iter()
                .find(|name| arg.text.contains(&format!("${name}")))
            {
                findings
                    .at(Rule::BareInit, &arg.spot.find(variable), format!("the container that this annotation makes has no environment: ${variable} is empty"))
                    .help("put the init container into spec.hooks of the Restore, where it can have env");
                return;
            }
        }
    }
}

fn replicas(pod: &Pod<'_>, hooks: &[Hook<'_>], findings: &mut Findings<'_>) {
    let several = at(pod.object, &["spec", "replicas"]).and_then(|node| match &node.value {
        Value::Number(number) => number.as_u64().filter(|many| *many > 1),
        _ => None,
    });
    let Some(several) = several else { return };
    for hook in hooks
        .iter()
        .filter(|hook| hook.phase == HookPhase::PostRestore && hook.is_plain())
    {
        let said = hook.said();
        if said.contains("exit 0")
            || said.contains("|| true")
            || hook.script().is_none() && !said.contains("sql")
        {
            continue;
        }
        let what = hook
            .script()
            .map_or_else(|| hook.command.clone(), |script| script.spot.clone());
        findings
            .at(Rule::CancelsOthers, &what, format!("it runs in {several} pods, and where it fails Velero cancels every restore hook that is still to come, in all pods"))
            .help("let it end with 0 where there is nothing to do: if on a replica, exit 0");
    }
}

fn ending(pod: &Pod<'_>, findings: &mut Findings<'_>) {
    let spec = at(pod.template, &["spec"]);
    let policy = spec.and_then(|spec| spec.get("restartPolicy"));
    let ends = policy
        .and_then(Node::as_str)
        .is_some_and(|it| it != "Always");
    let job = matches!(pod.kind(), "Job" | "CronJob");
    if !(ends || job) {
        return;
    }
    let Some((key, _)) = pod
        .annotations()
        .iter()
        .find(|(key, _)| is_hook_key(&key.name))
    else {
        return;
    };
    findings
        .push(Rule::ShortLived, key.span.clone(), "this pod ends: Velero skips it when it has ended, and the hook fails when it ends meanwhile")
        .help("put the hook on the pod of the server whose data these are");
}

fn left_out(pod: &Pod<'_>, findings: &mut Findings<'_>) {
    let label = at(pod.template, &["metadata", "labels", EXCLUDE_LABEL]);
    if let Some(label) = label.filter(|label| label.as_str() == Some("true")) {
        findings
            .on(Rule::LeftOut, label, "this pod is in no backup: its hooks never run, and a snapshot of its claims is taken all the same")
            .help(format!("remove the label {EXCLUDE_LABEL}, or the hooks; put it on the claims too if they are to be left out"));
    }
}

/// Keys that stand twice, of which the last counts without a word.
pub fn duplicates(document: &crate::yaml::Document, findings: &mut Findings<'_>) {
    for twice in &document.duplicates {
        if is_hook_key(&twice.key) || twice.key.starts_with(BACKUP_VOLUMES) {
            findings
                .push(Rule::Duplicate, twice.second.clone(), "this annotation stands here twice: the last one counts, and a pod has one hook of a kind")
                .help("run both in one command: '[\"/bin/sh\",\"-c\",\"first && second\"]'");
        }
    }
}
