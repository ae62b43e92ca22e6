//! What is measured: three reviews, and sets of policies as large as one likes.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use quiescent::{
    admission::{self, Answer, Outcome, Review},
    diagnostic::Source,
    library,
    policy::{self, Input, Place, PolicySet},
    select::{Facts, Namespace, Settings},
};

/// By size: `small`, `typical` or `big`, of 3, 13 and 199 KB.
pub fn body(name: &str) -> &'static [u8] {
    match name {
        "small" => include_bytes!("bodies/small.json"),
        "typical" => include_bytes!("bodies/typical.json"),
        "big" => include_bytes!("bodies/big.json"),
        _ => panic!("there is no body {name:?}"),
    }
}

/// So many policies of a mix, none of which matches a body.
pub fn strangers(mix: &str, count: usize) -> PolicySet {
    set(policies(mix, count))
}

/// The same, and with them the library, of which one policy matches every body.
pub fn with_library(mix: &str, count: usize) -> PolicySet {
    let mut places = policies(mix, count);
    places.extend(library::defaults());
    set(places)
}

fn set(places: Vec<Place>) -> PolicySet {
    let (set, findings) = PolicySet::new(places);
    assert_eq!(findings, []);
    set
}

fn policies(mix: &str, count: usize) -> Vec<Place> {
    let template = match mix {
        "label" => include_str!("policies/label.yaml"),
        "image" => include_str!("policies/image.yaml"),
        "namespace" => include_str!("policies/namespace.yaml"),
        "negative" => include_str!("policies/negative.yaml"),
        _ => panic!("there is no mix {mix:?}"),
    };
    let documents = (0..count).map(|number| template.replace("NUMBER", &number.to_string()));
    let text = documents.collect::<Vec<_>>().join("---\n");
    if text.is_empty() {
        return Vec::new();
    }
    let (places, findings) = policy::parse(&Input {
        source: Arc::new(Source {
            name: format!("{mix}.yaml"),
            text,
        }),
        scripts: BTreeMap::new(),
    });
    assert_eq!(findings, []);
    places
}

/// A whole review, from the body's bytes to those of the answer.
pub fn review(body: &[u8], policies: &PolicySet) -> (Outcome, Vec<u8>) {
    let review = parse(body);
    let answer = answer(&review, policies);
    (answer.outcome, answer.body)
}

pub fn parse(body: &[u8]) -> Review<'_> {
    admission::parse(body).expect("the bodies are reviews")
}

pub fn answer<'a>(review: &'a Review<'_>, policies: &'a PolicySet) -> Answer<'a> {
    static SETTINGS: LazyLock<Settings> = LazyLock::new(Settings::default);
    static NOTHING: BTreeMap<String, String> = BTreeMap::new();
    let facts = Facts {
        namespace: &review.namespace,
        about_namespace: Namespace::Known {
            labels: &NOTHING,
            annotations: &NOTHING,
        },
        owner: None,
        settings: &SETTINGS,
    };
    admission::answer(review, policies, facts)
}
