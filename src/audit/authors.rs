//! What lint says of the hook that a pod's author wrote to run before the backup.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    diagnostic::Source,
    lint::{self, File, Rule},
    velero::{HookPhase, KNOWN_KEYS},
};

/// What makes a hook useless: it does not run, it fails, or what it does is not in the backup.
const USELESS: [Rule; 15] = [
    Rule::BrokenJson,
    Rule::BlankBeforeJson,
    Rule::NoProgram,
    Rule::PlainLine,
    Rule::NoCommand,
    Rule::NoContainer,
    Rule::EngineRefuses,
    Rule::EngineIgnores,
    Rule::ToStdout,
    Rule::NoScript,
    Rule::NoVolume,
    Rule::NeverTaken,
    Rule::NotMounted,
    Rule::NotInImage,
    Rule::SeveralClaims,
];

/// A finding of lint with which the hook is useless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub rule: Rule,
    pub message: String,
}

/// Why the author's pre hook is useless, the first thing only.
pub fn flaw(pod: &str) -> Option<Flaw> {
    let mut pod: Value = serde_json::from_str(pod).ok()?;
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    // What is wrong with other hooks does not keep this one from its work.
    if let Some(annotations) = pod["metadata"]["annotations"].as_object_mut() {
        annotations.retain(|key, _| !is_of_another_hook(key));
    }
    let source = Source {
        name: String::new(),
        text: pod.to_string(),
    };
    let file = File::read(Arc::new(source)).ok()?;
    let found = lint::in_order(lint::judge(&file));
    found.into_iter().find_map(|found| {
        let rule = Rule::of_code(found.code)?;
        USELESS.contains(&rule).then_some(Flaw {
            rule,
            message: found.message,
        })
    })
}

fn is_of_another_hook(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else {
        return false;
    };
    let ours = [HookPhase::Pre.prefix(), crate::velero::LEGACY_PREFIX];
    KNOWN_KEYS.iter().any(|(known, _)| *known == domain) && !ours.contains(&domain)
}
