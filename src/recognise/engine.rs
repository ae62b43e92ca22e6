//! Tells which database a container runs, by everything that its pod says of it.
//!
//! An image or a program is enough alone. What else servers have, their clients may have as well: a data
//! directory, a variable, a port. Of these it takes two kinds, and not the two weakest.

use std::fmt;

use super::{container, engines::ENGINES, spread::Parts};
use crate::{
    json::{List, Text, view},
    pod::Container,
    policy::{Image, Role, coordinator::is_coordinators, glob},
};

/// A database, or something else that keeps data of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Engine {
    /// As its makers call it.
    pub name: &'static str,
    /// The last components of images, `*` for any characters. A build by somebody else has the name too.
    pub images: &'static [&'static str],
    /// What a container's command runs.
    pub programs: &'static [&'static str],
    /// Where the data lie. Volumes are mounted there or below.
    pub directories: &'static [&'static str],
    /// Where the data lie in the official image, at a path that anybody may use: no evidence.
    pub usual: &'static [&'static str],
    /// Variables that servers have and clients do not.
    pub variables: &'static [&'static str],
    /// Variables that both have.
    pub shared_variables: &'static [&'static str],
    pub ports: &'static [u16],
    pub port_names: &'static [&'static str],
    /// Words of a command with which the program of the server is a client: `vault agent`.
    pub clients: &'static [&'static str],
    /// What else it keeps its files in.
    pub parts: Parts,
}

view! {
    /// What else a container says of what runs in it.
    pub struct Clues<'a> {
        ports: Option<List<'a, Port<'a>>> = "ports",
        env: Option<List<'a, Variable<'a>>> = "env",
    }

    pub struct Port<'a> {
        name: Option<Text<'a>> = "name",
        number: Option<i64> = "containerPort",
    }

    pub struct Variable<'a> {
        name: Text<'a> = "name",
        value: Option<Text<'a>> = "value",
    }
}

/// A piece of evidence, of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    Image(String),
    Program(&'static str),
    Directory(String),
    Variable(&'static str),
    /// One that a client may have as well.
    SharedVariable(&'static str),
    Port(String),
}

impl Evidence {
    /// How much it says; `ENOUGH` says all.
    const fn weight(&self) -> u8 {
        match self {
            Self::Image(_) | Self::Program(_) => ENOUGH,
            Self::Directory(_) | Self::Variable(_) => 2,
            Self::SharedVariable(_) | Self::Port(_) => 1,
        }
    }
}

/// A data directory beside a port is a server; a port beside a user's name is a client or a pooler.
const ENOUGH: u8 = 3;

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => write!(f, "image {image}"),
            Self::Program(program) => write!(f, "command {program}"),
            Self::Directory(path) => write!(f, "volume at {path}"),
            Self::Variable(name) | Self::SharedVariable(name) => write!(f, "variable {name}"),
            Self::Port(port) => write!(f, "port {port}"),
        }
    }
}

/// A container in which a database runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub engine: &'static Engine,
    /// As far as the image's tag tells: `16.4`.
    pub version: Option<String>,
    /// What gave it away, the strongest first.
    pub evidence: Vec<Evidence>,
}

/// The database that runs in a container, if one does.
#[must_use]
pub fn server(of: &Container<'_>, clues: &Clues<'_>) -> Option<Server> {
    let known = container(of).map(|known| known.role);
    // The servers of some operators run in an image that is called after the operator.
    let named_otherwise = known == Some(Role::Operator);
    if known.is_some() && !named_otherwise || is_coordinators(of) {
        return None;
    }
    let reference = of.image.as_deref().unwrap_or_default();
    let image = Image::parse(reference);
    let found = |engine: &'static Engine| {
        let mut evidence = engine.evidence(of, clues, &image);
        if named_otherwise {
            evidence.retain(|it| !matches!(it, Evidence::Image(_)));
        }
        let weight: u8 = evidence.iter().map(Evidence::weight).sum();
        (weight >= ENOUGH).then_some((weight, engine, evidence))
    };
    // Of two that weigh the same the first of the table is meant: it has the special before the general.
    let strongest = ENGINES
        .iter()
        .filter_map(found)
        .reduce(|one, other| if other.0 > one.0 { other } else { one });
    strongest.map(|(_, engine, evidence)| Server {
        engine,
        // The tag of somebody's own image counts that image's versions.
        version: engine
            .has_image(&image)
            .then(|| version(engine, &image))
            .flatten(),
        evidence,
    })
}

