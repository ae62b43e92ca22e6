//! Images and the patterns that name them.

use std::{cmp::Ordering, fmt, str::FromStr};

use super::glob;

/// The parts of an image reference. Docker Hub's own names (`docker.io/library/…`) are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    pub registry: Option<&'a str>,
    pub repository: &'a str,
    pub tag: Option<&'a str>,
    pub digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// Takes a reference apart; any text has parts, so this cannot fail.
    #[must_use]
    pub fn parse(reference: &'a str) -> Self {
        let (rest, digest) = match reference.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (reference, None),
        };
        let (path, tag) = split_tag(rest);
        let (registry, repository) = match path.split_once('/') {
            Some((host, repository)) if is_registry(host) => (Some(host), repository),
            _ => (None, path),
        };
        let registry = registry.filter(|host| !matches!(*host, "docker.io" | "index.docker.io"));
        let repository = match registry {
            None => repository.strip_prefix("library/").unwrap_or(repository),
            Some(_) => repository,
        };
        Self {
            registry,
            repository,
            tag,
            digest,
        }
    }

    /// The last component of the repository: what the index of policies asks for.
    #[must_use]
    pub fn name(&self) -> &'a str {
        last_component(self.repository)
    }
}

/// A colon in the last component begins a tag; one before it, a port.
fn split_tag(reference: &str) -> (&str, Option<&str>) {
    let last = reference.rfind('/').map_or(0, |slash| slash + 1);
    match reference[last..].find(':') {
        Some(colon) => (
            &reference[..last + colon],
            Some(&reference[last + colon + 1..]),
        ),
        None => (reference, None),
    }
}

fn is_registry(component: &str) -> bool {
    component.contains(['.', ':']) || component == "localhost"
}

fn last_component(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Which images a policy means: `postgres`, `*/bitnami*/postgresql`, `postgres:>=15 <18`, `mysql@sha256:…`.
///
/// A leading `*/` stands for any components before the rest, none included. Elsewhere `*` stands
/// for any characters of one component. The registry counts only where the pattern names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePattern {
    text: String,
    registry: Option<String>,
    anywhere: bool,
    components: Vec<String>,
    version: Wanted,
}

/// Which tags and digests a pattern means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Any,
    Tag(String),
    /// All of these bounds hold.
    Range(Vec<(Comparison, Version)>),
    Digest(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

/// Why a text names no images.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImagePatternError {
    #[error("an image pattern cannot be empty")]
    Empty,
    #[error("{0:?} cannot be in an image's name, which has small letters, digits and . _ - / only")]
    Character(char),
    #[error("{0:?} has an empty part between slashes")]
    EmptyComponent(String),
    #[error("{0:?} is no version to compare with")]
    Version(String),
    #[error("no version is in {0:?}")]
    EmptyRange(String),
    #[error("{0:?} is no digest: write sha256: and 64 hexadecimal digits")]
    Digest(String),
}

impl ImagePattern {
    #[must_use]
    pub fn matches(&self, image: &Image<'_>) -> bool {
        let registry = match &self.registry {
            Some(registry) => image.registry.unwrap_or("docker.io") == registry,
            None => true,
        };
        registry && self.repository(image.repository) && self.version.holds(image)
    }

    fn repository(&self, repository: &str) -> bool {
        let mut given = repository.rsplit('/');
        let suffix = self.components.iter().rev().all(|wanted| {
            given
                .next()
                .is_some_and(|component| glob::matches(wanted, component))
        });
        suffix && (self.anywhere || given.next().is_none())
    }

    /// The only registry that is meant, where one is.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// Whether any components may stand before its own.
    #[must_use]
    pub const fn is_anywhere(&self) -> bool {
        self.anywhere
    }

    #[must_use]
    pub fn components(&self) -> &[String] {
        &self.components
    }

    #[must_use]
    pub const fn version(&self) -> &Wanted {
        &self.version
    }

    /// The last component, when it has no wildcard: images of another name need not be compared.
    #[must_use]
    pub fn literal_name(&self) -> Option<&str> {
        self.components
            .last()
            .map(String::as_str)
            .filter(|name| !glob::has_wildcard(name))
    }

    /// Whether nothing is said that tells one image from another, unless by how many components
    /// it has, or by whether it has a tag.
    #[must_use]
    pub fn is_any(&self) -> bool {
        let free = |component: &String| component.bytes().all(|c| c == b'*');
        let every_version = match &self.version {
            Wanted::Any => true,
            Wanted::Tag(tag) => tag.bytes().all(|c| c == b'*'),
            Wanted::Range(_) | Wanted::Digest(_) => false,
        };
        self.registry.is_none() && self.components.iter().all(free) && every_version
    }

