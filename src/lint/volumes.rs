//! The volumes of one pod: which are named for file-system backup, and where hooks write.

use std::collections::BTreeSet;

use super::{
    Rule, Spot, command,
    findings::Findings,
    hook::Hook,
    pod::{CLAIM, Container, Pod, Volume, at, items, text},
    settings, shell,
};
use crate::{
    policy::METHOD_LABEL,
    velero::{BACKUP_VOLUMES, BACKUP_VOLUMES_EXCLUDES, HookPhase},
    yaml::{Node, Value},
};

/// Volumes that file-system backup passes over, whatever the annotation says.
const NEVER: [&str; 5] = [
    "configMap",
    "secret",
    "projected",
    "downwardAPI",
    "hostPath",
];

pub fn judge(pod: &Pod<'_>, findings: &mut Findings<'_>) {
    let volumes = pod.volumes();
    for key in [BACKUP_VOLUMES, BACKUP_VOLUMES_EXCLUDES] {
        if let Some(node) = pod.annotation(key) {
            listed(pod, &volumes, node, key, findings);
        }
    }
    both(pod, findings);
    spread(pod, findings);
    if !pod.has_hooks() {
        return;
    }
    twice(pod, &volumes, findings);
    for phase in HookPhase::ALL {
        if let Some(hook) = Hook::of_annotations(pod, phase) {
            let container = settings::container_of(&hook, Some(pod));
            if let Some(container) = container {
                written(pod, &hook, &container, findings);
                script(&volumes, &hook, &container, findings);
            }
        }
    }
}

