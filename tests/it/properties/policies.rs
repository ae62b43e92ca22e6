//! Policy files in every style, and texts that are hardly any.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, prelude::*, sample::Index};
use quiescent::{
    diagnostic::{Diagnostic, Severity, Source},
    inject::inject,
    library,
    pod::PodView,
    policy::{Input, Place, PolicySet, Rule, ScriptFile, parse},
    report::diagnostics,
    yaml,
};

use super::{config, pods, written};

/// A policy's text, and the scripts beside it.
type Written = (String, BTreeMap<String, ScriptFile>);

/// The policies of the library, and those that meet on one pod.
fn examples() -> Vec<Written> {
    let library = library::FOLDERS.iter().map(|folder| {
        let Input { source, scripts } = folder.input();
        (source.text.clone(), scripts)
    });
    let policies = include_str!("policies.yaml").split("---\n");
    let policies = policies.map(|policy| (policy.to_owned(), BTreeMap::new()));
    library.chain(policies).collect()
}

fn read(text: &str, scripts: &BTreeMap<String, ScriptFile>) -> (Vec<Place>, Vec<Diagnostic>) {
    parse(&Input {
        source: Arc::new(Source {
            name: "policy.yaml".to_owned(),
            text: text.to_owned(),
        }),
        scripts: scripts.clone(),
    })
}

/// What YAML and policies are made of, so that much of a text stays readable.
const PIECES: &str =
    "[\\[\\]{}'\"#&*|>:!?, \n0-9a-z~<=%@-]{0,4}|~|null|yes|0x1f|1e3|<<: |&a |\\*a|---\n|\\PC";

fn mangled(text: &str, wounds: &[(Index, usize, String)]) -> String {
    let mut text = text.to_owned();
    for (at, length, instead) in wounds {
        let mut start = at.index(text.len() + 1);
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = (start + length).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        text.replace_range(start..end, instead);
    }
    text
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn a_policy_says_the_same_in_every_style(example in any::<Index>(), style in written::style()) {
        let (text, scripts) = example.get::<Written>(&examples()).clone();
        let tree = yaml::parse(&text).unwrap().remove(0).root.unwrap().to_json();
        let (plain, problems) = read(&text, &scripts);
        prop_assert_eq!(problems, vec![]);
        let text = style.write(&tree);
        let (styled, problems) = read(&text, &scripts);
        prop_assert_eq!(problems, vec![], "{}", text);
        let policies = |places: &[Place]| places.iter().map(|place| place.policy.clone()).collect::<Vec<_>>();
        prop_assert_eq!(policies(&plain), policies(&styled), "{}", text);
    }

    #[test]
    fn a_mangled_policy_is_sound_or_it_is_said_what_is_wrong_and_where(
        example in any::<Index>(),
        wounds in vec((any::<Index>(), 0_usize..6, PIECES), 1..5),
        case in pods::case(),
    ) {
        let (text, scripts) = example.get::<Written>(&examples()).clone();
        let text = mangled(&text, &wounds);
        let (places, problems) = read(&text, &scripts);
        let errors = problems.iter().filter(|it| it.severity == Severity::Error).count();
        prop_assert!(!places.is_empty() || !problems.is_empty(), "{}", text);
        for problem in &problems {
            let span = problem.span.clone();
            prop_assert!(text.get(span).is_some(), "{:?} of {}", problem.span, text);
            prop_assert!(!problem.message.is_empty());
            let (line, column) = problem.position();
            prop_assert!(line >= 1 && column >= 1 && line <= text.lines().count().max(1) + 1);
            prop_assert!(diagnostics::text(problem, 80).contains(problem.code));
        }
        // A hook without its counterpart is taken too, and warned of.
        let lone = problems.iter().any(|it| it.code == Rule::LoneHook.code());
        if errors == 0 && !lone {
            // What is taken can be followed.
            let (set, _) = PolicySet::new(places);
            let pod = case.pod.to_string();
            let view = PodView::parse(&pod).unwrap();
            let mut after = case.pod.clone();
            inject(&set, &view, case.facts()).patch(&view).apply(&mut after, "").unwrap();
            super::valid(&case.pod, &after)?;
        }
    }

    #[test]
    fn no_text_is_too_strange_to_be_read(text in prop_oneof![".{0,60}", "(\\PC|\n| ){0,80}", "[\\[\\]{}'\"#&*|>:!?, \n\t\u{feff}a-~-]{0,60}"]) {
        let (places, problems) = read(&text, &BTreeMap::new());
        prop_assert!(places.is_empty() && !problems.is_empty());
        for problem in &problems {
            prop_assert!(text.get(problem.span.clone()).is_some());
            prop_assert!(diagnostics::text(problem, 80).contains(problem.code));
        }
    }
}
