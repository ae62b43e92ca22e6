//! Finds databases whose files lie on more than one claim, which no snapshot of Velero takes at one moment.
//!
//! Goes by what the pod says: where its claims are mounted, and which directories its variables and options
//! name. Pure.

use std::fmt::Write as _;

use super::{Clues, Engine, server};
use crate::{
    json::{self, List, Text, There, view},
    pod::{Container, PodView, VolumeMount},
    policy::glob,
};

/// How an engine is told to keep in several directories what belongs together. What begins with `-` is an
/// option of its command, everything else a variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts {
    /// What names the directory of the data, which else lies at its usual place.
    pub data: &'static [&'static str],
    /// What names further ones: of its log, of tablespaces.
    pub others: &'static [&'static str],
    /// Where further ones are mounted, `*` for any characters.
    pub paths: &'static [&'static str],
}

/// A database with its files on several claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    pub container: String,
    pub engine: &'static Engine,
    /// Those claims, as they are mounted; always two or more.
    pub claims: Vec<Mounted>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    pub volume: String,
    pub path: String,
}

view! {
    struct Pod<'a> {
        spec: Body<'a> = "spec",
    }

    struct Body<'a> {
        containers: Option<Vec<Clues<'a>>> = "containers",
        init_containers: Option<Vec<Clues<'a>>> = "initContainers",
        volumes: Option<Vec<Volume<'a>>> = "volumes",
    }

    struct Volume<'a> {
        name: Text<'a> = "name",
        claim: Option<Claim<'a>> = "persistentVolumeClaim",
        ephemeral: Option<There> = "ephemeral",
    }

    struct Claim<'a> {
        name: Text<'a> = "claimName",
    }
}

impl Spread {
    /// The volumes, as a sentence has them: `data and wal`.
    #[must_use]
    pub fn names(&self) -> String {
        let mut names = String::new();
        for (at, claim) in self.claims.iter().enumerate() {
            let before = match at {
                0 => "",
                _ if at + 1 == self.claims.len() => " and ",
                _ => ", ",
            };
            let _ = write!(names, "{before}{}", claim.volume);
        }
        names
    }
}

/// The databases of a pod, given as its JSON, whose files lie on several claims.
///
/// # Errors
/// When the text is no pod.
pub fn spread(pod: &str) -> Result<Vec<Spread>, json::Error> {
    let view = PodView::parse(pod)?;
    let seen: Pod<'_> = json::read(pod)?;
    let body = &seen.spec;
    let volumes = body.volumes.as_deref().unwrap_or_default();
    let init: Vec<Container<'_>> = view.init_containers().collect();
    let ordinary = view
        .containers()
        .iter()
        .zip(body.containers.iter().flatten());
    let sidecars = init.iter().zip(body.init_containers.iter().flatten());
    let sidecars = sidecars.filter(|(container, _)| container.is_native_sidecar());
    let found = ordinary.chain(sidecars).filter_map(|(container, clues)| {
        let engine = server(container, clues)?.engine;
        let claims = claims(engine, container, clues, volumes);
        (claims.len() > 1).then(|| Spread {
            container: container.name.to_string(),
            engine,
            claims,
        })
    });
    Ok(found.collect())
}

/// The claims with files of the engine, each once.
fn claims(
    engine: &Engine,
    container: &Container<'_>,
    clues: &Clues<'_>,
    volumes: &[Volume<'_>],
) -> Vec<Mounted> {
    let mounts: Vec<_> = (container.volume_mounts.iter().flat_map(List::iter)).collect();
    let claim_of = |mount: &VolumeMount<'_>| {
        let volume = volumes.iter().find(|it| *it.name == *mount.name)?;
        let name = volume.claim.as_ref().map(|claim| claim.name.to_string());
        name.or_else(|| volume.ephemeral.as_ref().map(|_| mount.name.to_string()))
    };
    let path_of = |mount: &VolumeMount<'_>| trimmed(&mount.mount_path).to_owned();
    let said = Said::of(container, clues);
    let mount_of = |path: &String| {
        let around = mounts.iter().filter(|it| holds(&it.mount_path, path));
        around.max_by_key(|it| it.mount_path.len())
    };
    let mut parts: Vec<_> = said
        .paths(engine.parts.data)
        .iter()
        .filter_map(mount_of)
        .collect();
    let data_is_named = !parts.is_empty();
    parts.extend(said.paths(engine.parts.others).iter().filter_map(mount_of));
    parts.extend(mounts.iter().filter(|mount| {
        let mut patterns = engine.parts.paths.iter();
        patterns.any(|pattern| glob::matches(pattern, trimmed(&mount.mount_path)))
    }));
    // Of what is mounted where the data usually lie only the first counts: dumps and archives may lie
    // beside them.
    let home = mounts.iter().find(|mount| {
        let is_part = parts.iter().any(|it| *it.mount_path == *mount.mount_path);
        engine.keeps_data_at(&mount.mount_path) && !is_part && claim_of(mount).is_some()
    });
    let home = home.filter(|_| !data_is_named);
    let mut claims: Vec<(String, Mounted)> = Vec::new();
    for mount in home.into_iter().chain(parts) {
        let Some(claim) = claim_of(mount).filter(|_| mount.read_only != Some(true)) else {
            continue;
        };
        if !claims.iter().any(|(there, _)| *there == claim) {
            let mounted = Mounted {
                volume: mount.name.to_string(),
                path: path_of(mount),
            };
            claims.push((claim, mounted));
        }
    }
    claims.into_iter().map(|(_, mounted)| mounted).collect()
}

/// What a container's command and variables say of directories.
struct Said {
    /// Each option with what stands behind it, in small letters and with `-` for `_`.
    options: Vec<(String, String)>,
    variables: Vec<(String, String)>,
}

impl Said {
    fn of(container: &Container<'_>, clues: &Clues<'_>) -> Self {
        let words = container.words();
        let words: Vec<&str> = words.iter().flat_map(|it| it.split_whitespace()).collect();
        let options = words.iter().enumerate().filter_map(|(at, word)| {
            let word = word.strip_prefix('-')?;
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, value),
                None => (word, *words.get(at + 1)?),
            };
            Some((option(name), value.to_owned()))
        });
        let variables = clues.env.iter().flat_map(List::iter);
        let variables = variables.filter_map(|it| {
            let value = it.value.as_ref()?;
            Some((it.name.to_string(), value.to_string()))
        });
        Self {
            options: options.collect(),
            variables: variables.collect(),
        }
    }

    /// Every directory that one of these names.
    fn paths(&self, names: &[&str]) -> Vec<String> {
        let values = names.iter().flat_map(|wanted| {
            let (wanted, listed) = match wanted.strip_prefix('-') {
                Some(name) => (option(name), &self.options),
                None => ((*wanted).to_owned(), &self.variables),
            };
            let found = listed.iter().filter(move |(name, _)| *name == wanted);
            found.map(|(_, value)| value)
        });
        let pieces = values.flat_map(|value| value.split([',', '=', ':', ';', ' ', '"', '\'']));
        let paths = pieces.filter(|piece| piece.starts_with('/'));
        paths.map(|path| trimmed(path).to_owned()).collect()
    }
}

/// One or two dashes, `-` or `_`: to servers it is the same.
fn option(name: &str) -> String {
    name.trim_start_matches('-')
        .replace('_', "-")
        .to_ascii_lowercase()
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// Whether a path is that of a mount, or below it.
fn holds(mount: &str, path: &str) -> bool {
    let rest = path.strip_prefix(trimmed(mount));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
