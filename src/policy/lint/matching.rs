//! Whom a policy means: labels, namespaces, images, owners, and the container of its hooks.

use super::{
    super::{
        ContainerChoice, Criteria, ImagePattern, METHOD_LABEL, Rule, Selector, file,
        image::ImagePatternError, name, selector,
    },
    Compiler,
};

/// The kinds of Kubernetes that make pods.
const KINDS: [&str; 7] = [
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
];

/// The kind that was meant, where this is one in other capitals or with a letter astray.
fn near_kind(kind: &str) -> Option<&'static str> {
    let same = |known: &&&str| {
        let alike = strsim::jaro_winkler(&known.to_lowercase(), &kind.to_lowercase());
        alike > 0.95
    };
    let known = KINDS.iter().find(same);
    known.copied().filter(|known| *known != kind)
}

impl Compiler<'_, '_> {
    pub(super) fn criteria(&mut self, criteria: &file::Criteria, path: &[&str]) -> Criteria {
        let file::Criteria {
            pod_selector,
            namespace_selector,
            namespaces,
            images,
            owners,
        } = criteria;
        let below = |steps: &[&str]| {
            [path, steps]
                .concat()
                .iter()
                .map(|step| (*step).to_owned())
                .collect::<Vec<_>>()
        };
        for (field, selector) in [
            ("podSelector", pod_selector),
            ("namespaceSelector", namespace_selector),
        ] {
            for (steps, problem) in selector.iter().flat_map(selector::problems) {
                let mut at = below(&[field]);
                at.extend(steps);
                let at: Vec<&str> = at.iter().map(String::as_str).collect();
                self.error(Rule::BadSelector, &at, problem.to_string());
            }
        }
        for (index, namespace) in namespaces.iter().enumerate() {
            let plain = namespace.replace('*', "a");
            if !name::is_dns_label(&plain) {
                let index = index.to_string();
                self.error(
                    Rule::BadName,
                    &[path, &["namespaces", &index]].concat(),
                    format!("{namespace:?} cannot be the name of a namespace"),
                );
            }
        }
        for (index, owner) in owners.iter().enumerate() {
            if !owner.kind.starts_with(|c: char| c.is_ascii_uppercase()) {
                let index = index.to_string();
                self.error(
                    Rule::BadName,
                    &[path, &["owners", &index, "kind"]].concat(),
                    format!("{:?} is no kind", owner.kind),
                )
                .help("write it as kubectl api-resources does, such as StatefulSet");
            } else if let Some(meant) = near_kind(&owner.kind) {
                let index = index.to_string();
                self.error(
                    Rule::NearKind,
                    &[path, &["owners", &index, "kind"]].concat(),
                    format!("no {} owns pods in Kubernetes itself", owner.kind),
                )
                .help(format!("did you mean {meant}?"));
            }
        }
        Criteria {
            pod_selector: pod_selector
                .as_ref()
                .map_or_else(Selector::default, Into::into),
            namespace_selector: namespace_selector
                .as_ref()
                .map_or_else(Selector::default, Into::into),
            namespaces: namespaces.clone(),
            images: self.images(images, &[path, &["images"]].concat()),
            owners: owners.clone(),
        }
    }

    fn images(&mut self, patterns: &[String], path: &[&str]) -> Vec<ImagePattern> {
        let mut images = Vec::with_capacity(patterns.len());
        for (index, pattern) in patterns.iter().enumerate() {
            match pattern.parse() {
                Ok(image) => images.push(image),
                Err(problem) => {
                    let problem: ImagePatternError = problem;
                    let index = index.to_string();
                    self.error(
                        Rule::BadImage,
                        &[path, &[&index]].concat(),
                        format!("{pattern:?} names no images: {problem}"),
                    )
                    .help("write a repository without its registry, such as postgres, */bitnami/postgresql or postgres:>=15");
                }
            }
        }
        images
    }