fn listed(
    pod: &Pod<'_>,
    volumes: &[Volume<'_>],
    node: &Node,
    key: &str,
    findings: &mut Findings<'_>,
) {
    let (Some(said), whole) = (node.as_str(), Spot::of(node)) else {
        return;
    };
    if said.is_empty() {
        return;
    }
    let mut start = 0;
    for name in said.split(',') {
        let spot = whole.part(start..start + name.len());
        start += name.len() + 1;
        let Some(volume) = volumes.iter().find(|volume| volume.name == name) else {
            no_volume(volumes, name, &spot, findings);
            continue;
        };
        if key == BACKUP_VOLUMES {
            taken(pod, volume, &spot, findings);
        }
    }
}

fn no_volume(volumes: &[Volume<'_>], name: &str, spot: &Spot<'_>, findings: &mut Findings<'_>) {
    let trimmed = name.trim();
    let there = volumes.iter().any(|volume| volume.name == trimmed);
    let (message, help) = if trimmed.is_empty() {
        (
            "an empty name between commas names no volume".to_owned(),
            "remove the comma".to_owned(),
        )
    } else if there {
        (
            format!(
                "Velero looks for a volume {name:?}, blank included, finds none and says nothing"
            ),
            format!("write {trimmed} without blanks"),
        )
    } else {
        let nearest = volumes
            .iter()
            .map(|volume| (strsim::jaro_winkler(volume.name, trimmed), volume.name))
            .filter(|(near, _)| *near > 0.8)
            .max_by(|one, other| one.0.total_cmp(&other.0));
        let names: Vec<&str> = volumes.iter().map(|volume| volume.name).collect();
        let help = match nearest {
            Some((_, nearest)) => format!("did you mean {nearest}?"),
            None if names.is_empty() => "the pod has no volume".to_owned(),
            None => format!("the pod has {}", names.join(", ")),
        };
        (
            format!(
                "the pod has no volume {trimmed:?}: Velero passes over the name and says nothing"
            ),
            help,
        )
    };
    findings.at(Rule::NoVolume, spot, message).help(help);
}

fn taken(pod: &Pod<'_>, volume: &Volume<'_>, spot: &Spot<'_>, findings: &mut Findings<'_>) {
    let name = volume.name;
    if NEVER.contains(&volume.kind) || name.starts_with("default-token") {
        findings
            .at(
                Rule::NeverTaken,
                spot,
                format!(
                    "{name:?} is a {} volume, which file-system backup never takes",
                    volume.kind
                ),
            )
            .help("remove it: what it holds is backed up as an object, or is not in the cluster");
        return;
    }
    let uses = |field: &str, container: &Container<'_>| {
        items(container.node.get(field))
            .iter()
            .any(|it| text(it, &["name"]) == Some(name))
    };
    let containers = pod.containers();
    if containers
        .iter()
        .any(|container| uses("volumeDevices", container))
    {
        findings
            .at(Rule::BlockDevice, spot, format!("{name:?} is used as a block device, which file-system backup skips with a warning"))
            .help("take it by a snapshot");
    } else if !containers.is_empty()
        && !containers
            .iter()
            .any(|container| uses("volumeMounts", container))
    {
        findings
            .at(Rule::NotMounted, spot, format!("no container mounts {name:?}; init containers do not count, and Velero skips the volume with a warning"))
            .help(format!("mount {name} in the container that writes to it"));
    }
    if volume.kind == CLAIM && pod.label(METHOD_LABEL) == Some("snapshot") {
        findings
            .at(Rule::CopyNotSnapshot, spot, format!("{name:?} is copied file by file: this annotation takes the place of the snapshot that {METHOD_LABEL} asks for"))
            .help("remove it from the annotation");
    }
}

fn both(pod: &Pod<'_>, findings: &mut Findings<'_>) {
    let excluded = pod
        .annotation(BACKUP_VOLUMES_EXCLUDES)
        .and_then(Node::as_str)
        .unwrap_or_default();
    let Some(node) = pod.annotation(BACKUP_VOLUMES) else {
        return;
    };
    let common = pod
        .listed_volumes()
        .into_iter()
        .find(|name| !name.is_empty() && excluded.split(',').any(|it| it == *name));
    if let Some(name) = common {
        findings
            .at(Rule::OtherMode, &Spot::of(node).find(name), format!("{name:?} is listed here and in {BACKUP_VOLUMES_EXCLUDES}: Velero reads one of the two, by the backup's mode"))
            .help("keep it in one of them");
    }
}

/// A snapshot is of one claim, and one moment. Only a dump, or writes that are held meanwhile, make more of it.
fn spread(pod: &Pod<'_>, findings: &mut Findings<'_>) {
    let wanted = pod.label(METHOD_LABEL) == Some("snapshot");
    let pre = Hook::of_annotations(pod, HookPhase::Pre);
    let prepared = pre.is_some_and(|hook| {
        !hook.is_plain() || command::is_dump(&hook) || command::freeze(&hook.said()).is_some()
    });
    if prepared || !(wanted || pod.annotation(HookPhase::Pre.keys().command).is_some()) {
        return;
    }
    let copied = pod.listed_volumes();
    for mut found in pod.spread() {
        found.claims.retain(|it| !copied.contains(&&*it.volume));
        let container = pod
            .containers()
            .into_iter()
            .find(|it| it.name == found.container);
        let mounts = container.map(|it| it.mounts()).unwrap_or_default();
        let last = found.claims.last().filter(|_| found.claims.len() > 1);
        let last = last.and_then(|last| mounts.iter().find(|(name, ..)| *name == last.volume));
        let Some((_, _, mount)) = last else { continue };
        findings
            .on(Rule::SeveralClaims, mount, format!("{} has its files on the claims {}, and Velero takes their snapshots seconds apart: together they may be of no moment that ever was", found.engine.name, found.names()))
            .help(format!("dump it instead ({METHOD_LABEL}: dump), or keep all of it on one claim"));
    }
}

/// A dump must lie in a volume that is backed up.
fn written(pod: &Pod<'_>, hook: &Hook<'_>, container: &Container<'_>, findings: &mut Findings<'_>) {
    // What is sent away needs no volume.
    const SENDERS: [&str; 7] = ["aws", "az", "curl", "gsutil", "mc", "rclone", "restic"];
    let said = hook.said();
    if SENDERS
        .iter()
        .any(|sender| shell::call(&said, sender).is_some())
    {
        return;
    }
    let listed = pod.listed_volumes();
    let Some((file, spot)) =
        command::dump_file(hook).filter(|(file, _)| !file.starts_with("/dev/"))
    else {
        return;
    };
    // A file that is renamed counts by its last name.
    let moved = shell::call(&said, "mv").and_then(|start| {
        shell::words(shell::command_at(&said, start))
            .last()
            .cloned()
    });
    let file = moved
        .filter(|it| it.starts_with('/') && !it.contains('$'))
        .unwrap_or(file);
    let name = container.name;
    match container.volume_of(&file) {
        None => {
            findings
                .at(
                    Rule::NotMounted,
                    &spot,
                    format!("{file} is in no volume of container {name:?}: nothing backs it up"),
                )
                .help(format!(
                    "mount an emptyDir there, and list it in {BACKUP_VOLUMES}"
                ));
        }
        // Without the annotation a backup may take all volumes by default.
        Some(volume) if !listed.is_empty() && !listed.contains(&volume) => {
            let kind = pod
                .volumes()
                .into_iter()
                .find(|it| it.name == volume)
                .map_or("", |it| it.kind);
            if kind == "emptyDir" {
                findings
                    .at(Rule::NotMounted, &spot, format!("{file} is in the emptyDir {volume:?}, which backup-volumes does not name and no snapshot takes"))
                    .help(format!("write {BACKUP_VOLUMES}: {},{volume}", listed.join(",")));
            }
        }
        Some(_) => {}
    }
}

/// A script from a ConfigMap must be there, readable and, when it is run by itself, executable.
fn script(
    volumes: &[Volume<'_>],
    hook: &Hook<'_>,
    container: &Container<'_>,
    findings: &mut Findings<'_>,
) {
    let Some(arg) = command::script_file(hook) else {
        return;
    };
    let Some(volume) = container
        .volume_of(&arg.text)
        .and_then(|name| volumes.iter().find(|it| it.name == name))
    else {
        return;
    };
    let Some(source) = volume.node.get("configMap") else {
        return;
    };
    let by_itself = hook
        .argv
        .first()
        .is_some_and(|first| first.text == arg.text);
    let mode = at(source, &["defaultMode"]).and_then(|node| match &node.value {
        Value::Number(number) => number.as_u64(),
        Value::String(said) => u64::from_str_radix(said, 8).ok(),
        _ => None,
    });
    if let Some(node) = at(source, &["defaultMode"]).filter(|_| mode.is_some_and(|it| it > 0o777)) {
        let said = node.to_json();
        findings
            .on(Rule::NoScript, node, format!("the API server takes modes up to 0777, which is 511: {said} is a decimal number"))
            .help(format!("write 0{said}, which YAML takes for octal; JSON knows decimal numbers alone"));
        return;
    }
    if by_itself && mode.unwrap_or(0o644) & 0o111 == 0 {
        findings
            .at(Rule::NoScript, &arg.spot, "files of a ConfigMap cannot be executed unless its volume says so: the hook ends with `permission denied`")
            .help(format!("run it by a shell: '[\"/bin/sh\",\"{}\"]', or add defaultMode: 0555 to the volume", arg.text));
    }
    if at(source, &["optional"]).is_none_or(|node| !matches!(node.value, Value::Bool(true))) {
        findings
            .at(Rule::NoScript, &Spot::of(source.get("name").unwrap_or(source)), "a pod that is restored without this ConfigMap never starts: backups by label do not take it along")
            .help("add optional: true beside its name");
    }
}

fn twice(pod: &Pod<'_>, volumes: &[Volume<'_>], findings: &mut Findings<'_>) {
    let mut said = |nodes: Vec<(&str, &Node)>, what: &str| {
        let mut seen = BTreeSet::new();
        for (name, node) in nodes {
            if !seen.insert(name.to_owned()) {
                let node = node
                    .get("name")
                    .filter(|_| what != "mount path")
                    .or_else(|| node.get("mountPath"))
                    .unwrap_or(node);
                findings
                    .on(
                        Rule::Twice,
                        node,
                        format!("the {what} {name:?} stands twice: the API server refuses the pod"),
                    )
                    .help("remove one of them, or give it another name");
            }
        }
    };
    let containers = pod.containers().into_iter().chain(pod.init_containers());
    said(
        containers.map(|it| (it.name, it.node)).collect(),
        "container",
    );
    said(
        volumes
            .iter()
            .filter(|it| it.node.get("metadata").is_none())
            .map(|it| (it.name, it.node))
            .collect(),
        "volume",
    );
    for container in pod.containers() {
        said(
            container
                .mounts()
                .into_iter()
                .map(|(_, path, node)| (path, node))
                .collect(),
            "mount path",
        );
    }
}
