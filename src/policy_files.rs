//! Policies from files: read with the scripts beside them, and read again while a server runs.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::{
    diagnostic::{Diagnostic, Severity, Source, any_error},
    files::{self, FileError},
    library,
    policy::{Input, Policy, PolicySet, ScriptFile, parse},
};

/// A file or folder that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("there is no policy file (*.yaml, *.yml) in {}", .0.display())]
    Nothing(PathBuf),
}

/// Where policies come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Files, or folders with files in them.
    pub paths: Vec<PathBuf>,
    /// Whether those that are compiled in take part.
    pub library: bool,
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = self.library.then(|| "the library".to_owned());
        let paths = self.paths.iter().map(|path| path.display().to_string());
        let all: Vec<String> = library.into_iter().chain(paths).collect();
        f.write_str(&all.join(", "))
    }
}

/// What came of reading all sources.
#[derive(Debug)]
pub struct Loaded {
    pub policies: PolicySet,
    pub diagnostics: Vec<Diagnostic>,
    /// Of the files that it came from, for a [`Watcher`].
    pub fingerprint: Fingerprint,
}

/// Tells what was read from what is read later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Sources {
    /// Reads everything anew.
    ///
    /// # Errors
    /// When a file cannot be read. What is wrong inside of files are diagnostics.
    pub fn load(&self) -> Result<Loaded, ReadError> {
        let read = read(&self.paths);
        let fingerprint = Fingerprint::of(&read);
        Ok(self.evaluate(&read?, fingerprint))
    }

    fn evaluate(&self, inputs: &[Input], fingerprint: Fingerprint) -> Loaded {
        let mut places = if self.library {
            library::defaults()
        } else {
            Vec::new()
        };
        let mut diagnostics = Vec::new();
        for input in inputs {
            let (found, problems) = parse(input);
            places.extend(found);
            diagnostics.extend(problems);
        }
        let (policies, contradictions) = PolicySet::new(places);
        diagnostics.extend(contradictions);
        Loaded {
            policies,
            diagnostics,
            fingerprint,
        }
    }
}

/// Reads policy files, in the order of the paths and of the names below them.
///
/// # Errors
/// When one cannot be read, or a folder has none.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Input>, ReadError> {
    let mut inputs = Vec::new();
    for path in paths {
        let files = files::below(path, &["yaml", "yml"], &beside_policies)?;
        if files.is_empty() {
            return Err(ReadError::Nothing(path.clone()));
        }
        for file in files {
            inputs.push(input(&file)?);
        }
    }
    Ok(inputs)
}

/// `cases` beside a policy are pods to try it on.
fn beside_policies(path: &Path) -> bool {
    path.ends_with("cases") || path.ends_with("scripts")
}

fn input(path: &Path) -> Result<Input, ReadError> {
    let text = files::text(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Ok(Input {
        scripts: scripts(folder)?,
        source: Arc::new(Source {
            name: path.display().to_string(),
            text,
        }),
    })
}

/// The files of the folder `scripts`; without one, the `*.sh` beside the policy, since the keys of
/// a ConfigMap know no folders.
fn scripts(folder: &Path) -> Result<BTreeMap<String, ScriptFile>, ReadError> {
    let own = folder.join("scripts");
    let (from, all) = if own.is_dir() {
        (own.as_path(), true)
    } else {
        (folder, false)
    };
    let failed = |path: &Path, source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let from = if from.as_os_str().is_empty() {
        Path::new(".")
    } else {
        from
    };
    // A link may lead to the scripts of a policy beside this one, and no further.
    let root = fs::canonicalize(from).map_err(|source| failed(from, source))?;
    let beside = root.ancestors().nth(2).filter(|_| all);
    let root = beside.unwrap_or(&root);
    let mut scripts = BTreeMap::new();
    for entry in fs::read_dir(from).map_err(|source| failed(from, source))? {
        let entry = entry.map_err(|source| failed(from, source))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let of_an_editor = name.starts_with('.') || name.ends_with('~');
        let wanted = !of_an_editor && (all || path.extension().is_some_and(|it| it == "sh"));
        if !wanted || path.is_dir() {
            continue;
        }
        let inside = fs::canonicalize(&path).is_ok_and(|real| real.starts_with(root));
        let file = if inside {
            let bytes = fs::read(&path).map_err(|source| failed(&path, source))?;
            String::from_utf8(bytes).map_or(ScriptFile::Binary, ScriptFile::Text)
        } else {
            ScriptFile::Outside
        };
        scripts.insert(name, file);
    }
    Ok(scripts)
}

/// The policies in force. Readers see one whole set or the next one, never a part of each.
#[derive(Clone, Debug)]
pub struct InForce {
    current: Arc<ArcSwap<PolicySet>>,
    parts: Arc<Mutex<Parts>>,
}

/// What the set in force is made of.
#[derive(Debug)]
struct Parts {
    files: Arc<PolicySet>,
    /// Those of the cluster, which come before files of their names.
    resources: Vec<Arc<Policy>>,
}

/// What a look at the sources led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    Unchanged,
    Applied,
    /// There is an error in them: the last good set stays.
    Refused,
}

