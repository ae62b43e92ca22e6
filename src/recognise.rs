//! Recognises what stands beside databases, and databases that somebody else backs up: operators' pods,
//! exporters, poolers, proxies, clients, migrations, dashboards. One table of evidence for all policies,
//! and beside it one of the databases themselves.
//!
//! Pure, and asked only about pods that a policy means, or that somebody wants explained or audited.

mod command;
mod engine;
mod engines;
mod known;
mod spread;

use std::{collections::HashMap, fmt, sync::LazyLock};

use crate::{
    pod::{Container, PodView},
    policy::{Image, Role, glob},
};
use known::KNOWN;

pub use command::{SHELLS, WRAPPERS};
pub use engine::{Clues, Engine, Server, major, of_image, server};
pub use spread::{Mounted, Parts, Spread, spread};

/// Something that is recognised.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// As its makers call it.
    pub name: &'static str,
    pub role: Role,
    /// What to do instead of a hook here, as a sentence.
    pub advice: &'static str,
    pub evidence: &'static [Evidence],
}

/// A label's key and value.
pub type Pair = (&'static str, &'static str);

/// What gives it away; one piece is enough. `*` stands for any characters.
#[derive(Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A label of the pod, and its value.
    Label(&'static str, &'static str),
    /// Two labels, where one of them could be anybody's.
    Labels(Pair, Pair),
    /// How the key of an annotation of the pod begins.
    Annotation(&'static str),
    /// The last component of the image of any container: it tells about the whole pod.
    Beside(&'static str),
    /// The last component of a container's image.
    Image(&'static str),
    /// The program that a container's command runs.
    Program(&'static str),
    /// A word of a container's command.
    Argument(&'static str),
}

/// Everything that is recognised, the special before the general.
#[must_use]
pub const fn all() -> &'static [Known] {
    KNOWN
}

/// Every database that is recognised.
#[must_use]
pub const fn engines() -> &'static [Engine] {
    engines::ENGINES
}

impl Known {
    /// What it is recognised by, each in words.
    pub fn marks(&self) -> impl Iterator<Item = String> {
        self.evidence.iter().map(|evidence| match evidence {
            Evidence::Label(key, "*") => format!("label `{key}`"),
            Evidence::Label(key, value) => format!("label `{key}={value}`"),
            Evidence::Labels((key, value), (other, its)) => {
                format!("labels `{key}={value}` and `{other}={its}`")
            }
            Evidence::Annotation(prefix) => format!("annotation `{prefix}…`"),
            Evidence::Beside(image) | Evidence::Image(image) => format!("image `{image}`"),
            Evidence::Program(program) => format!("command `{program}`"),
            Evidence::Argument(argument) => format!("argument `{argument}`"),
        })
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Operator => "a pod of an operator",
            Role::Exporter => "an exporter",
            Role::Pooler => "a pooler",
            Role::Proxy => "a proxy",
            Role::Client => "a client",
            Role::Migration => "a migration",
            Role::Dashboard => "a dashboard",
        };
        write!(f, "this is {role} ({})", self.name)
    }
}

struct ByLabel {
    value: &'static str,
    /// Another label that must be there.
    beside: Option<Pair>,
    known: &'static Known,
}

/// The table, by what is looked up.
#[derive(Default)]
struct Index {
    /// By the label's key.
    labels: HashMap<&'static str, Vec<ByLabel>>,
    annotations: Vec<(&'static str, &'static Known)>,
    beside: Vec<(&'static str, &'static Known)>,
    images: HashMap<&'static str, &'static Known>,
    image_patterns: Vec<(&'static str, &'static Known)>,
    programs: HashMap<&'static str, &'static Known>,
    arguments: Vec<(&'static str, &'static Known)>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index::default();
    for known in KNOWN {
        for evidence in known.evidence {
            match *evidence {
                Evidence::Label(key, value) => index.label((key, value), None, known),
                Evidence::Labels((key, value), beside) => {
                    index.label((key, value), Some(beside), known);
                }
                Evidence::Annotation(prefix) => index.annotations.push((prefix, known)),
                Evidence::Beside(image) => index.beside.push((image, known)),
                Evidence::Image(image) if glob::has_wildcard(image) => {
                    index.image_patterns.push((image, known));
                }
                Evidence::Image(image) => {
                    index.images.insert(image, known);
                }
                Evidence::Program(program) => {
                    index.programs.insert(program, known);
                }
                Evidence::Argument(argument) => index.arguments.push((argument, known)),
            }
        }
    }
    index
});

impl Index {
    fn label(&mut self, (key, value): Pair, beside: Option<Pair>, known: &'static Known) {
        let listed = self.labels.entry(key).or_default();
        listed.push(ByLabel {
            value,
            beside,
            known,
        });
    }
}

/// What the whole pod is, by its labels and annotations and by what runs in it.
#[must_use]
pub fn pod(pod: &PodView<'_>) -> Option<&'static Known> {
    let index = &*INDEX;
    let by_label = pod.labels().find_map(|(key, value)| {
        let mut listed = index.labels.get(key)?.iter();
        let found = listed.find(|mark| {
            let beside = mark.beside;
            glob::matches(mark.value, value)
                && beside.is_none_or(|(key, value)| pod.label(key) == Some(value))
        });
        found.map(|mark| mark.known)
    });
    let by_annotation = || {
        pod.annotation_texts().find_map(|(key, _)| {
            let mut listed = index.annotations.iter();
            let found = listed.find(|(prefix, _)| key.starts_with(prefix));
            found.map(|(_, known)| *known)
        })
    };
    let by_neighbour = || {
        let mut containers = pod.containers().iter();
        containers.find_map(|container| {
            let image = image_of(container);
            first(&index.beside, |wanted| glob::matches(wanted, image))
        })
    };
    by_label.or_else(by_annotation).or_else(by_neighbour)
}

/// What a container is, by its image and its command.
#[must_use]
pub fn container(container: &Container<'_>) -> Option<&'static Known> {
    let index = &*INDEX;
    let image = image_of(container);
    let by_image = index.images.get(image).copied();
    let by_pattern = || first(&index.image_patterns, |wanted| glob::matches(wanted, image));
    let by_command = || {
        let words = container.words();
        let program = command::program(words.iter().map(|word| &**word), |name| {
            index.programs.contains_key(name)
        });
        let by_program = program.and_then(|name| index.programs.get(name).copied());
        by_program.or_else(|| {
            first(&index.arguments, |wanted| {
                words.iter().any(|it| **it == *wanted)
            })
        })
    };
    by_image.or_else(by_pattern).or_else(by_command)
}

fn first(
    listed: &[(&'static str, &'static Known)],
    holds: impl Fn(&str) -> bool,
) -> Option<&'static Known> {
    let mut listed = listed.iter();
    listed
        .find(|(wanted, _)| holds(wanted))
        .map(|(_, known)| *known)
}

fn image_of<'c>(container: &'c Container<'_>) -> &'c str {
    Image::parse(container.image.as_deref().unwrap_or_default()).name()
}

#[cfg(test)]
mod tests;
