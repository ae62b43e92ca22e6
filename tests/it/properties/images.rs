//! Image references and the patterns that name them, held to a slow reading of the same rules.

use proptest::{collection::vec, option, prelude::*, sample::select};
use quiescent::policy::{Image, ImagePattern};

use super::config;

fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec!["a", "ab", "abc", "postgres", "b-a"]).prop_map(str::to_owned),
        1 => "[ab.]{0,3}",
    ]
}

fn tag() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "v?[0-3](\\.[0-3]){0,2}(-[a-b]{1,2})?",
        1 => select(vec!["latest", "a", "1.", "v", "99999999999999999999"]).prop_map(str::to_owned),
    ]
}

fn image() -> impl Strategy<Value = String> {
    let registry = select(vec![
        "",
        "",
        "",
        "docker.io/",
        "index.docker.io/",
        "ghcr.io/",
        "localhost/",
        "x:5000/",
        "library/",
    ]);
    let path = vec(component(), 1..4);
    let digest = option::weighted(0.1, Just("@sha256:00".to_owned()));
    (registry, path, option::of(tag()), digest).prop_map(|(registry, path, tag, digest)| {
        let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = digest.unwrap_or_default();
        format!("{registry}{}{tag}{digest}", path.join("/"))
    })
}

fn bound() -> impl Strategy<Value = String> {
    "(<|<=|>|>=|=)[0-3](\\.[0-3]){0,2}"
}

fn pattern() -> impl Strategy<Value = String> {
    let registry = select(vec![
        "",
        "",
        "",
        "",
        "*/",
        "docker.io/",
        "ghcr.io/",
        "localhost/",
    ]);
    let globbed = prop_oneof![
        4 => component(),
        2 => "[ab*]{1,4}",
    ];
    let version = prop_oneof![
        3 => Just(String::new()),
        2 => "[0-3.*a-b]{0,4}".prop_map(|tag| format!(":{tag}")),
        3 => vec(bound(), 1..4).prop_map(|bounds| format!(":{}", bounds.join(" "))),
    ];
    (registry, vec(globbed, 1..4), version)
        .prop_map(|(registry, path, version)| format!("{registry}{}{version}", path.join("/")))
}

/// `*` for any characters, tried at every place.
fn globs(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|start| globs(rest, &text[start..])),
        [first, rest @ ..] => text.first() == Some(first) && globs(rest, &text[1..]),
    }
}

/// The numbers of a tag, to a depth, and the sign and numbers of a bound.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let other = |c: char| !(c.is_ascii_digit() || c == '.');
    let text = text.split(other).next().unwrap().trim_end_matches('.');
    text.split('.').map(|number| number.parse().ok()).collect()
}

fn within(bound: &str, tag: &str) -> bool {
    let sign = bound.trim_start_matches(['<', '>', '=']);
    let (sign, wanted) = (&bound[..bound.len() - sign.len()], numbers(sign).unwrap());
    let Some(mut found) = numbers(tag) else {
        return false;
    };
    found.resize(wanted.len(), 0);
    match sign {
        "<" => found < wanted,
        "<=" => found <= wanted,
        ">" => found > wanted,
        ">=" => found >= wanted,
        _ => found == wanted,
    }
}

/// Whether a pattern that was taken means an image, by its text.
fn means(pattern: &str, image: &Image<'_>) -> bool {
    let last = pattern.rfind('/').map_or(0, |slash| slash + 1);
    let (path, version) = match pattern[last..].split_once(':') {
        Some((name, version)) => (&pattern[..last + name.len()], Some(version)),
        None => (pattern, None),
    };
    let version = version.is_none_or(|version| {
        if version.starts_with(['<', '>', '=']) {
            let tag = image.tag.unwrap_or_default();
            return version.split(' ').all(|bound| within(bound, tag));
        }
        let untagged = if image.digest.is_some() {
            None
        } else {
            Some("latest")
        };
        let tag = image.tag.or(untagged);
        tag.is_some_and(|tag| globs(version.as_bytes(), tag.as_bytes()))
    });
    let mut wanted: Vec<&str> = path.split('/').collect();
    let host = |part: &str| part == "localhost" || part.contains('.');
    let registry = (wanted.len() > 1 && host(wanted[0])).then(|| wanted.remove(0));
    let registry = registry.is_none_or(|it| it == image.registry.unwrap_or("docker.io"));
    let mut given: Vec<&str> = image.repository.split('/').collect();
    if wanted.len() > 1 && wanted[0] == "*" {
        wanted.remove(0);
        given.drain(..given.len().saturating_sub(wanted.len()));
    }
    let mut pairs = wanted.iter().zip(&given);
    let path = wanted.len() == given.len()
        && pairs.all(|(wanted, given)| globs(wanted.as_bytes(), given.as_bytes()));
    registry && path && version
}

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn a_reference_is_the_sum_of_its_parts(reference in prop_oneof![image(), ".{0,20}", "[a-b:/@.]{0,12}"]) {
        let image = Image::parse(&reference);
        let tag = image.tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = image.digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        let registry = image.registry.map(|registry| format!("{registry}/")).unwrap_or_default();
        let whole = format!("{registry}{}{tag}{digest}", image.repository);
        let left_out = reference.strip_suffix(&whole);
        let known = ["", "docker.io/", "index.docker.io/", "library/", "docker.io/library/", "index.docker.io/library/"];
        prop_assert!(left_out.is_some_and(|it| known.contains(&it)), "{} of {}", whole, reference);
        prop_assert!(image.repository.ends_with(image.name()) && !image.name().contains('/'));
    }

    #[test]
    fn any_text_is_a_pattern_or_is_refused(text in prop_oneof![pattern(), ".{0,20}", "[a-b0-1:/@.<>=* ]{0,12}"]) {
        if let Ok(pattern) = text.parse::<ImagePattern>() {
            prop_assert_eq!(pattern.to_string(), text);
        }
    }

    #[test]
    fn a_pattern_means_what_its_text_says(
        text in pattern(),
        other in pattern(),
        images in vec(image(), 1..20),
    ) {
        let Ok(pattern) = text.parse::<ImagePattern>() else { return Ok(()) };
        let other = other.parse::<ImagePattern>().ok();
        for reference in &images {
            let image = Image::parse(reference);
            let matches = pattern.matches(&image);
            prop_assert_eq!(matches, means(&text, &image), "{} {}", text, reference);
            // More components than these ask for as many in the image, and any tag asks for one.
            let enough = image.digest.is_none() || image.tag.is_some() || !text.contains(':');
            let any = text.starts_with("*/") && text.matches('/').count() == 1;
            if pattern.is_any() && any && enough {
                prop_assert!(matches, "{} is said to be any, and is not {}", text, reference);
            }
            if matches {
                // What the index of policies relies on.
                prop_assert!(pattern.literal_name().is_none_or(|name| name == image.name()));
                if let Some(other) = other.as_ref().filter(|other| other.matches(&image)) {
                    prop_assert!(pattern.may_overlap(other));
                }
            }
        }
    }

    #[test]
    fn a_range_is_refused_only_when_no_version_is_in_it(
        bounds in vec(bound(), 1..4),
        tags in vec(tag(), 1..60),
    ) {
        let range = format!("a:{}", bounds.join(" "));
        if range.parse::<ImagePattern>().is_err() {
            for tag in &tags {
                let inside = bounds.iter().all(|bound| within(bound, tag));
                prop_assert!(!inside, "{} is in {}", tag, range);
            }
        }
    }
}
