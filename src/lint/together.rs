//! What shows only where several objects are seen at once: a pod and the backup that takes it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    File, Rule, Spot, command,
    findings::Findings,
    hook::{self, Hook},
    objects::{self, Run},
    pod::{CLAIM, Container, Pod, at, entries, items, objects as objects_of, text},
    settings,
};
use crate::{
    diagnostic::Diagnostic,
    velero::{BACKUP_VOLUMES, BACKUP_VOLUMES_EXCLUDES, HookPhase, INIT_PREFIX},
    yaml::Node,
};

/// Everything in the stream that rules look up.
struct Stream<'d> {
    pods: Vec<(usize, Pod<'d>)>,
    runs: Vec<(usize, Run<'d>)>,
    /// Namespace and data of each ConfigMap, by name.
    config_maps: BTreeMap<&'d str, Vec<ConfigMap<'d>>>,
    /// Namespaces that admit restricted pods alone.
    restricted: Vec<&'d str>,
}

#[derive(Clone, Copy)]
struct ConfigMap<'d> {
    file: usize,
    namespace: &'d str,
    object: &'d Node,
}

/// Judges the files of one stream together.
#[must_use]
pub fn together(files: &[File]) -> Vec<Diagnostic> {
    let stream = Stream::of(files);
    let mut found = Vec::new();
    let mut in_file = |index: usize, judge: &mut dyn FnMut(&mut Findings<'_>)| {
        let mut findings = Findings::new(&files[index].source);
        judge(&mut findings);
        found.extend(findings.into_diagnostics());
    };
    let pods: Vec<Pod<'_>> = stream.pods.iter().map(|(_, pod)| *pod).collect();
    for (index, run) in &stream.runs {
        in_file(*index, &mut |findings| {
            objects::in_pods(run, &pods, findings);
        });
    }
    for (index, pod) in &stream.pods {
        in_file(*index, &mut |findings| stream.pod(pod, findings));
        for (file, script, container) in stream.scripts(pod) {
            in_file(file, &mut |findings| {
                command::engines(&script, Some(&container), findings);
            });
        }
    }
    for (file, script, container) in stream.unused_scripts() {
        in_file(file, &mut |findings| {
            command::engines(&script, Some(&container), findings);
        });
    }
    found
}

impl<'d> Stream<'d> {
    fn of(files: &'d [File]) -> Self {
        let mut stream = Self {
            pods: Vec::new(),
            runs: Vec::new(),
            config_maps: BTreeMap::new(),
            restricted: Vec::new(),
        };
        for (index, file) in files.iter().enumerate() {
            for object in file.roots().flat_map(objects_of) {
                let name = text(object, &["metadata", "name"]).unwrap_or_default();
                match text(object, &["kind"]).unwrap_or_default() {
                    "ConfigMap" => {
                        let namespace =
                            text(object, &["metadata", "namespace"]).unwrap_or("default");
                        stream.config_maps.entry(name).or_default().push(ConfigMap {
                            file: index,
                            namespace,
                            object,
                        });
                    }
                    "Namespace" => {
                        let label = "pod-security.kubernetes.io/enforce";
                        if text(object, &["metadata", "labels", label]) == Some("restricted") {
                            stream.restricted.push(name);
                        }
                    }
                    _ => {}
                }
                if let Some(run) = Run::of(object) {
                    stream.runs.push((index, run));
                } else if let Some(pod) = Pod::of(object) {
                    // Only annotated pods are judged; the others say which image a backup's hooks meet.
                    stream.pods.push((index, pod));
                }
            }
        }
        stream
    }

    fn pod(&self, pod: &Pod<'_>, findings: &mut Findings<'_>) {
        let backups: Vec<&Run<'_>> = self
            .runs
            .iter()
            .map(|(_, run)| run)
            .filter(|run| !run.restore && run.has(pod))
            .collect();
        modes(pod, &backups, findings);
        for phase in HookPhase::ALL {
            let Some(hook) = Hook::of_annotations(pod, phase) else {
                continue;
            };
            self.hidden(pod, &hook, findings);
            locked(pod, &hook, &backups, findings);
            self.lost(pod, &hook, findings);
        }
        let image = pod.annotation(&format!("{INIT_PREFIX}/container-image"));
        if let Some(image) = image.filter(|_| self.restricted.contains(&pod.namespace())) {
            findings
                .on(Rule::BareInit, image, format!("namespace {:?} admits restricted pods alone, and the container that this makes has no securityContext: the restored pod is refused", pod.namespace()))
                .help("put the init container into spec.hooks of the Restore, where it can have a securityContext");
        }
    }