    /// Whether some image can be named by both; true when in doubt.
    #[must_use]
    pub fn may_overlap(&self, other: &Self) -> bool {
        match (self.literal_name(), other.literal_name()) {
            (Some(one), Some(another)) => one == another,
            _ => true,
        }
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ImagePattern {
    type Err = ImagePatternError;

    fn from_str(text: &str) -> Result<Self, ImagePatternError> {
        let (path, version) = match text.split_once('@') {
            Some((path, digest)) => (path, digest_wanted(digest)?),
            None => match split_tag(text) {
                (path, Some(tag)) => (path, tag_wanted(tag)?),
                (path, None) => (path, Wanted::Any),
            },
        };
        if path.is_empty() {
            return Err(ImagePatternError::Empty);
        }
        let (registry, path) = match path.split_once('/') {
            Some((host, rest)) if is_registry(host) => (Some(host), rest),
            _ => (None, path),
        };
        let (anywhere, path) = match path.strip_prefix("*/") {
            Some(rest) => (true, rest),
            None => (false, path),
        };
        let path = match registry {
            Some("docker.io") | None => path.strip_prefix("library/").unwrap_or(path),
            Some(_) => path,
        };
        let strange = |c: &char| {
            !(c.is_ascii_lowercase()
                || c.is_ascii_digit()
                || matches!(c, '.' | '_' | '-' | '/' | '*'))
        };
        if let Some(strange) = path.chars().find(strange) {
            return Err(ImagePatternError::Character(strange));
        }
        let components: Vec<String> = path.split('/').map(str::to_owned).collect();
        if components.iter().any(String::is_empty) {
            return Err(ImagePatternError::EmptyComponent(text.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            registry: registry.map(str::to_owned),
            anywhere,
            components,
            version,
        })
    }
}

fn digest_wanted(digest: &str) -> Result<Wanted, ImagePatternError> {
    let hexadecimal = digest
        .strip_prefix("sha256:")
        .is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|c| c.is_ascii_hexdigit()));
    if hexadecimal {
        Ok(Wanted::Digest(digest.to_owned()))
    } else {
        Err(ImagePatternError::Digest(digest.to_owned()))
    }
}

fn tag_wanted(tag: &str) -> Result<Wanted, ImagePatternError> {
    if !tag.starts_with(['<', '>', '=']) {
        let tag_like = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '*');
        return match tag.chars().find(|c| !tag_like(*c)) {
            Some(strange) => Err(ImagePatternError::Character(strange)),
            None if tag.is_empty() => Err(ImagePatternError::Version(String::new())),
            None => Ok(Wanted::Tag(tag.to_owned())),
        };
    }
    tag.split([' ', ','])
        .filter(|bound| !bound.is_empty())
        .map(|bound| {
            let (comparison, version) = [
                ("<=", Comparison::LessOrEqual),
                (">=", Comparison::GreaterOrEqual),
                ("<", Comparison::Less),
                (">", Comparison::Greater),
                ("=", Comparison::Equal),
            ]
            .into_iter()
            .find_map(|(sign, comparison)| Some((comparison, bound.strip_prefix(sign)?)))
            .ok_or_else(|| ImagePatternError::Version(bound.to_owned()))?;
            let version = Version::of_tag(version)
                .ok_or_else(|| ImagePatternError::Version(version.to_owned()))?;
            Ok((comparison, version))
        })
        .collect::<Result<Vec<_>, _>>()
        .and_then(|bounds| {
            if can_be_met(&bounds) {
                Ok(Wanted::Range(bounds))
            } else {
                Err(ImagePatternError::EmptyRange(tag.to_owned()))
            }
        })
}

/// Whether some version is within all bounds: then the least that is within those from below is.
fn can_be_met(bounds: &[(Comparison, Version)]) -> bool {
    let above = |Version(numbers): &Version| {
        let mut numbers = numbers.clone();
        if let Some(last) = numbers.last_mut() {
            *last = last.saturating_add(1);
        }
        Version(numbers)
    };
    let named = bounds.iter().map(|(_, bound)| bound);
    let least = named.flat_map(|bound| [bound.clone(), above(bound)]);
    least
        .chain([Version(vec![0])])
        .any(|version| bounds.iter().all(|(is, bound)| is.holds(&version, bound)))
}

impl Wanted {
    fn holds(&self, image: &Image<'_>) -> bool {
        match self {
            Self::Any => true,
            // An image without a tag and a digest is `latest`.
            Self::Tag(wanted) => image
                .tag
                .or_else(|| image.digest.is_none().then_some("latest"))
                .is_some_and(|tag| glob::matches(wanted, tag)),
            Self::Digest(wanted) => image.digest == Some(wanted),
            Self::Range(bounds) => image
                .tag
                .and_then(Version::of_tag)
                .is_some_and(|version| bounds.iter().all(|(is, bound)| is.holds(&version, bound))),
        }
    }
}

impl Comparison {
    fn holds(self, version: &Version, bound: &Version) -> bool {
        let order = version.compare(bound);
        match self {
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
            Self::Equal => order == Ordering::Equal,
        }
    }
}

/// The numbers with which a tag begins: 16.4.0 of `16.4.0-debian-12-r3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(Vec<u64>);

impl Version {
    #[must_use]
    pub fn numbers(&self) -> &[u64] {
        &self.0
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let tag = tag.strip_prefix('v').unwrap_or(tag);
        let end = tag
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(tag.len());
        let numbers: Option<Vec<u64>> = tag[..end]
            .trim_end_matches('.')
            .split('.')
            .map(|number| number.parse().ok())
            .collect();
        numbers.map(Self)
    }

    /// To the precision of the bound: 15.3 is neither above nor below 15.
    fn compare(&self, bound: &Self) -> Ordering {
        let mine = self.0.iter().chain(std::iter::repeat(&0));
        mine.take(bound.0.len()).cmp(bound.0.iter())
    }
}

#[cfg(test)]
mod tests;
