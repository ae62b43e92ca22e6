//! Shows before a plan is carried out that the pod stays one that the API server takes.
//!
//! A patch that does not apply, or that leaves an invalid pod, makes the API server refuse the pod
//! even where failures of webhooks are ignored.

use crate::{
    json::Text,
    plan::{Change, NewMount, NewVolume, Plan},
    pod::{PodView, Storage, same_path},
    velero::HookPhase,
};

/// How many bytes all annotations of an object may have together, keys and values (Kubernetes'
/// `TotalAnnotationSizeLimitB`).
pub const MOST_ANNOTATIONS: usize = 256 * 1024;

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
    #[error("the container {0:?} would be there twice")]
    ContainerTwice(String),
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
pub fn prove(plan: &Plan<'_>, pod: &PodView<'_>, storage: &Storage<'_>) -> Result<(), Flaw> {
    let there = &storage.volumes;
    let in_pod = |name: &str| there.iter().any(|volume| *volume.name == *name);
    let (mut added, mut removed) = (0, 0);
    for (position, change) in plan.changes.iter().enumerate() {
        let before = &plan.changes[..position];
        let new_volume = |name: &str| {
            let same =
                |it: &Change<'_>| matches!(it, Change::Volume(volume) if volume.name == name);
            before.iter().any(same)
        };
        match change {
            Change::Volume(NewVolume { name, .. }) => {
                if new_volume(name) || in_pod(name) {
                    return Err(Flaw::VolumeTwice((*name).to_owned()));
                }
            }
            Change::Scripts { volume, .. } => {
                let there = there.get(*volume);
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
                let Some(taken) = storage.taken.get(*container) else {
                    return Err(Flaw::NoContainer(*container));
                };
                if !new_volume(volume) && !in_pod(volume) {
                    return Err(Flaw::NoVolume((*volume).to_owned()));
                }
                let planned = before.iter().any(|it| match it {
                    Change::Mount(it) => it.container == *container && same_path(it.path, path),
                    _ => false,
                });
                if planned || taken.paths().any(|it| same_path(it, path)) {
                    return Err(Flaw::PathTwice((*path).to_owned()));
                }
            }
            Change::Container(container) => {
                let same = |it: &Change<'_>| matches!(it, Change::Container(it) if it.name == container.name);
                let inits = pod.init_containers().any(|it| *it.name == *container.name);
                let mut all = pod.containers().iter();
                if inits || all.any(|it| *it.name == *container.name) || before.iter().any(same) {
                    return Err(Flaw::ContainerTwice(container.name.clone()));
                }
            }
            // A copy of what another container of the pod has, at a place that is free.
            Change::Complete(_) => {}
            Change::NoAnnotation { key, was } => {
                if pod.annotation(key) != Some(was) {
                    return Err(Flaw::OtherAnnotation((*key).to_owned()));
                }
                removed += key.len() + was.len();
            }
            Change::Annotation {
                key,
                value,
                instead_of,
            } => {
                if pod.annotation(key) != *instead_of {
                    return Err(Flaw::OtherAnnotation((*key).to_owned()));
                }
                added += key.len() + value.len();
                let instead = instead_of.as_ref();
                removed += instead.map_or(0, |instead| key.len() + instead.len());
                let names_container = HookPhase::ALL
                    .iter()
                    .any(|phase| phase.keys().container == *key);
                let there = |name: &str| {
                    pod.containers()
                        .iter()
                        .any(|container| *container.name == *name)
                        || before
                            .iter()
                            .any(|it| matches!(it, Change::Container(new) if new.name == name))
                };
                if names_container && !there(value) {
                    return Err(Flaw::NoHookContainer(value.to_string()));
                }
            }
        }
    }
    // Decoding them all is only worth it where it can make the difference.
    let mut total = 0;
    for length in [Text::len_at_most, |text: &Text<'_>| text.len()] {
        let pairs = pod.annotation_texts();
        let there: usize = pairs.map(|(key, value)| length(key) + length(value)).sum();
        total = there + added - removed;
        if total <= MOST_ANNOTATIONS {
            return Ok(());
        }
    }
    Err(Flaw::ManyAnnotations(total))
}
