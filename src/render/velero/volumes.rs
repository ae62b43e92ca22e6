//! Which volumes a backup uploads: those with dumps, and not the data that the dumps are of.

use std::collections::BTreeSet;

use super::{Claim, Lost, Seen, Why, found::has};
use crate::{
    json::List,
    policy::{Policy, VolumeSource},
    recognise::{self, Clues},
    velero::spec::VolumeRule,
};

/// A pod with dumps.
pub struct Dumped<'s> {
    seen: Seen<'s>,
    /// Volumes with dumps, and whether each is an emptyDir.
    dumps: Vec<(String, bool)>,
    /// Volumes with what is dumped.
    data: Vec<String>,
}

/// The pod's volumes with dumps and with data, where policies write a dump.
pub fn dumped<'s>(seen: Seen<'s>, container: &str, policies: &[&Policy]) -> Option<Dumped<'s>> {
    let volumes = policies.iter().flat_map(|policy| {
        let saved = |name: &str| policy.backup_volumes.iter().any(|it| it == name);
        policy.volumes.iter().filter(move |it| saved(&it.name))
    });
    let dumps: Vec<(String, bool)> = volumes
        .map(|volume| {
            let is_empty_dir = matches!(volume.source, VolumeSource::EmptyDir(_));
            (volume.name.clone(), is_empty_dir)
        })
        .collect();
    if dumps.is_empty() {
        return None;
    }
    let mut containers = seen.pod.containers().iter();
    let container = containers.find(|it| *it.name == *container)?;
    let server = recognise::server(container, &Clues::default());
    let mounts = container.volume_mounts.iter().flat_map(List::iter);
    let data = mounts
        .filter(|mount| {
            let engine = server.as_ref().map(|server| server.engine);
            engine.is_some_and(|engine| engine.keeps_data_at(&mount.mount_path))
        })
        .map(|mount| mount.name.to_string())
        .filter(|name| seen.claims.contains_key(name));
    Some(Dumped {
        data: data.collect(),
        seen,
        dumps,
    })
}

/// The rules for the volumes of these pods, among all claims of the backup, if anybody knows them.
pub fn rules(
    pods: &[&Dumped<'_>],
    claims: Option<&[Claim]>,
    lost: &mut Vec<Lost>,
) -> Vec<VolumeRule> {
    let data = pods.iter().flat_map(|pod| {
        let positions = pod.data.iter().filter_map(|name| pod.seen.claims.get(name));
        positions.copied()
    });
    let data: BTreeSet<usize> = data.collect();
    let mut rules = Vec::new();
    for pod in pods {
        for (volume, is_empty_dir) in &pod.dumps {
            if !is_empty_dir {
                lost.push(Lost::new(pod.seen.title, Why::DumpVolume(volume.clone())));
            }
        }
        for volume in &pod.data {
            let Some(claims) = claims else {
                let why = Why::UnknownClaims(volume.clone());
                lost.push(Lost::new(pod.seen.title, why));
                continue;
            };
            let labels = &claims[pod.seen.claims[volume]].labels;
            let mut others = claims
                .iter()
                .enumerate()
                .filter(|(at, _)| !data.contains(at));
            if labels.is_empty() || others.any(|(_, other)| has(&other.labels, labels)) {
                lost.push(Lost::new(pod.seen.title, Why::DataVolume(volume.clone())));
                continue;
            }
            let rule = VolumeRule::SkipClaims(labels.clone());
            if !rules.contains(&rule) {
                rules.push(rule);
            }
            let words = labels.iter().map(|(key, value)| format!("{key}={value}"));
            let why = Why::Skipped(words.collect());
            lost.push(Lost::new(pod.seen.title, why));
        }
    }
    let copied = |pod: &&&Dumped<'_>| pod.dumps.iter().any(|(_, is_empty_dir)| *is_empty_dir);
    for pod in pods.iter().filter(copied) {
        if !rules.contains(&VolumeRule::CopyEmptyDirs) {
            rules.push(VolumeRule::CopyEmptyDirs);
        }
        lost.push(Lost::new(pod.seen.title, Why::OtherEmptyDirs));
    }
    rules
}