    fn hidden(&self, pod: &Pod<'_>, hook: &Hook<'_>, findings: &mut Findings<'_>) {
        let restore = hook.phase == HookPhase::PostRestore;
        let runs = self
            .runs
            .iter()
            .map(|(_, run)| run)
            .filter(|run| run.restore == restore && run.has(pod));
        for run in runs {
            let meant = hook::resources(run.spec).iter().find(|resource| {
                objects::covers(resource, pod.namespace())
                    && objects::selects(resource.get("labelSelector"), pod)
                    && hook::of_resource(resource)
                        .iter()
                        .any(|it| it.phase == hook.phase)
            });
            if let Some(resource) = meant {
                findings
                    .at(
                        Rule::Hidden,
                        &hook.command,
                        format!(
                            "{} has its own hook {:?} for this pod: this annotation hides it",
                            run.title(),
                            hook::name_of(resource)
                        ),
                    )
                    .help("keep one of the two");
                return;
            }
        }
    }

    /// A script that is not where the hook looks for it.
    fn lost(&self, pod: &Pod<'_>, hook: &Hook<'_>, findings: &mut Findings<'_>) {
        let Some(script) = self.script(pod, hook) else {
            return;
        };
        let Script {
            name, key, there, ..
        } = &script;
        let said = name.as_str().unwrap_or_default();
        if script.config_map(pod).is_none() {
            let elsewhere = there.first().map_or("", |it| it.namespace);
            findings
                .on(Rule::NoScript, name, format!("ConfigMap {said:?} is in namespace {elsewhere:?}, and a pod mounts those of its own alone"))
                .help(format!("put a copy into namespace {}", pod.namespace()));
        } else if !script.renamed && script.text(pod).is_none() {
            let message = format!(
                "ConfigMap {said:?} has no key {key:?}: the hook fails with `no such file`"
            );
            findings
                .at(Rule::NoScript, &script.spot, message)
                .help("write the name of one of its keys");
        }
    }

    /// The script file of a hook, when it lies in a ConfigMap of the same stream.
    fn script(&self, pod: &Pod<'d>, hook: &Hook<'d>) -> Option<Script<'_, 'd>> {
        let container = settings::container_of(hook, Some(pod))?;
        let arg = command::script_file(hook)?;
        let mounts = container.mounts().into_iter();
        let (volume, key) = mounts
            .filter_map(|(volume, path, _)| {
                let key = arg.text.strip_prefix(path.trim_end_matches('/'))?;
                Some((volume, key.strip_prefix('/')?))
            })
            .min_by_key(|(_, key)| key.len())?;
        let volume = pod.volumes().into_iter().find(|it| it.name == volume)?;
        let source = volume.node.get("configMap")?;
        let name = source.get("name")?;
        Some(Script {
            name,
            key: key.to_owned(),
            renamed: !items(source.get("items")).is_empty(),
            spot: arg.spot.clone(),
            there: self.config_maps.get(name.as_str()?)?,
        })
    }

    /// Scripts that are hooks by their names, and that no pod of the stream runs, each with the
    /// containers of its namespace.
    fn unused_scripts(&self) -> Vec<(usize, Hook<'d>, Container<'d>)> {
        let named = |name: &str| {
            ["hook", "backup", "velero"]
                .iter()
                .any(|it| name.contains(it))
        };
        let maps = self.config_maps.iter().filter(|(name, _)| named(name));
        let mut scripts = Vec::new();
        for map in maps.flat_map(|(_, maps)| maps) {
            let ours = text(
                map.object,
                &["metadata", "labels", "app.kubernetes.io/managed-by"],
            );
            if ours == Some("quiescent") {
                continue;
            }
            for (key, script) in entries(at(map.object, &["data"])) {
                let is_script = key.name.rsplit_once('.').is_some_and(|(_, it)| it == "sh");
                if !is_script || !is_whole(script) {
                    continue;
                }
                let phase = if key.name.contains("post") {
                    HookPhase::Post
                } else {
                    HookPhase::Pre
                };
                let pods = self.pods.iter().map(|(_, pod)| pod);
                let here = pods.filter(|pod| pod.namespace() == map.namespace);
                let mut seen = BTreeSet::new();
                let containers = here
                    .flat_map(Pod::containers)
                    .filter(|container| seen.insert(text(container.node, &["image"])));
                scripts.extend(
                    containers
                        .map(|container| (map.file, Hook::of_script(script, phase), container)),
                );
            }
        }
        scripts
    }

