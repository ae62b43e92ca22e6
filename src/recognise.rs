//! Recognises what stands beside databases, and databases that somebody else backs up: operators' pods,
//! exporters, poolers, proxies, clients, migrations, dashboards. One table of evidence for all policies.
//!
//! Pure, and asked only about pods that a policy means, or that somebody wants explained.

mod command;
mod known;

use std::{collections::HashMap, fmt, sync::LazyLock};

use crate::{
    pod::{Container, PodView},
    policy::{Image, Role, glob},
};
use known::KNOWN;

/// Something that is recognised.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// As its makers call it.
    pub name: &'static str,
    pub role: Role,
    /// What to do instead of a hook here, as a sentence.
    pub advice: &'static str,
    evidence: &'static [Evidence],
}

/// What gives it away; one piece is enough. `*` stands for any characters.
#[derive(Debug, PartialEq, Eq)]
enum Evidence {
    /// A label of the pod, and its value.
    Label(&'static str, &'static str),
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

/// The table, by what is looked up.
#[derive(Default)]
struct Index {
    labels: HashMap<&'static str, Vec<(&'static str, &'static Known)>>,
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
                Evidence::Label(key, value) => {
                    index.labels.entry(key).or_default().push((value, known));
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

/// What the whole pod is, by its labels and annotations and by what runs in it.
#[must_use]
pub fn pod(pod: &PodView<'_>) -> Option<&'static Known> {
    let index = &*INDEX;
    let by_label = pod.labels().find_map(|(key, value)| {
        let mut listed = index.labels.get(key)?.iter();
        listed.find(|(wanted, _)| glob::matches(wanted, value))
    });
    let by_annotation = || {
        pod.annotation_texts().find_map(|(key, _)| {
            let mut listed = index.annotations.iter();
            listed.find(|(prefix, _)| key.starts_with(prefix))
        })
    };
    let by_neighbour = || {
        pod.containers().iter().find_map(|container| {
            let mut listed = index.beside.iter();
            listed.find(|(wanted, _)| glob::matches(wanted, image_of(container)))
        })
    };
    let found = by_label.or_else(by_annotation).or_else(by_neighbour);
    found.map(|(_, known)| *known)
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
