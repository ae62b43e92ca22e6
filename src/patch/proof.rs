//! Shows before a plan is carried out that the pod stays one that the API server takes.
//!
//! A patch that does not apply, or that leaves an invalid pod, makes the API server refuse the pod
//! even where failures of webhooks are ignored.

use std::collections::HashSet;

use crate::{
    plan::{Change, NewMount, NewVolume, Plan},
    pod::{PodView, clean_path},
    velero::HookPhase,
};

/// How many bytes all annotations of an object may have together, keys and values (Kubernetes'
/// `TotalAnnotationSizeLimitB`).
const MOST_ANNOTATIONS: usize = 256 * 1024;

/// What is wrong with a plan. All but the size of annotations are bugs of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("the volume {0:?} would be there twice")]
    VolumeTwice(String),
    #[error("something would be mounted twice at {0:?}")]
    PathTwice(String),
    #[error("the volume {0:?} would be mounted but is not there")]
    NoVolume(String),
    #[error("there is no container at position {0}")]
    NoContainer(usize),
    #[error("the hook is for a container {0:?} that is not there")]
    NoHookContainer(String),
    #[error("the annotation {0:?} is not what the plan takes it for")]
    OtherAnnotation(String),
    #[error("the volume at position {0} has no scripts")]
    NoScripts(usize),
    #[error("the annotations would have {0} bytes, and {MOST_ANNOTATIONS} are allowed")]
    ManyAnnotations(usize),
}

/// Holds a plan against its pod.
///
/// # Errors
/// The first thing that would make the patch fail or the pod invalid.
pub fn prove(plan: &Plan<'_>, pod: &PodView<'_>) -> Result<(), Flaw> {
    let mut volumes: HashSet<&str> = pod.volumes().iter().map(|volume| &*volume.name).collect();
    let mut paths: HashSet<(usize, String)> = HashSet::new();
    let mut annotations: usize = pod
        .annotations()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    for (position, container) in pod.containers().iter().enumerate() {
        paths.extend(container.paths().map(|path| (position, clean_path(path))));
    }
    for change in &plan.changes {
        match change {
            Change::Volume(NewVolume { name, .. }) => {
                if !volumes.insert(name) {
                    return Err(Flaw::VolumeTwice(name.clone()));
                }
            }
            Change::Scripts { volume, .. } => {
                let there = pod.volumes().get(*volume);
                if there.is_none_or(|volume| volume.config_map.is_none()) {
                    return Err(Flaw::NoScripts(*volume));
                }
            }
            Change::Mount(NewMount {
                container,
                volume,
                path,
                ..
            }) => {
                if *container >= pod.containers().len() {
                    return Err(Flaw::NoContainer(*container));
                }
                if !volumes.contains(volume.as_str()) {
                    return Err(Flaw::NoVolume(volume.clone()));
                }
                if !paths.insert((*container, clean_path(path))) {
                    return Err(Flaw::PathTwice(path.clone()));
                }
            }
            Change::NoAnnotation { key, was } => {
                if pod.annotation(key) != Some(was) {
                    return Err(Flaw::OtherAnnotation(key.clone()));
                }
                annotations -= key.len() + was.len();
            }
            Change::Annotation {
                key,
                value,
                instead_of,
            } => {
                if pod.annotation(key) != instead_of.as_deref() {
                    return Err(Flaw::OtherAnnotation(key.clone()));
                }
                annotations += key.len() + value.len();
                annotations -= instead_of
                    .as_ref()
                    .map_or(0, |before| key.len() + before.len());
                let names_container = HookPhase::ALL
                    .iter()
                    .any(|phase| phase.keys().container == key);
                let there = |name: &str| {
                    pod.containers()
                        .iter()
                        .any(|container| *container.name == *name)
                };
                if names_container && !there(value) {
                    return Err(Flaw::NoHookContainer(value.clone()));
                }
            }
        }
    }
    if annotations > MOST_ANNOTATIONS {
        return Err(Flaw::ManyAnnotations(annotations));
    }
    Ok(())
}
