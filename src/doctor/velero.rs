//! Velero: its server with the flags that decide over volumes, its node agent, its places for backups.

use serde_json::Value;

use super::{
    Check, Finding, Observed, Seen, Told,
    object::{arguments, containers, count, flag, name, some},
};
use crate::velero::Timeout;

/// Less than this is over before a large upload is.
const SHORT: Timeout = Timeout::from_seconds(60 * 60);

pub fn judge(observed: &Observed) -> Vec<Told> {
    let namespace = &observed.names.velero_namespace;
    let all = match &observed.velero {
        Seen::Known(all) => all,
        unseen => {
            return vec![Told::unseen(
                Check::Velero,
                &format!("Deployments of {namespace}"),
                unseen,
            )];
        }
    };
    let Some(server) = server(all) else {
        return vec![Told::finding(
            Finding::NoVelero,
            format!("there is no Velero in {namespace}: hooks are there, and nobody runs them"),
            "kubectl get deployments -A | grep velero; --velero-namespace names its namespace",
        )];
    };
    let mut told = running(observed, server);
    told.push(node_agent(observed));
    told.push(storage(observed));
    told
}

/// Velero's server among Deployments.
#[must_use]
pub fn server(deployments: &[Value]) -> Option<&Value> {
    deployments.iter().find(|it| {
        let by_name = name(it) == "velero";
        by_name || (arguments(it).any(|it| it == "server") && image(it).contains("velero"))
    })
}

fn image(workload: &Value) -> &str {
    let first = containers(workload).next();
    first
        .and_then(|it| it["image"].as_str())
        .unwrap_or_default()
}

/// The release in an image's tag: `v1.18.3`.
fn version(image: &str) -> Option<[u32; 3]> {
    let image = image.split('@').next().unwrap_or_default();
    let (_, tag) = image.rsplit_once(':')?;
    let mut numbers = tag.trim_start_matches('v').split(['.', '-']);
    let mut number = || numbers.next()?.parse().ok();
    Some([number()?, number()?, number().unwrap_or_default()])
}

/// Whether volumes are copied file by file where nobody says otherwise.
pub fn copies_by_default(server: &Value) -> bool {
    ["default-volumes-to-fs-backup", "default-volumes-to-restic"]
        .iter()
        .any(|it| flag(server, it).is_some_and(|it| matches!(it, "true" | "1" | "t")))
}

fn running(observed: &Observed, server: &Value) -> Vec<Told> {
    let namespace = &observed.names.velero_namespace;
    let mut told = Vec::new();
    if server["status"]["readyReplicas"].as_u64().unwrap_or(0) == 0 {
        told.push(Told::finding(
            Finding::VeleroDown,
            format!("{namespace}/{} has no ready replica", name(server)),
            format!("kubectl -n {namespace} logs deployment/{}", name(server)),
        ));
    }
    let version = version(image(server));
    if let Some([1, minor, patch]) = version
        && (minor == 14 || (minor == 15 && patch == 0))
    {
        told.push(Told::finding(
            Finding::PostBeforeUpload,
            format!("1.{minor}.{patch} runs post hooks before volumes are uploaded (velero#8159): dumps are taken away before they are saved"),
            "update Velero to 1.15.1 or later",
        ));
    }
    if copies_by_default(server) {
        let without = list_of(&observed.schedules)
            .filter(|it| it["spec"]["template"]["defaultVolumesToFsBackup"] != false);
        let without: Vec<&str> = without.map(name).collect();
        if !without.is_empty() || list_of(&observed.schedules).next().is_none() {
            let whose = if without.is_empty() {
                String::new()
            } else {
                format!(" in {}", some(without))
            };
            told.push(Told::finding(
                Finding::CopiesByDefault,
                format!("default-volumes-to-fs-backup=true: backup-volumes is ignored, and data volumes are copied live{whose}"),
                format!("kubectl -n {namespace} edit deployment {}: take --default-volumes-to-fs-backup away; or set spec.template.defaultVolumesToFsBackup: false in the Schedules", name(server)),
            ));
        }
    }
    let timeout = flag(server, "fs-backup-timeout");
    if let Some(short) = timeout.filter(|it| it.parse::<Timeout>().is_ok_and(|it| it < SHORT)) {
        told.push(Told::finding(
            Finding::ShortUploads,
            format!("fs-backup-timeout={short} counts from the start of a backup: when it is over, post hooks do not run"),
            format!("kubectl -n {namespace} edit deployment {}: --fs-backup-timeout=4h", name(server)),
        ));
    }
    if told.is_empty() {
        let version = version.map_or_else(
            || image(server).to_owned(),
            |[major, minor, patch]| format!("{major}.{minor}.{patch}"),
        );
        told.push(Told::fine(
            Check::Velero,
            format!("{version}; volumes are copied where backup-volumes says so"),
        ));
    }
    told
}

fn list_of(seen: &Seen<Vec<Value>>) -> impl Iterator<Item = &Value> {
    seen.known().into_iter().flatten()
}

fn node_agent(observed: &Observed) -> Told {
    let namespace = &observed.names.velero_namespace;
    let all = match &observed.node_agents {
        Seen::Known(all) => all,
        unseen => return Told::unseen(Check::NodeAgent, "DaemonSets", unseen),
    };
    // One for each kind of node: Windows has its own.
    let agents: Vec<&Value> = all
        .iter()
        .filter(|it| matches!(name(it), "node-agent" | "restic" | "node-agent-windows"))
        .collect();
    if agents.is_empty() {
        return Told::finding(
            Finding::NoNodeAgent,
            format!("there is no node-agent in {namespace}: no volume with a dump is saved"),
            "velero install --use-node-agent",
        );
    }
    let number = |field: &str| -> u64 {
        let numbers = agents.iter().filter_map(|it| it["status"][field].as_u64());
        numbers.sum()
    };
    let (wanted, ready) = (number("desiredNumberScheduled"), number("numberReady"));
    if ready < wanted || wanted == 0 {
        Told::finding(
            Finding::NodeAgentUnready,
            format!("ready on {ready} of {wanted} nodes"),
            format!("kubectl -n {namespace} get pods -l name=node-agent -o wide"),
        )
    } else {
        let nodes = count(usize::try_from(wanted).unwrap_or(usize::MAX), "node");
        Told::fine(Check::NodeAgent, format!("ready on {nodes}"))
    }
}

fn storage(observed: &Observed) -> Told {
    let namespace = &observed.names.velero_namespace;
    let all = match &observed.storage {
        Seen::Known(all) => all,
        unseen => return Told::unseen(Check::Storage, "BackupStorageLocations", unseen),
    };
    let step = format!(
        "kubectl -n {namespace} get backupstoragelocations -o wide; kubectl -n {namespace} logs deployment/velero | grep -i location"
    );
    if all.is_empty() {
        return Told::finding(
            Finding::StorageUnavailable,
            "there is no BackupStorageLocation",
            "velero backup-location create",
        );
    }
    let unavailable = all.iter().filter(|it| it["status"]["phase"] != "Available");
    let unavailable: Vec<&str> = unavailable.map(name).collect();
    if unavailable.is_empty() {
        Told::fine(
            Check::Storage,
            format!("{} available", some(all.iter().map(name))),
        )
    } else {
        Told::finding(
            Finding::StorageUnavailable,
            format!("{} cannot be reached", some(unavailable)),
            step,
        )
    }
}
