//! Reads what `lint` is given, and judges each file by itself, on all cores.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context as _, bail};

use crate::{
    diagnostic::{Diagnostic, Source},
    lint::{self, Allowed, File, Rule},
    policy::{self, Input, file, parse},
    policy_files,
};

/// One file with what was found in it.
pub struct Judged {
    pub name: String,
    pub found: Vec<Diagnostic>,
    pub allowed: Allowed,
    pub stream: Stream,
}

/// What a file has beside findings.
pub enum Stream {
    Policies(Vec<policy::Place>),
    Manifest(File),
    /// No object in it, and why; only for files that nobody named.
    Nothing(&'static str),
}

/// Judges all files below these paths, in their order.
pub fn judge(paths: &[PathBuf]) -> anyhow::Result<Vec<Judged>> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        below(path, &mut files)?;
        if files.len() == before {
            bail!(
                "there is no policy and no manifest (*.yaml, *.yml, *.json) in {}",
                path.display()
            );
        }
    }
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = files.get(index) else {
                return done;
            };
            done.push((index, one(path, paths.contains(path))));
        }
    };
    let mut all: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers.min(files.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let done = workers.into_iter();
        done.flat_map(|worker| worker.join().expect("judging does not panic"))
            .collect()
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, judged)| judged).collect()
}

/// Files in the order of their names. Hidden ones are left out, and what lies beside a policy.
fn below(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let failed = || format!("failed to read {}", path.display());
    if path == Path::new("-") || !fs::metadata(path).with_context(failed)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.with_context(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let of_policy = path.join("policy.yaml").is_file();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let below = entry.path();
        let ending = below.extension().and_then(|it| it.to_str());
        let skipped = name.starts_with('.') || of_policy && (name == "cases" || name == "scripts");
        let wanted = matches!(ending, Some("yaml" | "yml" | "json"));
        if !skipped && (wanted || below.is_dir()) {
            self::below(&below, files)?;
        }
    }
    Ok(())
}

fn one(path: &Path, named: bool) -> anyhow::Result<Judged> {
    let source = source(path)?;
    let name = source.name.clone();
    let known = |code: &str| {
        Rule::of_code(code).is_some() || policy::Rule::ALL.iter().any(|rule| rule.code() == code)
    };
    let (allowed, mut found) = Allowed::read(&source, known);
    let stream = match File::read(Arc::clone(&source)) {
        Ok(file) if is_manifest(&file) => {
            found.extend(lint::judge(&file));
            Stream::Manifest(file)
        }
        Ok(file)
            if !named
                && file
                    .kinds()
                    .all(|(version, kind)| version.is_empty() && kind.is_empty()) =>
        {
            Stream::Nothing("no object of Kubernetes in there")
        }
        Err(_) if !named && source.text.contains("{{") => {
            Stream::Nothing("a template and no manifest (helm template … | quiescent lint -)")
        }
        // What is no YAML is said as of a policy.
        _ => {
            let (policies, diagnostics) = parse(&input(path, source)?);
            found.extend(diagnostics);
            Stream::Policies(policies)
        }
    };
    Ok(Judged {
        name,
        found,
        allowed,
        stream,
    })
}

/// Scripts are read only where a policy may need them.
fn input(path: &Path, source: Arc<Source>) -> anyhow::Result<Input> {
    if path != Path::new("-")
        && let Some(input) = policy_files::read(&[path.to_owned()])?.pop()
    {
        return Ok(input);
    }
    Ok(Input {
        source,
        scripts: BTreeMap::new(),
    })
}

fn source(path: &Path) -> anyhow::Result<Arc<Source>> {
    let (name, text) = if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.context("failed to read standard input")?;
        ("standard input".to_owned(), text)
    } else {
        let text = fs::read_to_string(path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        (path.display().to_string(), text)
    };
    Ok(Arc::new(Source { name, text }))
}

/// Whether a readable file has objects, and all of them are of another API than ours.
fn is_manifest(file: &File) -> bool {
    let group = file::API_VERSION.split('/').next().unwrap_or_default();
    let mut kinds = file.kinds().peekable();
    kinds.peek().is_some()
        && kinds.all(|(version, kind)| {
            !version.is_empty() && !version.starts_with(group) && kind != file::KIND
        })
}