    /// The scripts that hooks of this pod run, each with the file in which it stands.
    fn scripts(&self, pod: &Pod<'d>) -> Vec<(usize, Hook<'d>, Container<'d>)> {
        let hooks = HookPhase::ALL.into_iter();
        hooks
            .filter_map(|phase| {
                let hook = Hook::of_annotations(pod, phase)?;
                let script = self.script(pod, &hook)?;
                let file = script.config_map(pod)?.file;
                let node = script.text(pod)?;
                is_whole(node).then_some(())?;
                let text = Hook::of_script(node, phase);
                Some((file, text, settings::container_of(&hook, Some(pod))?))
            })
            .collect()
    }
}

/// Whether nothing of a script stands in other files: what is missing here may stand there.
fn is_whole(script: &Node) -> bool {
    let parts = |line: &str| line.starts_with(". ") || line.starts_with("source ");
    script.as_str().is_some_and(|text| !text.lines().any(parts))
}

/// Where a hook looks for its script.
struct Script<'s, 'd> {
    name: &'d Node,
    key: String,
    /// Whether the volume gives keys other names.
    renamed: bool,
    spot: Spot<'d>,
    there: &'s [ConfigMap<'d>],
}

impl<'d> Script<'_, 'd> {
    fn config_map(&self, pod: &Pod<'_>) -> Option<ConfigMap<'d>> {
        let mut there = self.there.iter().copied();
        there.find(|it| it.namespace == pod.namespace())
    }

    fn text(&self, pod: &Pod<'_>) -> Option<&'d Node> {
        at(self.config_map(pod)?.object, &["data", &self.key])
    }
}

fn locked(pod: &Pod<'_>, hook: &Hook<'_>, backups: &[&Run<'_>], findings: &mut Findings<'_>) {
    let said = hook.said();
    let Some((row, _)) = command::freeze(&said)
        .filter(|(row, _)| hook.phase == HookPhase::Pre && row.outlives(&said))
    else {
        return;
    };
    let copies = backups.iter().find(|run| {
        run.flag("defaultVolumesToFsBackup")
            .is_some_and(|(on, _)| on)
    });
    if let Some(run) = copies.filter(|_| pod.listed_volumes().is_empty()) {
        findings
            .at(Rule::LockedUpload, &hook.find(row.stops), format!("{} uploads every volume file by file, and this is held until the last of the pod is done", run.title()))
            .help("dump into a volume of its own, or take the data by a snapshot");
    }
}

/// Annotations for the other way of choosing volumes than a backup's.
fn modes(pod: &Pod<'_>, backups: &[&Run<'_>], findings: &mut Findings<'_>) {
    for run in backups {
        let Some((all, _)) = run.flag("defaultVolumesToFsBackup") else {
            continue;
        };
        let (ignored, instead) = if all {
            (BACKUP_VOLUMES, BACKUP_VOLUMES_EXCLUDES)
        } else {
            (BACKUP_VOLUMES_EXCLUDES, BACKUP_VOLUMES)
        };
        if let Some(node) = pod.annotation(ignored) {
            findings
                .on(Rule::OtherMode, node, format!("{} sets defaultVolumesToFsBackup: {all}, and Velero does not read this annotation then", run.title()))
                .help(format!("set defaultVolumesToFsBackup: {}, or use {instead}", !all));
            return;
        }
    }
    let snapshots = backups
        .iter()
        .find(|run| run.flag("snapshotVolumes").is_some_and(|(on, _)| on));
    let Some(run) = snapshots else { return };
    let listed = pod.listed_volumes();
    let volumes = pod.volumes();
    let claim = volumes
        .iter()
        .find(|it| it.kind == CLAIM && listed.contains(&it.name));
    if let (Some(claim), Some(node)) = (claim, pod.annotation(BACKUP_VOLUMES)) {
        findings
            .at(Rule::CopyNotSnapshot, &Spot::of(node).find(claim.name), format!("{} takes snapshots, and this annotation makes it copy {:?} file by file instead", run.title(), claim.name))
            .help("remove it from the annotation");
    }
}
