//! Reads what `lint` is given, and judges each file by itself, on all cores.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::bail;

use crate::{
    cli::{input, progress},
    diagnostic::{Diagnostic, Source},
    files,
    lint::{self, Allowed, File, Rule},
    policy::{self, Input, file, parse},
    policy_files,
};

/// The files that are to be judged, in their order.
pub struct Given {
    files: Vec<PathBuf>,
    /// Those that somebody named, and did not just put into a folder.
    named: Vec<PathBuf>,
    /// What stands for `-`.
    pub standard_input: Option<String>,
}

/// One file with what was found in it.
pub struct Judged {
    pub source: Arc<Source>,
    /// Where it was read; `-` is standard input.
    pub path: PathBuf,
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

impl Given {
    /// All files below these paths.
    pub fn below(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        let mut standard_input = None;
        for path in paths {
            if is_standard_input(path) {
                standard_input = Some(input::standard_input()?);
                files.push(path.clone());
                continue;
            }
            let found = files::below(path, &["yaml", "yml", "json"], &is_beside_a_policy)?;
            if found.is_empty() {
                bail!(
                    "there is no policy and no manifest (*.yaml, *.yml, *.json) in {}",
                    path.display()
                );
            }
            files.extend(found);
        }
        Ok(Self {
            files,
            named: paths.to_vec(),
            standard_input,
        })
    }

    /// Whether a file lies in what was named, once every link is followed.
    pub fn has(&self, path: &Path) -> bool {
        let real = fs::canonicalize(path);
        let within = |named: &PathBuf| match (&real, fs::canonicalize(named)) {
            (Ok(real), Ok(named)) => real.starts_with(named),
            _ => false,
        };
        is_standard_input(path) || self.named.iter().any(within)
    }

    /// Judges each file, and says of each that cannot be read why.
    pub fn judge(&self) -> Vec<anyhow::Result<Judged>> {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(path) = self.files.get(index) else {
                    return done;
                };
                done.push((index, self.one(path)));
            }
        };
        let on_all_cores = || {
            thread::scope(|scope| {
                let workers: Vec<_> = (0..workers.min(self.files.len()))
                    .map(|_| scope.spawn(work))
                    .collect();
                let done = workers.into_iter();
                done.flat_map(|worker| worker.join().expect("judging does not panic"))
                    .collect::<Vec<_>>()
            })
        };
        let mut all = progress::shown("files", self.files.len(), &next, on_all_cores);
        all.sort_by_key(|(index, _)| *index);
        all.into_iter().map(|(_, judged)| judged).collect()
    }

    fn one(&self, path: &Path) -> anyhow::Result<Judged> {
        let named = self.named.iter().any(|it| it == path);
        let source = self.source(path)?;
        let known = |code: &str| {
            Rule::of_code(code).is_some()
                || policy::Rule::ALL.iter().any(|rule| rule.code() == code)
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
                let (policies, diagnostics) = parse(&policy(path, &source)?);
                found.extend(diagnostics);
                Stream::Policies(policies)
            }
        };
        Ok(Judged {
            source,
            path: path.to_owned(),
            found,
            allowed,
            stream,
        })
    }

    fn source(&self, path: &Path) -> anyhow::Result<Arc<Source>> {
        let (name, text) = match &self.standard_input {
            Some(text) if is_standard_input(path) => ("standard input".to_owned(), text.clone()),
            _ => (path.display().to_string(), files::text(path)?),
        };
        Ok(Arc::new(Source { name, text }))
    }
}

pub fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether these are the scripts of a policy, or the pods to try it on.
fn is_beside_a_policy(path: &Path) -> bool {
    (path.ends_with("cases") || path.ends_with("scripts"))
        && path.with_file_name("policy.yaml").is_file()
}

/// Scripts are read only where a policy may need them.
fn policy(path: &Path, source: &Arc<Source>) -> anyhow::Result<Input> {
    if !is_standard_input(path)
        && let Some(input) = policy_files::read(&[path.to_owned()])?.pop()
    {
        return Ok(input);
    }
    Ok(Input {
        source: Arc::clone(source),
        scripts: BTreeMap::new(),
    })
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
