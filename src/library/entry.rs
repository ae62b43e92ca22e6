//! A policy of the library with all that is known about it.

use serde_json::{Value, json};

use super::{FOLDERS, Folder, Row, policies};
use crate::policy::Policy;

/// A folder, the policy in it, and its proof.
#[derive(Debug)]
pub struct Entry {
    pub folder: &'static Folder,
    pub policy: Policy,
    pub rows: Vec<Row>,
}

/// All of them, by name.
#[must_use]
pub fn entries() -> Vec<Entry> {
    let folders = FOLDERS.iter().zip(policies());
    let entries = folders.map(|(folder, place)| Entry {
        folder,
        policy: *place.policy,
        rows: folder.proof(),
    });
    entries.collect()
}

impl Entry {
    /// Whether the policy takes part without being named.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.policy.about.proven.is_some()
    }

    /// The methods that it is for; `any` when it does not ask.
    #[must_use]
    pub fn method(&self) -> String {
        let methods: Vec<&str> = self.policy.matching.pod_selector.methods().collect();
        match methods.as_slice() {
            [] => "any".to_owned(),
            methods => methods.join(", "),
        }
    }

    /// The longest stop of writes that the proof run saw while the hook ran, in milliseconds.
    #[must_use]
    pub fn longest_stop(&self) -> Option<u64> {
        let with_hook = self.rows.iter().filter(|row| row.hook);
        with_hook.map(|row| row.stop_ms).max()
    }

    /// What waits for the hook, and for how long where that was measured.
    #[must_use]
    pub fn blocks(&self) -> String {
        let blocks = &self.policy.about.blocks;
        match self.longest_stop() {
            Some(stop) => format!("{blocks}; {stop} ms"),
            None => blocks.clone(),
        }
    }

    /// The versions it was proven on; their server's name only where the engine has several.
    #[must_use]
    pub fn proven(&self) -> String {
        let about = &self.policy.about;
        let Some(proven) = &about.proven else {
            return "unproven".to_owned();
        };
        let alone = proven.strip_prefix(&about.engine).map(str::trim_start);
        alone.unwrap_or(proven).to_owned()
    }

    /// All that is known, for programs.
    #[must_use]
    pub fn value(&self) -> Value {
        let Policy {
            name,
            priority,
            about,
            matching,
            ..
        } = &self.policy;
        let images = matching.images.iter().map(ToString::to_string);
        json!({
            "name": name,
            "description": about.description,
            "engine": about.engine,
            "methods": matching.pod_selector.methods().collect::<Vec<_>>(),
            "default": self.is_default(),
            "proven": about.proven,
            "blocks": about.blocks,
            "longestStopMs": self.longest_stop(),
            "needs": about.needs.split(", ").filter(|tool| !tool.is_empty()).collect::<Vec<_>>(),
            "priority": priority,
            "images": images.collect::<Vec<_>>(),
            "proof": self.rows,
        })
    }
}
