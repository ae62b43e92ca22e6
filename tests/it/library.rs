//! What stands in a policy's folder beside the policy: a page that says all it must, and a proof that
//! says what the policy claims; and the pages that are made of all this.

use std::{collections::BTreeMap, fs, path::Path};

use quiescent::{
    library::{FOLDERS, HEADINGS, Row, entries, page, policies},
    policy::{METHOD_LABEL, Role},
    velero::{OnError, Timeout},
};
use serde_json::Value;

use crate::support::{golden, run};

#[test]
fn every_policy_says_what_it_blocks_needs_and_how_to_do_without_it() {
    for folder in FOLDERS {
        let name = folder.name;
        let lines = folder.about.lines();
        let headings: Vec<&str> = lines.filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS, "{name}");
        assert!(folder.about.starts_with("## "), "{name}");
        for section in folder.about.split("## ").skip(1) {
            let (heading, said) = section.split_once('\n').unwrap();
            assert!(!said.trim().is_empty(), "{name} says nothing of {heading}");
        }
        let long = folder.about.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "{name}");
    }
}

#[test]
fn rows_of_a_proof_can_be_true() {
    for folder in FOLDERS {
        for row in folder.proof() {
            let Row {
                server,
                rounds,
                restored,
                throughput,
                seconds,
                date,
                ..
            } = &row;
            let (software, version) = server.rsplit_once(' ').expect("a name and a version");
            assert!(!software.is_empty() && version.starts_with(|it: char| it.is_ascii_digit()));
            assert!(
                *rounds > 0 && restored <= rounds,
                "{}: {row:?}",
                folder.name
            );
            assert!(
                *throughput >= 0.0 && *seconds >= 0.0,
                "{}: {row:?}",
                folder.name
            );
            let parts: Vec<usize> = date.split('-').map(str::len).collect();
            assert_eq!(parts, [4, 2, 2], "{}: {date}", folder.name);
        }
    }
}