/// The engine that an image is of, by its name alone.
#[must_use]
pub fn of_image(image: &Image<'_>) -> Option<&'static Engine> {
    ENGINES.iter().find(|engine| engine.has_image(image))
}

/// The first number of the version that an image has of this engine, if it is of it.
#[must_use]
pub fn major(engine: &str, image: &Image<'_>) -> Option<u32> {
    let engine = of_image(image).filter(|it| it.name == engine)?;
    version(engine, image)?.split('.').next()?.parse().ok()
}

impl Engine {
    fn has_image(&self, image: &Image<'_>) -> bool {
        self.images.iter().any(|wanted| names(wanted, image))
    }

    /// One piece of each kind, where there is one.
    fn evidence(&self, of: &Container<'_>, clues: &Clues<'_>, image: &Image<'_>) -> Vec<Evidence> {
        let by_image = self
            .has_image(image)
            .then(|| Evidence::Image(image.name().to_owned()));
        let words = of.words();
        if self.is_client(&words) {
            return Vec::new();
        }
        let program = super::command::program(words.iter().map(|word| &**word), |name| {
            self.programs.contains(&name)
        });
        let known = |name: &str| self.programs.iter().find(|it| **it == name).copied();
        let by_program = program.and_then(known).map(Evidence::Program);
        let mut mounts = of.volume_mounts.iter().flat_map(List::iter);
        let by_directory = mounts
            .find(|mount| mount.read_only != Some(true) && self.is_telling(&mount.mount_path))
            .map(|mount| Evidence::Directory(mount.mount_path.to_string()));
        let set = |wanted: &&str| {
            let mut variables = clues.env.iter().flat_map(List::iter);
            variables.any(|variable| *variable.name == **wanted)
        };
        let variable = |listed: &[&'static str]| listed.iter().find(|it| set(it)).copied();
        let by_variable = variable(self.variables).map(Evidence::Variable);
        let by_variable =
            by_variable.or_else(|| variable(self.shared_variables).map(Evidence::SharedVariable));
        let mut ports = clues.ports.iter().flat_map(List::iter);
        let by_port = ports.find_map(|port| {
            let named = port.name.as_deref();
            let named = named.filter(|name| self.port_names.contains(name));
            let numbered = port.number.filter(|number| {
                let mut ours = self.ports.iter();
                ours.any(|it| i64::from(*it) == *number)
            });
            named
                .map(str::to_owned)
                .or_else(|| numbered.map(|it| it.to_string()))
        });
        let pieces = [
            by_image,
            by_program,
            by_directory,
            by_variable,
            by_port.map(Evidence::Port),
        ];
        pieces.into_iter().flatten().collect()
    }

    /// Whether this path is where the data lie.
    #[must_use]
    pub fn keeps_data_at(&self, path: &str) -> bool {
        self.is_telling(path) || self.usual.contains(&path.trim_end_matches('/'))
    }

    /// Whether a volume at this path gives the engine away.
    fn is_telling(&self, path: &str) -> bool {
        self.directories.iter().any(|directory| {
            let rest = path.strip_prefix(directory);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    fn is_client(&self, words: &[Text<'_>]) -> bool {
        let says = |client: &&str| {
            let among = format!(" {client} ");
            let mut words = words.iter();
            words.any(|word| **word == **client || word.contains(&among))
        };
        self.clients.iter().any(says)
    }
}

/// Whether a name of the table, which may have several components, is that of an image.
fn names(wanted: &str, image: &Image<'_>) -> bool {
    let mut given = image.repository.rsplit('/');
    wanted.rsplit('/').all(|component| {
        given
            .next()
            .is_some_and(|given| glob::matches(component, given))
    })
}

/// The version of the engine, as far as the image tells.
fn version(engine: &Engine, image: &Image<'_>) -> Option<String> {
    let tag = image.tag.unwrap_or_default();
    let pieces = || tag.split(['-', '_']);
    // Images with something added count that thing's versions: `2.17.2-pg16`.
    let of_postgresql = || {
        let mut marked = pieces().filter_map(|piece| {
            let marked = piece
                .strip_prefix("pg")
                .or_else(|| piece.strip_prefix("ppg"));
            marked.and_then(numbers)
        });
        marked.next()
    };
    let in_name = || {
        let versioned = engine.images.iter().filter(|wanted| names(wanted, image));
        let mut stems = versioned.filter_map(|wanted| {
            let stem = wanted.strip_suffix('*')?;
            stem.rfind('-').map(|dash| &stem[..=dash])
        });
        let rest = stems.find_map(|stem| image.name().strip_prefix(stem))?;
        rest.split('-').next().and_then(numbers)
    };
    let special = (engine.name == "PostgreSQL").then(of_postgresql).flatten();
    let of_tag = || {
        // MinIO's releases are called after days.
        let mut pieces = pieces().filter(|_| !tag.starts_with("RELEASE"));
        pieces.find_map(numbers)
    };
    special.or_else(in_name).or_else(of_tag)
}

/// The numbers with which a piece of a tag begins, where nothing but letters follows.
fn numbers(piece: &str) -> Option<String> {
    let piece = piece.strip_prefix('v').unwrap_or(piece);
    let end = piece
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(piece.len());
    let (version, rest) = piece.split_at(end);
    let version = version.trim_end_matches('.');
    let first = version.split('.').next().unwrap_or_default();
    // A hash or a day is no version.
    let plausible = (1..=4).contains(&first.len()) && !rest.contains(|c: char| c.is_ascii_digit());
    let released = plausible || rest.starts_with("rc") || rest.starts_with("beta");
    (!first.is_empty() && first.len() <= 4 && released).then(|| version.to_owned())
}

#[cfg(test)]
mod tests;
