//! What is wrong with hooks in manifests, and with Velero's own objects.
//!
//! Each file is judged alone, and then all of a stream together. Pure: who reads the files, and on
//! how many cores, is the caller's matter.

mod allow;
mod annotations;
mod command;
pub mod engines;
mod fail;
mod findings;
mod fix;
mod hook;
pub mod manual;
mod objects;
mod pod;
mod rule;
mod settings;
mod shell;
mod spot;
mod together;
mod volumes;

use std::{collections::BTreeSet, sync::Arc};

pub use allow::Allowed;
pub use fail::hold_back;
pub use fix::{Fixed, fix};
pub use rule::{Judged, Rule};
pub use spot::Spot;
pub use together::together;

use self::{findings::Findings, objects::Run, pod::Pod};
use crate::{
    diagnostic::{Diagnostic, Source},
    yaml::{self, Document, Node, SyntaxError},
};

/// A file with its documents.
#[derive(Debug)]
pub struct File {
    pub source: Arc<Source>,
    documents: Vec<Document>,
}

impl File {
    /// # Errors
    /// Where the text stops being YAML.
    pub fn read(source: Arc<Source>) -> Result<Self, SyntaxError> {
        let documents = yaml::parse(&source.text)?;
        Ok(Self { source, documents })
    }

    fn roots(&self) -> impl Iterator<Item = &Node> {
        self.documents
            .iter()
            .filter_map(|document| document.root.as_ref())
    }

    /// Kind and API version of every document.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &str)> {
        let field = |root, name| pod::text(root, &[name]).unwrap_or_default();
        self.roots()
            .map(move |root| (field(root, "apiVersion"), field(root, "kind")))
    }
}

/// Judges one file by itself.
#[must_use]
pub fn judge(file: &File) -> Vec<Diagnostic> {
    let mut findings = Findings::new(&file.source);
    for document in &file.documents {
        annotations::duplicates(document, &mut findings);
        for object in document.root.iter().flat_map(pod::objects) {
            objects::alerts(object, &mut findings);
            annotations::misplaced(object, &mut findings);
            if let Some(run) = Run::of(object) {
                objects::judge(&run, &mut findings);
            } else if let Some(pod) = Pod::of(object) {
                annotations::judge(&pod, &mut findings);
                annotations::on_workload(&pod, &mut findings);
                volumes::judge(&pod, &mut findings);
            }
        }
    }
    findings.into_diagnostics()
}

/// The findings of one file in the order of its lines, each once.
#[must_use]
pub fn in_order(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    found.sort_by(|one, other| {
        let key = |it: &Diagnostic| (it.span.start, it.span.end, it.code);
        key(one).cmp(&key(other))
    });
    let mut seen = BTreeSet::new();
    found.retain(|found| seen.insert((found.span.start, found.code, found.message.clone())));
    found
}
