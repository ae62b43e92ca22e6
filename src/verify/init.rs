//! What Velero leaves out of the init container that it puts into a restored pod. In the original's
//! namespace the webhook adds it; a copy is out of its reach, so that Velero has to add it itself.

use serde_json::{Value, json};

use super::Subject;
use crate::{
    patch::patch,
    plan::{Plan, complete},
    pod::PodView,
    velero::{
        INIT_COMMAND, INIT_CONTAINER, INIT_IMAGE, INIT_NAME, RESTORE_NAME_LABEL, RESTORE_WAIT,
        copy::Completed, decode_command,
    },
};

/// What makes the init containers of these pods whole, as the webhook would.
#[must_use]
pub fn completed<'s>(subjects: impl IntoIterator<Item = &'s Subject>) -> Vec<Completed> {
    subjects.into_iter().flat_map(of_one).collect()
}

/// One for each place that Velero may put the container at: where it fills volumes of the pod, another
/// one waits for that before.
fn of_one(subject: &Subject) -> Vec<Completed> {
    let Ok(pod) = serde_json::from_str::<Value>(&subject.object) else {
        return Vec::new();
    };
    let said = |key: &str| pod["metadata"]["annotations"][key].as_str();
    let Some(command) = said(INIT_COMMAND).and_then(decode_command) else {
        return Vec::new();
    };
    let made = json!({
        "name": said(INIT_NAME).unwrap_or(INIT_CONTAINER),
        "image": said(INIT_IMAGE),
        "command": command,
    });
    let wait = json!({"name": RESTORE_WAIT});
    [vec![made.clone()], vec![wait, made]]
        .into_iter()
        .map(|containers| {
            let mut restored = pod.clone();
            let position = containers.len() - 1;
            restored["metadata"]["labels"][RESTORE_NAME_LABEL] = "".into();
            restored["spec"]["initContainers"] = containers.into();
            Completed {
                namespace: subject.namespace.clone(),
                pod: subject.name.clone(),
                position,
                command: command.clone(),
                patch: missing(&restored.to_string()),
            }
        })
        .filter(|it| !it.patch.is_empty())
        .collect()
}

/// What the webhook would add to a restored pod.
fn missing(restored: &str) -> Vec<Value> {
    let Ok(pod) = PodView::parse(restored) else {
        return Vec::new();
    };
    let plan = Plan {
        changes: complete(&pod),
        ..Plan::default()
    };
    let patch = patch(&plan, &pod).to_json("");
    patch.as_array().cloned().unwrap_or_default()
}