    pub(super) fn exclude(&mut self, spec: &file::Spec) -> Vec<Criteria> {
        let mut excluded = Vec::new();
        for (index, criteria) in spec.exclude.as_slice().iter().enumerate() {
            let index = index.to_string();
            let path: &[&str] = match spec.exclude {
                file::OneOrMany::One(_) => &["spec", "exclude"],
                file::OneOrMany::Many(_) => &["spec", "exclude", &index],
            };
            let criteria = self.criteria(criteria, path);
            // `exclude: {}` stands in many a template; it excludes nothing rather than everything.
            if criteria != Criteria::default() {
                excluded.push(criteria);
            }
        }
        excluded
    }

    pub(super) fn not_everything(&mut self, spec: &file::Spec, matching: &Criteria) {
        let Criteria {
            pod_selector,
            namespace_selector,
            namespaces,
            images,
            owners,
        } = matching;
        // The method is every pod's, by default.
        let pairs = pod_selector.pairs.iter().map(|(key, _)| &**key);
        let asked = pod_selector.expressions.iter().map(|it| it.key.as_str());
        let labels = pairs.chain(asked).any(|key| key != METHOD_LABEL);
        let some_images =
            !spec.r#match.images.is_empty() && !images.iter().any(ImagePattern::is_any);
        let some_namespaces = !namespaces.is_empty() && !namespaces.iter().any(|name| name == "*");
        let restricted = labels
            || some_images
            || some_namespaces
            || !namespace_selector.is_empty()
            || !owners.is_empty();
        if !restricted {
            self.error(
                Rule::MatchesEverything,
                &["spec", "match"],
                "this selects every pod of the cluster",
            )
            .help("name the images, labels, namespaces or owners it is meant for");
        }
    }

    pub(super) fn container(&mut self, spec: &file::Spec, matching: &Criteria) -> ContainerChoice {
        let path = ["spec", "container"];
        let Some(container) = &spec.container else {
            if spec.r#match.images.is_empty() {
                self.error(
                    Rule::ImpossibleContainer,
                    &["spec"],
                    "nothing says in which container the hooks run",
                )
                .help("add container: with a name, an image or a port; the first one may be anybody's proxy");
            }
            return ContainerChoice::Image(matching.images.clone());
        };
        let file::Container { name, image, port } = container;
        let choice = match (name, image, port) {
            (Some(name), None, None) => {
                if !name::is_dns_label(name) {
                    self.error(
                        Rule::ImpossibleContainer,
                        &["spec", "container", "name"],
                        format!("no container can have the name {name:?}"),
                    );
                }
                ContainerChoice::Name(name.clone())
            }
            (None, Some(image), None) => {
                let path = ["spec", "container", "image"];
                if image.is_empty() {
                    self.error(
                        Rule::ImpossibleContainer,
                        &path,
                        "no container has one of no images",
                    )
                    .help("name an image, or leave container out");
                }
                ContainerChoice::Image(self.images(image.as_slice(), &path))
            }
            (None, None, Some(port)) => {
                if *port == 0 {
                    self.error(
                        Rule::ImpossibleContainer,
                        &["spec", "container", "port"],
                        "no container can have the port 0",
                    );
                }
                ContainerChoice::Port(*port)
            }
            _ => {
                self.error(
                    Rule::ImpossibleContainer,
                    &path,
                    "a container is chosen by one of name, image and port",
                )
                .help("keep one of them");
                return ContainerChoice::Image(Vec::new());
            }
        };
        if let ContainerChoice::Image(chosen) = &choice {
            let wanted = &matching.images;
            let meet = |one: &ImagePattern| wanted.iter().any(|other| one.may_overlap(other));
            if !chosen.is_empty() && !wanted.is_empty() && !chosen.iter().any(meet) {
                // A pod may have both, but then `match` asks for the one and the hooks run in the other: a slip.
                self.error(
                    Rule::ImpossibleContainer,
                    &["spec", "container", "image"],
                    "no image that match asks for is one that container asks for",
                )
                .help("name the same images in both, or leave container out");
            }
        }
        choice
    }
}
