//! The scripts of a policy, which become the content of a ConfigMap.

use std::collections::BTreeMap;

use super::fingerprint;

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

/// A policy's own files, and the shell library unless it brings one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scripts {
    /// The library is not among them: ten thousand policies need it once.
    own: BTreeMap<String, String>,
    digest: String,
}

impl Scripts {
    #[must_use]
    pub fn new(own: BTreeMap<String, String>) -> Self {
        let digest = digest(with_library(&own));
        Self { own, digest }
    }

    /// Texts by file name.
    #[must_use]
    pub fn files(&self) -> BTreeMap<&str, &str> {
        with_library(&self.own)
    }

    #[must_use]
    pub fn size(&self) -> usize {
        let files = self.files();
        files
            .iter()
            .map(|(name, text)| name.len() + text.len())
            .sum()
    }

    /// The first 10 hexadecimal digits of the SHA-256 of names and texts.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// A script as one text, with what it sources from its own folder put in, each file once.
    #[must_use]
    pub fn inline(&self, name: &str) -> String {
        let mut whole = String::new();
        expand(&self.files(), name, &mut Vec::new(), &mut whole);
        whole
    }
}

/// The same of any files, in the order of their names.
pub fn digest<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> String {
    let texts = files.into_iter();
    let parts = texts.flat_map(|(name, text)| [name.as_bytes(), text.as_bytes()]);
    fingerprint(parts, 10)
}

fn with_library(own: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let mut files = BTreeMap::from([(SHELL_LIBRARY, shell_library())]);
    files.extend(own.iter().map(|(name, text)| (&**name, &**text)));
    files
}

fn expand<'s>(
    files: &BTreeMap<&'s str, &'s str>,
    name: &str,
    seen: &mut Vec<&'s str>,
    whole: &mut String,
) {
    let Some(text) = files.get(name) else { return };
    for line in text.lines() {
        let sourced = line
            .strip_prefix(SOURCE.0)
            .and_then(|rest| rest.strip_suffix(SOURCE.1))
            .and_then(|name| files.get_key_value(name));
        match sourced {
            Some((name, _)) if seen.contains(name) => {}
            Some((name, _)) => {
                seen.push(name);
                expand(files, name, seen, whole);
            }
            None => {
                whole.push_str(line);
                whole.push('\n');
            }
        }
    }
}
