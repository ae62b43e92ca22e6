//! `lint --fix`: what can be mended without a question, mended in the files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::bail;
use serde_json::Value;

use super::{
    Looked,
    read::{Given, is_standard_input},
};
use crate::{
    cli::{Ended, output, progress},
    diagnostic::Diagnostic,
    files,
    lint::{self, Fixed},
    report::fixes,
};

/// What became of the fixes.
#[derive(Default)]
pub struct Mended {
    pub changed: bool,
    done: Vec<Diagnostic>,
    left: Vec<(Diagnostic, String)>,
    /// Files that could not be written, and why.
    unwritten: Vec<String>,
}

/// Mends the files that were looked at. What came by standard input is mended in `given`.
pub fn mend(given: &mut Given, looked: &Looked) -> anyhow::Result<Mended> {
    if given.standard_input.is_some() && looked.files() > 1 {
        bail!(
            "--fix prints what standard input becomes: give it alone, and the files in another run"
        );
    }
    let mut mended = Mended::default();
    let files = by_file(looked);
    let done = AtomicUsize::new(0);
    progress::shown("files mended", files.len(), &done, || {
        for (path, found) in &files {
            mended.file(path, found, given);
            done.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(mended)
}

/// Prints what `mend` would change.
pub fn diff(looked: &Looked) -> anyhow::Result<Ended> {
    let mut text = String::new();
    for (_, found) in by_file(looked) {
        let Some(first) = found.first() else { continue };
        let was = &first.source;
        let fixed = lint::fix(&was.text, &found);
        text.push_str(&fixes::diff(&was.name, &was.text, &fixed.text));
    }
    output::print(&text)?;
    if text.is_empty() {
        return Ok(looked.ended);
    }
    Ok(looked.ended.max(Ended::Findings))
}

/// The findings with a fix of each file.
fn by_file(looked: &Looked) -> BTreeMap<&Path, Vec<Diagnostic>> {
    let mut files: BTreeMap<&Path, Vec<Diagnostic>> = BTreeMap::new();
    for found in looked.found.iter().filter(|found| found.fix.is_some()) {
        if let Some(path) = looked.paths.get(&found.source.name) {
            files.entry(path).or_default().push(found.clone());
        }
    }
    // One file may have been named in several ways.
    let mut seen = BTreeSet::new();
    files.retain(|path, _| fs::canonicalize(path).map_or(true, |real| seen.insert(real)));
    files
}

impl Mended {
    fn file(&mut self, path: &Path, found: &[Diagnostic], given: &mut Given) {
        let Some(first) = found.first() else { return };
        let was = &first.source.text;
        let Fixed { text, done, left } = lint::fix(was, found);
        let left = left.into_iter();
        self.left.extend(left.map(|(it, why)| (it.clone(), why)));
        if text == *was {
            return;
        }
        if is_standard_input(path) {
            given.standard_input = Some(text);
        } else if let Err(error) = files::replace(path, was, &text) {
            let error = anyhow::Error::from(error);
            self.unwritten.push(format!("{error:#}"));
            return;
        }
        self.changed = true;
        self.done.extend(done.into_iter().cloned());
    }

    pub fn ended(&self) -> Ended {
        if self.unwritten.is_empty() {
            Ended::Fine
        } else {
            Ended::Undone
        }
    }

    /// What was mended, and what was not, for people.
    pub fn text(&self) -> String {
        let Self {
            changed: _,
            done,
            left,
            unwritten,
        } = self;
        let unwritten = unwritten.iter().map(|why| fixes::unwritten(why));
        fixes::text(done, left) + &unwritten.collect::<String>()
    }

    /// The same for programs, to stand beside the findings.
    pub fn values(&self) -> (Value, Value) {
        (fixes::done(&self.done), fixes::left(&self.left))
    }
}
