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

/// Why a file stays as it is that nobody named, nor a folder that it lies in.
const LED_OUT: &str = "a link leads to this file, out of the folder that was named";

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
        for (path, found) in files {
            if given.has(path) {
                mended.file(path, &found, given);
            } else {
                let left = found.into_iter().map(|it| (it, LED_OUT.to_owned()));
                mended.left.extend(left);
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(mended)
}

/// Prints what `mend` would change.
pub fn diff(given: &Given, looked: &Looked) -> anyhow::Result<Ended> {
    let mut text = String::new();
    let files = by_file(looked).into_iter();
    for (_, found) in files.filter(|(path, _)| given.has(path)) {
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

    /// For formats that have no place for it.
    pub fn say_what_was_not_written(&self) {
        for why in &self.unwritten {
            anstream::eprint!("{}", fixes::unwritten(why));
        }
    }

    /// The same for programs, to stand beside the findings.
    pub fn values(&self) -> (Value, Value) {
        (fixes::done(&self.done), fixes::left(&self.left))
    }
}
