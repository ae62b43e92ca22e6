//! Which images a pattern means, as a regular expression over the reference and, for ranges, as a
//! comparison of the tag's numbers.

use super::cel::{all, any, matches, quote, regex};
use crate::policy::{Comparison, ImagePattern, Version, Wanted, glob};

const HUB: &str = r"(?:(?:index\.)?docker\.io/)?";
const HOST: &str = r"(?:[^/@]*[.:][^/@]*|localhost)/";

/// Whether an image is one that a pattern means.
pub fn is(pattern: &ImagePattern, image: &str) -> String {
    let (version, bounds) = match pattern.version() {
        Wanted::Any => (r"(?::[^/@]*)?(?:@.*)?".to_owned(), None),
        // An image without a tag and a digest is `latest`.
        Wanted::Tag(tag) => {
            let tagged = format!(":{}(?:@.*)?", regex(tag, "[^/@]*"));
            let version = if glob::matches(tag, "latest") {
                format!("(?:{tagged})?")
            } else {
                tagged
            };
            (version, None)
        }
        Wanted::Digest(digest) => (format!("(?::[^/@]*)?@{digest}"), None),
        Wanted::Range(bounds) => (r":[^/@]+(?:@.*)?".to_owned(), Some(bounds)),
    };
    let repository = repository(pattern);
    let mut parts = vec![matches(&format!("^{repository}{version}$"), image)];
    if pattern.registry() == Some("docker.io") {
        let elsewhere = matches(&format!("^{HOST}"), image);
        let hub = matches(r"^(?:index\.)?docker\.io/", image);
        parts.push(format!("(!{elsewhere} || {hub})"));
    }
    parts.extend(bounds.map(|bounds| in_range(bounds, image)));
    all(parts)
}

fn repository(pattern: &ImagePattern) -> String {
    let host = match pattern.registry() {
        None => format!("(?:{HUB}(?:library/)?|{HOST})"),
        Some("docker.io") => format!("{HUB}(?:library/)?"),
        Some(registry) => format!("{}/", regex(registry, "")),
    };
    let anywhere = if pattern.is_anywhere() {
        "(?:[^@]*/)?"
    } else {
        ""
    };
    let components = pattern.components();
    let several = components.len() > 1;
    let components = components.iter().enumerate().map(|(at, component)| {
        // What has a dot or a colon before the first slash is a host.
        let any = if at == 0 && several && !pattern.is_anywhere() {
            "[^/@.:]*"
        } else {
            "[^/@:]*"
        };
        regex(component, any)
    });
    let components = components.collect::<Vec<_>>().join("/");
    format!("{host}{anywhere}{components}")
}

/// Whether the numbers that a tag begins with are within all bounds.
fn in_range(bounds: &[(Comparison, Version)], image: &str) -> String {
    let tag =
        format!(r#"{image}.split("@")[0].substring({image}.split("@")[0].lastIndexOf(":") + 1)"#);
    let version = matches(r"^v?[0-9]{1,18}(?:\.[0-9]{1,18})*\.*(?:[^0-9.].*)?$", "tag");
    let numbers = format!("tag.find({}).split(\".\")", quote(r"[0-9]+(?:\.[0-9]+)*"));
    let within = bounds
        .iter()
        .map(|(comparison, bound)| holds(*comparison, bound));
    let within = all(within.collect());
    format!("[{tag}].exists(tag, {version} && [{numbers}].exists(n, {within}))")
}

fn holds(comparison: Comparison, bound: &Version) -> String {
    let numbers = bound.numbers();
    match comparison {
        Comparison::Less => beyond("<", numbers),
        Comparison::LessOrEqual => format!("!{}", beyond(">", numbers)),
        Comparison::Greater => beyond(">", numbers),
        Comparison::GreaterOrEqual => format!("!{}", beyond("<", numbers)),
        Comparison::Equal => equal(numbers),
    }
}

/// The first numbers that differ decide.
fn beyond(sign: &str, bound: &[u64]) -> String {
    let differ = bound.iter().enumerate().map(|(at, number)| {
        let here = format!("{} {sign} {number}", of_tag(at));
        let before = if at == 0 {
            None
        } else {
            Some(equal(&bound[..at]))
        };
        all(before.into_iter().chain([here]).collect())
    });
    format!("({})", any(differ.collect()))
}

fn equal(bound: &[u64]) -> String {
    let equal = bound.iter().enumerate();
    let equal = equal.map(|(at, number)| format!("{} == {number}", of_tag(at)));
    all(equal.collect())
}

/// A number of the tag, as an integer. Those that it does not say are 0.
fn of_tag(at: usize) -> String {
    format!("(size(n) > {at} ? int(n[{at}]) : 0)")
}