impl InForce {
    #[must_use]
    pub fn new(policies: PolicySet) -> Self {
        let files = Arc::new(policies);
        Self {
            current: Arc::new(ArcSwap::new(Arc::clone(&files))),
            parts: Arc::new(Mutex::new(Parts {
                files,
                resources: Vec::new(),
            })),
        }
    }

    /// Puts these policies of the cluster in place of those before.
    pub fn replace_resources(&self, resources: Vec<Arc<Policy>>) {
        self.change(|parts| parts.resources = resources);
    }

    fn replace_files(&self, policies: PolicySet) {
        self.change(|parts| parts.files = Arc::new(policies));
    }

    fn change(&self, change: impl FnOnce(&mut Parts)) {
        // A panic elsewhere leaves both parts whole: every change is one assignment.
        let parts = self.parts.lock();
        let mut parts: MutexGuard<'_, Parts> = parts.unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        let Parts { files, resources } = &*parts;
        let current = if resources.is_empty() {
            Arc::clone(files)
        } else {
            Arc::new(files.with(resources))
        };
        self.current.store(current);
    }

    #[must_use]
    pub fn get(&self) -> Arc<PolicySet> {
        self.current.load_full()
    }
}

/// Looks at the files again and again, by content, which also sees a `..data` link that moved.
pub struct Watcher {
    sources: Sources,
    in_force: InForce,
    seen: Fingerprint,
}

impl Watcher {
    /// Watches for what differs from the files that `in_force` came from.
    #[must_use]
    pub fn new(sources: Sources, in_force: InForce, seen: Fingerprint) -> Self {
        Self {
            sources,
            in_force,
            seen,
        }
    }

    /// Looks once.
    pub fn look(&mut self) -> Reload {
        let found = read(&self.sources.paths);
        let fingerprint = Fingerprint::of(&found);
        if fingerprint == self.seen {
            return Reload::Unchanged;
        }
        // Files that are swapped while they are read are a part of each set: only what is the same
        // twice is looked at, and the rest at the next turn.
        if Fingerprint::of(&read(&self.sources.paths)) != fingerprint {
            return Reload::Unchanged;
        }
        self.seen = fingerprint;
        let inputs = match found {
            Ok(inputs) => inputs,
            Err(error) => {
                warn!(%error, cause = ?std::error::Error::source(&error), "policies could not be read, the last good ones stay in force");
                return Reload::Refused;
            }
        };
        let Loaded {
            policies,
            diagnostics,
            fingerprint: _,
        } = self.sources.evaluate(&inputs, fingerprint);
        if any_error(&diagnostics) {
            for found in diagnostics
                .iter()
                .filter(|found| found.severity == Severity::Error)
            {
                let (line, column) = found.position();
                warn!(
                    code = found.code,
                    place = %format_args!("{}:{line}:{column}", found.source.name),
                    "{}",
                    found.message
                );
            }
            warn!("the policies have errors, the last good ones stay in force");
            return Reload::Refused;
        }
        if policies.is_empty() {
            warn!("there is no policy any more, the last good ones stay in force");
            return Reload::Refused;
        }
        info!(policies = policies.len(), "policies changed");
        self.in_force.replace_files(policies);
        Reload::Applied
    }

    /// Looks until the task is dropped.
    pub async fn run(mut self, every: Duration, mut told: impl FnMut(Reload)) {
        let mut ticks = tokio::time::interval(every);
        loop {
            ticks.tick().await;
            let reload = self.look();
            told(reload);
        }
    }
}

impl Fingerprint {
    /// Trouble has one too, so that the same trouble is told once.
    fn of(read: &Result<Vec<Input>, ReadError>) -> Self {
        let mut hash = Sha256::new();
        match read {
            Ok(inputs) => {
                for Input { source, scripts } in inputs {
                    for part in [&source.name, &source.text] {
                        hash.update(format!("{}:", part.len()));
                        hash.update(part);
                    }
                    hash.update(format!("{scripts:?}"));
                }
            }
            Err(error) => hash.update(format!("{error:?}")),
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests;
