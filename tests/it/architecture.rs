//! The layers of `src`, checked: a module uses only modules on lower layers, the core touches
//! nothing outside of the process, and every file says what it is for.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use syn::{UseTree, visit::Visit};

/// The layers of `src/lib.rs`, the lowest first. Modules of one layer do not use each other.
const LAYERS: &[&[&str]] = &[
    &["coordinator", "csi", "json"],
    &["diagnostic", "yaml", "velero", "pod", "rotation", "entries"],
    &["policy"],
    &["recognise"],
    &["select"],
    &["plan"],
    &["patch"],
    &["inject", "uninject"],
    &["guard"],
    &[
        "workload",
        "report",
        "admission",
        "library",
        "replica",
        "render",
    ],
    &["lint"],
    &["audit", "doctor"],
    &["missed"],
    &["trial"],
    &["results", "snapshot"],
    &["verify"],
    &["restore_snapshot"],
    &["files", "shutdown", "telemetry", "kubernetes"],
    &["certs", "policy_files", "velero_files", "live"],
    &["policy_resources", "snapshotter"],
    &["server", "controller"],
    &["cli"],
];

/// So many layers are pure: no clock, no file, no client, nothing async, no logger.
const CORE: usize = 17;

/// Outside paths that a pure module may begin a path with, of the crates that could do more.
const CORE_MAY_USE: &[&str] = &[
    "std::borrow",
    "std::cell",
    "std::cmp",
    "std::collections",
    "std::error",
    "std::fmt",
    "std::iter",
    "std::marker",
    "std::mem",
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::ops",
    "std::ptr::eq",
    "std::slice",
    "std::str",
    "std::sync::Arc",
    "std::sync::LazyLock",
    "std::sync::OnceLock",
    "std::time::Duration",
];

/// The crates that do I/O, wait or log, `std` among them.
const EFFECTFUL: &[&str] = &[
    "std",
    "tokio",
    "futures",
    "kube",
    "axum",
    "hyper",
    "hyper_util",
    "rustls",
    "tokio_rustls",
    "tracing",
    "prometheus_client",
    "arc_swap",
    "anstream",
    "clap",
    "rcgen",
    "k8s_openapi",
];

/// Modules whose neighbours on I/O layers have no word of ours, and may use nothing of the core.
const WITHOUT_DOMAIN: &[&str] = &["files", "shutdown", "telemetry", "kubernetes"];

/// The only files that may spell an annotation of Velero, and the operations of a JSON patch.
const SPELLERS: &[(&str, &str)] = &[
    ("hook.backup.velero.io/command", "velero.rs"),
    ("hook.restore.velero.io/command", "velero.rs"),
    ("backup.velero.io/backup-volumes", "velero.rs"),
    ("/spec/volumes/-", "patch.rs"),
    ("snapshot.storage.k8s.io", "csi.rs"),
];

/// Every path a file names, grouped imports spelled out.
#[derive(Default)]
struct Paths(Vec<String>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.spell(&item.tree, "");
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // Tests may reach for a file or a server.
        let is_test = |attribute: &syn::Attribute| attribute.path().is_ident("cfg");
        if !item.attrs.iter().any(is_test) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let names = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string());
            self.0.push(names.collect::<Vec<_>>().join("::"));
        }
        syn::visit::visit_path(self, path);
    }
}

impl Paths {
    fn spell(&mut self, tree: &UseTree, prefix: &str) {
        match tree {
            UseTree::Path(path) => self.spell(&path.tree, &format!("{prefix}{}::", path.ident)),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.spell(item, prefix)),
            UseTree::Name(name) => self.0.push(format!("{prefix}{}", name.ident)),
            UseTree::Rename(rename) => self.0.push(format!("{prefix}{}", rename.ident)),
            UseTree::Glob(_) => self.0.push(format!("{prefix}*")),
        }
    }
}

#[test]
fn modules_use_only_lower_layers() {
    let layers: BTreeMap<&str, usize> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(layer, names)| names.iter().map(move |name| (*name, layer)))
        .collect();
    let mut wrong = Vec::new();
    for (name, file, text) in sources() {
        if !text.starts_with("//!") && !file.ends_with("tests.rs") {
            wrong.push(format!("{file} does not say what it is for"));
        }
        for (spelling, speller) in SPELLERS {
            if text.contains(spelling) && file != *speller && !is_words(&file) {
                wrong.push(format!(
                    "{file} spells {spelling}, which is the matter of {speller}"
                ));
            }
        }
        if matches!(&*name, "lib" | "main") || file.ends_with("tests.rs") {
            continue;
        }
        let Some(&layer) = layers.get(&*name) else {
            wrong.push(format!("{name} is on no layer"));
            continue;
        };
        let mut paths = Paths::default();
        paths.visit_file(&syn::parse_file(&text).unwrap());
        for path in paths.0 {
            let (root, rest) = path.split_once("::").unwrap_or((&path, ""));
            if root == "crate" {
                let used = rest.split("::").next().unwrap();
                let lower = layers.get(used).is_some_and(|&below| below < layer);
                if used != name && !lower {
                    wrong.push(format!("{file} uses {used}"));
                }
                let of_core = layers.get(used).is_some_and(|&below| below < CORE);
                if WITHOUT_DOMAIN.contains(&&*name) && of_core {
                    wrong.push(format!("{file} knows {used}"));
                }
            } else if EFFECTFUL.contains(&root)
                && layer < CORE
                && !CORE_MAY_USE.iter().any(|may| path.starts_with(may))
            {
                wrong.push(format!("{file} uses {path}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "against the layers:\n{}",
        wrong.join("\n")
    );
}

/// Sentences for people, in which an annotation may be named.
fn is_words(file: &str) -> bool {
    file.ends_with("tests.rs") || file == "admission.rs"
}

/// Top module, path below `src` and text of every file.
fn sources() -> Vec<(String, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&src).into_iter();
    files
        .map(|path| {
            let within = path.strip_prefix(&src).unwrap();
            let top = within.iter().next().unwrap().to_str().unwrap();
            (
                top.trim_end_matches(".rs").to_owned(),
                within.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect()
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let (dirs, files): (Vec<_>, Vec<_>) = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .partition(|path| path.is_dir());
    let files = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|it| it == "rs"));
    files
        .chain(dirs.iter().flat_map(|dir| rust_files(dir)))
        .collect()
}
