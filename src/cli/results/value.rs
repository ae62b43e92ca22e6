//! The results for programs. The keys stay what they are.

use serde_json::{Value, json};

use super::Results;
use crate::{
    results::{HookRun, Volume, Way},
    trial::Said,
};

pub fn value(results: &Results) -> Value {
    let Results {
        kind,
        name,
        phase,
        attempted,
        failed,
        hooks,
        flags,
        volumes,
        notes,
    } = results;
    let flags = flags.iter().map(|flag| {
        json!({"namespace": flag.namespace, "pod": flag.pod, "phase": "post", "says": flag.says})
    });
    json!({
        "kind": kind.word(),
        "name": name,
        "phase": phase,
        "hooksAttempted": attempted,
        "hooksFailed": failed,
        "hooks": hooks.iter().map(hook).collect::<Vec<_>>(),
        "neverRan": flags.collect::<Vec<_>>(),
        "volumes": volumes.iter().map(volume).collect::<Vec<_>>(),
        "notes": notes,
    })
}

fn hook(run: &HookRun) -> Value {
    let results = run.results();
    json!({
        "namespace": run.namespace,
        "pod": run.pod,
        "phase": run.phase,
        "source": run.source,
        "container": run.container,
        "command": run.command,
        "onError": run.on_error,
        "began": run.began(),
        "exit": run.exit(),
        "error": run.error,
        "seconds": run.seconds,
        "results": results.iter().map(Said::to_json).collect::<Vec<_>>(),
        "stdout": run.stdout,
        "stderr": run.stderr,
    })
}

fn volume(volume: &Volume) -> Value {
    json!({
        "namespace": volume.namespace,
        "pod": volume.pod,
        "name": volume.name,
        "way": volume.way.as_str(),
        "because": match &volume.way {
            Way::Skipped(why) => Some(why),
            Way::FileCopy | Way::Snapshot | Way::MovedSnapshot | Way::Unknown => None,
        },
        "bytes": volume.bytes,
        "phase": volume.phase,
    })
}
