//! The scripts of a policy, which become the content of a ConfigMap.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// The name of the shell library that every policy's scripts can source.
pub const SHELL_LIBRARY: &str = "quiescent.sh";

/// A ConfigMap holds 1 MiB; names and labels need a little of it.
pub const LARGEST: usize = 1_000_000;

/// The line with which a script sources a file beside it.
const SOURCE: (&str, &str) = (". \"${0%/*}/", "\"");

/// The text of the shell library.
#[must_use]
pub const fn shell_library() -> &'static str {
    include_str!("../../policies/quiescent.sh")
}

/// What stands under a name in a policy's folder of scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptFile {
    Text(String),
    /// Bytes that are no UTF-8 text.
    Binary,
    /// A link that leads out of the folder.
    Outside,
}

/// Texts by file name, the shell library among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scripts(BTreeMap<String, String>);

impl Scripts {
    /// A policy's own files, and the shell library unless it brings one.
    #[must_use]
    pub fn new(mut files: BTreeMap<String, String>) -> Self {
        files
            .entry(SHELL_LIBRARY.to_owned())
            .or_insert_with(|| shell_library().to_owned());
        Self(files)
    }

    #[must_use]
    pub const fn files(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    #[must_use]
    pub fn size(&self) -> usize {
        let Self(files) = self;
        files
            .iter()
            .map(|(name, text)| name.len() + text.len())
            .sum()
    }

    /// The first 10 hexadecimal digits of the SHA-256 of names and texts.
    #[must_use]
    pub fn digest(&self) -> String {
        let Self(files) = self;
        let mut hash = Sha256::new();
        for (name, text) in files {
            hash.update(format!("{}:{name}:{}:", name.len(), text.len()));
            hash.update(text);
        }
        hexadecimal(&hash.finalize(), 10)
    }

    /// A script as one text, with what it sources from its own folder put in.
    #[must_use]
    pub fn inline(&self, name: &str) -> String {
        let Self(files) = self;
        let Some(text) = files.get(name) else {
            return String::new();
        };
        let mut whole = String::with_capacity(text.len());
        for line in text.lines() {
            let sourced = line
                .strip_prefix(SOURCE.0)
                .and_then(|rest| rest.strip_suffix(SOURCE.1))
                .and_then(|name| files.get(name));
            whole.push_str(sourced.map_or(line, |text| text.trim_end()));
            whole.push('\n');
        }
        whole
    }
}

/// The first digits of a hash.
pub fn hexadecimal(hash: &[u8], digits: usize) -> String {
    use std::fmt::Write as _;

    let mut text = String::with_capacity(digits + 1);
    for byte in &hash[..digits.div_ceil(2)] {
        let _ = write!(text, "{byte:02x}");
    }
    text.truncate(digits);
    text
}