/// Policies whose folder has no rows yet are not held to them.
#[test]
fn a_policy_is_proven_on_every_version_that_it_names() {
    for (folder, place) in FOLDERS.iter().zip(policies()) {
        let rows = folder.proof();
        let Some(proven) = place.policy.about.proven else {
            continue;
        };
        if rows.is_empty() {
            continue;
        }
        for row in rows.iter().filter(|row| row.hook) {
            assert!(row.is_good(), "{}: {row:?}", folder.name);
        }
        for version in versions(&proven) {
            let of_it = |row: &&Row| {
                let rest = row.server.strip_prefix(&version);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            assert!(
                rows.iter().filter(|row| row.hook).any(|row| of_it(&row)),
                "{} says that it was proven on {version}",
                folder.name
            );
        }
    }
}

#[test]
fn versions_are_told_from_what_a_policy_says() {
    assert_eq!(
        versions("PostgreSQL 14, 15, Valkey 9.1 (by hand), Redis 7.0, 8.0"),
        ["PostgreSQL 14", "PostgreSQL 15", "Redis 7.0", "Redis 8.0"]
    );
}

/// Each server and version of the annotation `quiescent.dev/proven`, but those proven by hand.
pub fn versions(proven: &str) -> Vec<String> {
    let mut versions = Vec::new();
    let mut software = "";
    for item in proven.split(", ") {
        let named = item.strip_suffix(" (by hand)");
        let version = match named.unwrap_or(item).rsplit_once(' ') {
            Some((name, version)) => {
                software = name;
                version
            }
            None => item,
        };
        if named.is_none() {
            versions.push(format!("{software} {version}"));
        }
    }
    versions
}

#[test]
fn the_pages_in_the_docs_are_those_of_the_program() {
    let entries = entries();
    let mut pages = BTreeMap::from([
        ("README.md".to_owned(), page::index(&entries)),
        ("proof.md".to_owned(), page::proofs(&entries)),
        ("recognised.md".to_owned(), page::recognised()),
    ]);
    for entry in &entries {
        pages.insert(format!("{}.md", entry.folder.name), page::page(entry));
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/library");
    for (name, text) in &pages {
        golden(&docs.join(name), text);
    }
    for file in fs::read_dir(docs).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(pages.contains_key(&name), "no policy has the page {name}");
    }
}

#[test]
fn the_list_says_everything_of_every_policy() {
    let printed = |arguments: &[&str]| {
        let output = run(arguments, "");
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let values: Value = serde_json::from_str(&printed(&["library", "list", "-o", "json"])).unwrap();
    let table = printed(&["library", "list"]);
    let wide = printed(&["library", "list", "-o", "wide"]);
    assert_eq!(table.lines().count(), FOLDERS.len() + 1);
    assert_eq!(wide.lines().count(), FOLDERS.len() + 1);
    let values = values.as_array().unwrap();
    assert_eq!(values.len(), FOLDERS.len());
    for ((entry, value), (line, long)) in entries()
        .iter()
        .zip(values)
        .zip(table.lines().zip(wide.lines()).skip(1))
    {
        let name = entry.folder.name;
        let about = &entry.policy.about;
        assert_eq!(value["name"], name);
        assert_eq!(value["default"], about.proven.is_some(), "{name}");
        let methods = value["methods"].as_array().unwrap();
        for cell in [
            name,
            &about.engine,
            methods
                .first()
                .map_or("any", |method| method.as_str().unwrap()),
            &about.blocks,
        ] {
            assert!(
                line.contains(cell),
                "{name}: {cell:?} is missing in {line:?}"
            );
        }
        for cell in [&about.needs, &about.description] {
            assert!(
                long.contains(cell),
                "{name}: {cell:?} is missing in {long:?}"
            );
        }
    }
}

#[test]
fn a_page_is_shown_as_it_stands_in_the_docs() {
    for entry in entries() {
        let shown = run(&["library", "show", entry.folder.name], "").stdout;
        let page = page::page(&entry);
        assert!(String::from_utf8(shown).unwrap().starts_with(&page));
    }
}

#[test]
fn every_policy_says_in_a_word_what_it_blocks_and_needs() {
    for place in policies() {
        let about = &place.policy.about;
        let name = &place.policy.name;
        for (key, said) in [("blocks", &about.blocks), ("needs", &about.needs)] {
            assert!(
                !said.is_empty(),
                "{name} needs the annotation quiescent.dev/{key}: \"nothing\" is an answer"
            );
        }
        assert!(
            about.blocks.chars().count() <= 30,
            "{name}: {}",
            about.blocks
        );
    }
}

/// One that asks for a label of its own is asked for by name.
#[test]
fn policies_that_go_by_images_leave_alone_what_is_recognised() {
    let roles = [
        Role::Operator,
        Role::Exporter,
        Role::Pooler,
        Role::Proxy,
        Role::Client,
        Role::Migration,
        Role::Dashboard,
    ];
    for place in policies() {
        let policy = place.policy;
        let mut labels = policy.matching.pod_selector.pairs.iter();
        let asked_for = labels.any(|(key, _)| **key != *METHOD_LABEL);
        if !policy.matching.images.is_empty() && !asked_for {
            assert_eq!(
                policy.leave_alone, roles,
                "{} needs the line leaveAlone: {roles:?}",
                policy.name
            );
        }
    }
}

/// The notes for operators have a place for every policy of an engine; building blocks are for none.
#[test]
fn every_policy_of_an_engine_is_named_in_the_notes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/databases");
    let pages = fs::read_dir(folder).unwrap();
    let notes: String = pages
        .map(|page| fs::read_to_string(page.unwrap().path()).unwrap())
        .collect();
    for place in quiescent::library::policies() {
        let policy = place.policy;
        let link = format!("](../library/{}.md)", policy.name);
        let wanted = policy.about.engine != "any";
        assert!(!wanted || notes.contains(&link), "{}", policy.name);
    }
}

/// A restore waits for the slowest hook of all its pods, and newer Veleros wait ten minutes for a
/// container and no longer. A hook that fails cancels those of other pods, so `Continue` is no promise.
#[test]
fn every_restore_hook_is_bounded() {
    let ten_minutes = Timeout::from_seconds(600);
    for place in policies() {
        let policy = place.policy;
        let Some((hook, wait)) = &policy.hooks.restore else {
            continue;
        };
        let name = &policy.name;
        assert!(
            wait.timeout.is_positive() && wait.timeout <= ten_minutes,
            "{name}"
        );
        assert!(hook.timeout <= Timeout::from_seconds(3600), "{name}");
        assert_eq!(hook.on_error, OnError::Continue, "{name}");
    }
}

/// One word for all who load into a server that runs. What puts files in place runs at every start of
/// its pod, where such a word would bring old data back: there, whoever wants that empties the volume.
#[test]
fn every_restore_of_a_running_server_is_told_to_overwrite_in_one_word() {
    for place in policies() {
        let policy = place.policy;
        let told = policy.parameters.get("overwrite");
        let loads = policy.hooks.restore.is_some() && policy.dumps();
        assert_eq!(told.is_some(), loads, "{}", policy.name);
        if let Some(parameter) = told {
            assert!(parameter.accepts("true") && parameter.default != "true");
        }
    }
}

/// Files that are to be put in place are kept apart from those that a server loads.
#[test]
fn a_policy_with_a_way_back_in_its_scripts_has_a_hook_for_it() {
    for folder in FOLDERS {
        let place = policies()
            .into_iter()
            .find(|it| it.policy.name == folder.name);
        let hooks = place.unwrap().policy.hooks;
        let files: Vec<&str> = folder.scripts.iter().map(|(name, _)| *name).collect();
        let hooked = hooks.restore.is_some() || hooks.init.is_some();
        assert_eq!(files.contains(&"restore.sh"), hooked, "{}", folder.name);
        assert_eq!(
            files.contains(&"init.sh"),
            hooks.init.is_some(),
            "{}",
            folder.name
        );
    }
}
