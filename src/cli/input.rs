//! Manifests from files, folders and standard input, as kubectl takes them.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{
    files::{self, FileError},
    json,
    select::{Facts, Namespace, Settings},
    workload::Place,
    yaml,
};

#[derive(Debug, clap::Args)]
pub struct FileArgs {
    /// A manifest, a folder with manifests, or - for standard input; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    filenames: Vec<PathBuf>,
    /// The same, without -f
    #[arg(value_name = "FILE")]
    positional: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct InputArgs {
    #[command(flatten)]
    files: FileArgs,
    /// The namespace of objects that name none
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The labels of the namespace, which no file tells: key=value,…
    #[arg(long, value_name = "LABELS", value_delimiter = ',', value_parser = label)]
    namespace_labels: Option<Vec<(String, String)>>,
    #[command(flatten)]
    settings: super::SettingsArgs,
}

fn label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("{text:?} is not key=value"))
}

/// A file with its documents.
#[derive(Debug)]
pub struct Manifest {
    pub name: String,
    pub text: String,
    pub documents: Vec<Document>,
}

#[derive(Debug)]
pub struct Document {
    /// Its bytes in the text.
    pub range: std::ops::Range<usize>,
    /// `null` for one that has nothing but comments.
    pub object: Value,
}

impl InputArgs {
    /// Reads everything that was named.
    pub fn read(&self) -> anyhow::Result<Vec<Manifest>> {
        self.files.read()
    }

    pub fn surroundings(&self) -> Surroundings {
        let labels = self.namespace_labels.as_ref();
        Surroundings {
            namespace: self.namespace.clone(),
            labels: labels.map(|labels| labels.iter().cloned().collect()),
            annotations: BTreeMap::new(),
            settings: self.settings.settings(),
        }
    }
}

impl FileArgs {
    /// Whether anything was named.
    pub const fn is_empty(&self) -> bool {
        self.filenames.is_empty() && self.positional.is_empty()
    }

    /// Reads everything that was named.
    pub fn read(&self) -> anyhow::Result<Vec<Manifest>> {
        let mut manifests = Vec::new();
        let named = self.filenames.iter().chain(&self.positional);
        for path in named {
            if path == Path::new("-") {
                manifests.push(manifest("standard input".to_owned(), standard_input()?)?);
                continue;
            }
            for file in files(path)? {
                let text = files::text(&file)?;
                manifests.push(manifest(file.display().to_string(), text)?);
            }
        }
        for manifest in &manifests {
            if manifest.documents.iter().all(|it| it.object.is_null()) {
                anstream::eprintln!("{}: no object in there", manifest.name);
            }
        }
        if manifests.is_empty() {
            bail!("nothing to read: name a file, a folder, or - for standard input");
        }
        Ok(manifests)
    }
}

/// What is known beside a manifest.
#[derive(Debug)]
pub struct Surroundings {
    pub namespace: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: BTreeMap<String, String>,
    settings: Settings,
}

impl Surroundings {
    pub fn facts<'a>(&'a self, place: &'a Place) -> Facts<'a> {
        let namespace = place.namespace.as_ref().or(self.namespace.as_ref());
        let owner = place.owner.as_ref();
        Facts {
            namespace: namespace.map_or("default", String::as_str),
            about_namespace: match &self.labels {
                Some(labels) => Namespace::Known {
                    labels,
                    annotations: &self.annotations,
                },
                None => Namespace::Unknown,
            },
            owner: owner.map(|(kind, name)| (kind.as_str(), name.as_str())),
            settings: &self.settings,
        }
    }
}

/// `shop/pg`, as its owner calls it.
pub fn title(place: &Place, facts: Facts<'_>) -> String {
    format!("{} {}/{}", place.kind, facts.namespace, place.name)
}

/// All of standard input.
pub fn standard_input() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().read_to_end(&mut bytes);
    read.context("failed to read standard input")?;
    String::from_utf8(bytes).map_err(|error| {
        let byte = error.utf8_error().valid_up_to() + 1;
        anyhow::anyhow!("standard input is not UTF-8 text: byte {byte} is none")
    })
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let failed = FileError::read(path);
    if !fs::metadata(path).map_err(&failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(&failed)? {
        let path = entry.map_err(&failed)?.path();
        let extension = path.extension().and_then(|it| it.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        bail!(
            "there is no manifest (*.yaml, *.yml, *.json) in {}",
            path.display()
        );
    }
    Ok(found)
}

/// What keeps a pod from being read. Where a label or an annotation is no text, it is named: that is
/// what happens most.
pub fn unreadable(pod: &Value, error: &json::Error) -> String {
    let pairs = |field: &'static str| {
        let pairs = pod.pointer(&format!("/metadata/{field}"));
        let pairs = pairs.and_then(Value::as_object).into_iter().flatten();
        pairs.map(move |(key, value)| (field, key, value))
    };
    let mut pairs = pairs("labels").chain(pairs("annotations"));
    let odd = pairs.find(|(.., value)| !value.is_string() && !value.is_null());
    let why = odd.map_or_else(
        // Its place is one in a text that nobody has seen.
        || error.what(),
        |(field, key, value)| format!("{key} in metadata.{field} is {}", no_text(value)),
    );
    format!("this is not a pod that can be read: {why}")
}

/// What a value is instead of a text. Never the value itself, which may be a secret.
const fn no_text(value: &Value) -> &'static str {
    match value {
        Value::Number(_) => "a number: put the value into quotes",
        Value::Bool(_) => "a boolean: put the value into quotes",
        Value::Array(_) => "a list, and takes nothing but a text",
        Value::Object(_) => "a mapping, and takes nothing but a text",
        Value::Null | Value::String(_) => "a text",
    }
}

fn manifest(name: String, text: String) -> anyhow::Result<Manifest> {
    if let Some(documents) = json(&text) {
        return Ok(Manifest {
            name,
            text,
            documents,
        });
    }
    let documents = yaml::parse(&text).map_err(|error| {
        let before = &text[..error.span.start.min(text.len())];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        anyhow::anyhow!("failed to read {name}:{line}:{column}: {error}")
    })?;
    let documents = documents
        .into_iter()
        .map(|document| Document {
            range: document.range,
            object: document
                .root
                .as_ref()
                .map_or(Value::Null, yaml::Node::to_json),
        })
        .collect();
    Ok(Manifest {
        name,
        text,
        documents,
    })
}

/// JSON objects, one after the other, where the text is that. YAML would do for most of them, but
/// not for every character that JSON takes.
fn json(text: &str) -> Option<Vec<Document>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut documents = Vec::new();
    let mut start = 0;
    let mut objects = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    while let Some(object) = objects.next() {
        let end = objects.byte_offset();
        documents.push(Document {
            range: start..end,
            object: object.ok()?,
        });
        start = end;
    }
    if let Some(last) = documents.last_mut() {
        last.range.end = text.len();
    }
    Some(documents)
}
