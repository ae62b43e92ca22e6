//! From a policy as written to a policy that can be followed; what stands in the way is a finding.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{
    About, Action, ContainerChoice, Criteria, Delivery, Hook, Hooks, ImagePattern, Parameter,
    Policy, Rule, ScriptFile, Scripts, Volume, VolumeSource,
    file::{self, HookPolicy},
    name,
    parse::Findings,
    scripts::{self, hexadecimal},
    selector,
};
use crate::{
    velero::{LONGEST_TIMEOUT, OnError, RestoreWait, Timeout},
    yaml::Node,
};

/// Words of commands that stop something until a second command starts it again.
const FREEZES: [(&str, &str); 8] = [
    ("fsfreeze --freeze", "fsfreeze --unfreeze"),
    ("fsfreeze -f", "fsfreeze -u"),
    ("fsyncLock", "fsyncUnlock"),
    ("FLUSH TABLES WITH READ LOCK", "UNLOCK TABLES"),
    ("BACKUP STAGE", "BACKUP STAGE END"),
    ("super_read_only=ON", "super_read_only=OFF"),
    ("pg_backup_start", "pg_backup_stop"),
    ("pg_start_backup", "pg_stop_backup"),
];

/// Inline scripts stand in an annotation, and all annotations of a pod share 256 KiB.
const LARGEST_INLINE: usize = 60_000;

/// One policy on its way from text to type: where things stand, and what was found so far.
struct Compiler<'a, 's> {
    root: &'a Node,
    files: &'a BTreeMap<String, ScriptFile>,
    findings: &'a mut Findings<'s>,
}

pub fn compile(
    file: &HookPolicy,
    root: &Node,
    files: &BTreeMap<String, ScriptFile>,
    findings: &mut Findings<'_>,
) -> Option<Policy> {
    let errors = findings.errors();
    let mut compiler = Compiler {
        root,
        files,
        findings,
    };
    let policy = compiler.policy(file);
    (findings.errors() == errors).then_some(policy)
}

impl Compiler<'_, '_> {
    fn error(
        &mut self,
        rule: Rule,
        path: &[&str],
        message: impl Into<String>,
    ) -> super::parse::Finding<'_> {
        let span = self.root.nearest(path).span.clone();
        self.findings.push(rule, span, message)
    }

    /// About a name that is a key, not about what stands below it.
    fn key_error(
        &mut self,
        rule: Rule,
        path: &[&str],
        message: impl Into<String>,
    ) -> super::parse::Finding<'_> {
        let span = self.root.key(path).clone();
        self.findings.push(rule, span, message)
    }

    fn policy(&mut self, file: &HookPolicy) -> Policy {
        let HookPolicy {
            api_version: _,
            kind: _,
            metadata,
            spec,
        } = file;
        self.name(&metadata.name);
        let matching = self.criteria(&spec.r#match, &["spec", "match"]);
        let exclude = self.exclude(spec);
        self.not_everything(spec, &matching);
        let container = self.container(spec, &matching);
        let parameters = self.parameters(spec, &metadata.name);
        let hooks = self.hooks(&spec.hooks);
        let scripts = self.scripts(spec, &hooks);
        self.thaw(spec, &hooks, &scripts);
        let volumes = self.volumes(spec, &metadata.name);
        self.backup_volumes(spec);
        self.something_to_do(spec);
        Policy {
            name: metadata.name.clone(),
            priority: spec.priority,
            digest: digest(file, &scripts),
            about: about(&metadata.annotations),
            matching,
            exclude,
            container,
            parameters,
            hooks,
            delivery: spec.scripts,
            scripts,
            volumes,
            backup_volumes: spec.backup_volumes.add.clone(),
            on_conflict: spec.on_conflict,
        }
    }

    fn name(&mut self, name: &str) {
        if !name::is_dns_label(name) || name.len() > name::LONGEST_POLICY {
            self.error(
                Rule::BadName,
                &["metadata", "name"],
                format!("{name:?} cannot be the name of a policy"),
            )
            .help(format!(
                "use small letters, digits and -, at most {}, with a letter or digit at both ends",
                name::LONGEST_POLICY
            ));
        }
    }

    fn criteria(&mut self, criteria: &file::Criteria, path: &[&str]) -> Criteria {
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
        Criteria {
            pod_selector: pod_selector.clone().unwrap_or_default(),
            namespace_selector: namespace_selector.clone().unwrap_or_default(),
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
                    let problem: super::image::ImagePatternError = problem;
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

    fn exclude(&mut self, spec: &file::Spec) -> Vec<Criteria> {
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

    fn not_everything(&mut self, spec: &file::Spec, matching: &Criteria) {
        let Criteria {
            pod_selector,
            namespace_selector,
            namespaces,
            images,
            owners,
        } = matching;
        let says_nothing = selector::is_empty(pod_selector)
            && selector::is_empty(namespace_selector)
            && namespaces.is_empty()
            && images.is_empty()
            && spec.r#match.images.is_empty()
            && owners.is_empty();
        let all = says_nothing || (images.len() == 1 && images[0].to_string() == "*");
        if all {
            self.error(
                Rule::MatchesEverything,
                &["spec", "match"],
                "this selects every pod of the cluster",
            )
            .help("name the images, labels, namespaces or owners it is meant for");
        }
    }

    fn container(&mut self, spec: &file::Spec, matching: &Criteria) -> ContainerChoice {
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
            (None, Some(image), None) => ContainerChoice::Image(
                self.images(image.as_slice(), &["spec", "container", "image"]),
            ),
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

    fn parameters(&mut self, spec: &file::Spec, policy: &str) -> BTreeMap<String, Parameter> {
        let mut parameters = BTreeMap::new();
        for (name, written) in &spec.parameters {
            let path = ["spec", "parameters", name];
            let fits = !name.is_empty()
                && name.bytes().all(|c| c.is_ascii_alphanumeric())
                && name.starts_with(|c: char| c.is_ascii_lowercase());
            if !fits {
                self.key_error(
                    Rule::BadParameter,
                    &path,
                    format!("{name:?} cannot be the name of a parameter"),
                )
                .help("use letters and digits, beginning with a small letter, such as lockWait");
            }
            // What stands behind the slash of an annotation's key has 63 characters at most.
            if policy.len() + 1 + name.len() > 63 {
                self.key_error(
                    Rule::BadParameter,
                    &path,
                    format!("no annotation can set {name:?}: {policy}.{name} is too long"),
                );
            }
            let parameter = Parameter {
                kind: written.r#type,
                default: written.default.clone(),
                allowed: written.r#enum.clone(),
                description: written.description.clone(),
                variable: variable(name),
            };
            if !written.default.is_empty() && !parameter.accepts(&written.default) {
                self.error(
                    Rule::BadParameter,
                    &["spec", "parameters", name, "default"],
                    format!(
                        "the default {:?} is no value of this parameter",
                        written.default
                    ),
                );
            }
            if parameter.variable == TIMEOUT_VARIABLE {
                self.key_error(
                    Rule::BadParameter,
                    &path,
                    format!(
                        "{TIMEOUT_VARIABLE} is set already: the seconds that a script may take"
                    ),
                );
            }
            parameters.insert(name.clone(), parameter);
        }
        parameters
    }

    fn hooks(&mut self, hooks: &file::Hooks) -> Hooks {
        let file::Hooks { pre, post, restore } = hooks;
        Hooks {
            pre: pre
                .as_ref()
                .map(|hook| self.hook(hook, &["spec", "hooks", "pre"])),
            post: post
                .as_ref()
                .map(|hook| self.hook(hook, &["spec", "hooks", "post"])),
            restore: restore.as_ref().map(|hooks| self.restore(&hooks.post)),
        }
    }

    fn hook(&mut self, hook: &file::Hook, path: &[&str]) -> Hook {
        let file::Hook {
            script,
            command,
            timeout,
            on_error,
            retry,
        } = hook;
        self.duration(*timeout, &[path, &["timeout"]].concat());
        if let Some(file::Retry { attempts, delay }) = retry {
            let path = [path, &["retry"]].concat();
            if !(1..=10).contains(attempts) {
                self.error(
                    Rule::RetryTooLong,
                    &path,
                    format!("{attempts} attempts: at least 1, at most 10"),
                );
            }
            let pauses = delay.saturating_mul(i64::from(attempts.saturating_sub(1)));
            if pauses >= *timeout {
                self.error(
                    Rule::RetryTooLong,
                    &path,
                    format!(
                        "the pauses alone take {pauses}, and the hook has {timeout} for all of it"
                    ),
                )
                .help("raise the timeout, or lower attempts or delay");
            }
        }
        Hook {
            action: self.action(script.as_ref(), command.as_ref(), path),
            timeout: *timeout,
            on_error: *on_error,
            retry: *retry,
        }
    }

    fn restore(&mut self, hook: &file::RestoreHook) -> (Hook, RestoreWait) {
        let path = ["spec", "hooks", "restore", "post"];
        let file::RestoreHook {
            script,
            command,
            exec_timeout,
            wait_timeout,
            wait_for_ready,
            on_error,
        } = hook;
        self.duration(*exec_timeout, &[&path[..], &["execTimeout"]].concat());
        self.duration(*wait_timeout, &[&path[..], &["waitTimeout"]].concat());
        let hook = Hook {
            action: self.action(script.as_ref(), command.as_ref(), &path),
            timeout: *exec_timeout,
            on_error: *on_error,
            retry: None,
        };
        let wait = RestoreWait {
            timeout: *wait_timeout,
            for_ready: *wait_for_ready,
        };
        (hook, wait)
    }

    fn duration(&mut self, duration: Timeout, path: &[&str]) {
        if duration.seconds() < 1 {
            self.error(Rule::BadDuration, path, "a hook needs at least one second");
        } else if duration > LONGEST_TIMEOUT {
            self.error(
                Rule::BadDuration,
                path,
                format!("Velero ends a hook after {LONGEST_TIMEOUT}, whatever is written"),
            )
            .help(format!("write {LONGEST_TIMEOUT} or less"));
        }
    }

    fn action(
        &mut self,
        script: Option<&String>,
        command: Option<&Vec<String>>,
        path: &[&str],
    ) -> Action {
        match (script, command) {
            (Some(script), None) => {
                self.script(script, &[path, &["script"]].concat());
                Action::Script(script.clone())
            }
            (None, Some(command)) => {
                if command.first().is_none_or(String::is_empty) {
                    self.error(
                        Rule::BadAction,
                        &[path, &["command"]].concat(),
                        "a command needs a program",
                    )
                    .help("write a list: the program, then each of its arguments");
                }
                Action::Command(command.clone())
            }
            (Some(_), Some(_)) => {
                self.error(
                    Rule::BadAction,
                    path,
                    "a hook runs a script or a command, not both",
                )
                .help("remove one of them");
                Action::Command(Vec::new())
            }
            (None, None) => {
                self.error(Rule::BadAction, path, "this hook runs nothing")
                    .help("add script: with a file's name, or command: with a list");
                Action::Command(Vec::new())
            }
        }
    }

    fn script(&mut self, script: &str, path: &[&str]) {
        if script.contains('/') || matches!(script, "." | "..") {
            self.error(
                Rule::ForeignScript,
                path,
                format!("{script:?} is not in the policy's own folder"),
            )
            .help(
                "put the file into the folder scripts beside the policy, and write its name alone",
            );
            return;
        }
        match self.files.get(script) {
            Some(ScriptFile::Text(_)) => {}
            Some(ScriptFile::Binary) => {
                self.error(Rule::MissingScript, path, format!("{script:?} is no text"));
            }
            Some(ScriptFile::Outside) => {
                self.error(
                    Rule::ForeignScript,
                    path,
                    format!("{script:?} is a link that leads out of the policy's folder"),
                )
                .help("copy the file instead");
            }
            None => {
                let there: Vec<&str> = self.files.keys().map(String::as_str).collect();
                let help = if there.is_empty() {
                    "there is no folder scripts beside the policy, or nothing in it".to_owned()
                } else {
                    format!(
                        "in the folder scripts beside the policy: {}",
                        there.join(", ")
                    )
                };
                self.error(
                    Rule::MissingScript,
                    path,
                    format!("there is no script {script:?}"),
                )
                .help(help);
            }
        }
    }

    fn scripts(&mut self, spec: &file::Spec, hooks: &Hooks) -> Scripts {
        let texts = self.files.iter().filter_map(|(name, file)| match file {
            ScriptFile::Text(text) => Some((name.clone(), text.clone())),
            ScriptFile::Binary | ScriptFile::Outside => None,
        });
        let scripts = Scripts::new(texts.collect());
        let size = scripts.size();
        if size > scripts::LARGEST {
            self.error(
                Rule::LargeScripts,
                &["spec", "hooks"],
                format!(
                    "the scripts have {size} bytes, and a ConfigMap holds {}",
                    scripts::LARGEST
                ),
            )
            .help("put what is large into the image");
        }
        if spec.scripts == Delivery::Inline {
            let Hooks { pre, post, restore } = hooks;
            let hooks = [
                pre.as_ref(),
                post.as_ref(),
                restore.as_ref().map(|(hook, _)| hook),
            ];
            for hook in hooks.into_iter().flatten() {
                if let Action::Script(name) = &hook.action {
                    let size = scripts.inline(name).len();
                    if size > LARGEST_INLINE {
                        self.error(Rule::LargeScripts, &["spec", "scripts"], format!("{name:?} has {size} bytes with what it sources, too many for an annotation"))
                            .help("write scripts: ConfigMap");
                    }
                }
            }
        }
        scripts
    }

    fn thaw(&mut self, spec: &file::Spec, hooks: &Hooks, scripts: &Scripts) {
        let text = |hook: &Hook| match &hook.action {
            Action::Script(name) => scripts.files().get(name).cloned().unwrap_or_default(),
            Action::Command(command) => command.join(" "),
        };
        if let Some(pre) = &hooks.pre {
            let pre_text = text(pre);
            let post_text = hooks.post.as_ref().map(text).unwrap_or_default();
            let frozen = FREEZES.iter().find(|(freeze, thaw)| {
                pre_text.contains(freeze) && !pre_text.contains(thaw) && !post_text.contains(thaw)
            });
            if let Some((freeze, thaw)) = frozen {
                self.error(Rule::FreezeWithoutThaw, &["spec", "hooks", "pre"], format!("{freeze:?} here, and {thaw:?} nowhere"))
                    .help("add a post hook that undoes it, and undo it in the pre hook when that fails: Velero then runs no post hook");
            }
        }
        let dumps = !spec.volumes.is_empty() && hooks.pre.is_some();
        if dumps
            && hooks
                .pre
                .as_ref()
                .is_some_and(|pre| pre.on_error == OnError::Continue)
        {
            self.error(Rule::DumpMayBeOld, &["spec", "hooks", "pre", "onError"], "when this hook fails, the volume goes into the backup with what an earlier run left")
                .help("write onError: Fail");
        }
    }

    fn volumes(&mut self, spec: &file::Spec, policy: &str) -> Vec<Volume> {
        let scripts_volume = format!("quiescent-{policy}");
        let scripts_path = format!("/quiescent/{policy}");
        let mut volumes: Vec<Volume> = Vec::new();
        for (name, written) in &spec.volumes {
            let path = ["spec", "volumes", name];
            let file::Volume {
                mount_path,
                empty_dir,
                ephemeral,
            } = written;
            if !name::is_dns_label(name) || *name == scripts_volume {
                self.key_error(Rule::BadVolume, &path, format!("no volume here can have the name {name:?}"))
                    .help("use small letters, digits and -, at most 63, and not the name of the volume with the scripts");
            }
            let clean = mount_path.starts_with('/')
                && mount_path.len() > 1
                && !mount_path.contains([':', '\0'])
                && !mount_path.split('/').any(|part| part == "..");
            if !clean {
                self.error(
                    Rule::BadVolume,
                    &["spec", "volumes", name, "mountPath"],
                    format!("{mount_path:?} is no path to mount at"),
                )
                .help("write an absolute path without .. and :");
            }
            if volumes.iter().any(|other| other.mount_path == *mount_path)
                || *mount_path == scripts_path
            {
                self.error(
                    Rule::BadVolume,
                    &["spec", "volumes", name, "mountPath"],
                    format!("another volume is mounted at {mount_path:?}"),
                );
            }
            let source = match (empty_dir, ephemeral) {
                (Some(empty_dir), None) => {
                    self.quantity(
                        empty_dir.size_limit.as_ref(),
                        &["spec", "volumes", name, "emptyDir", "sizeLimit"],
                    );
                    VolumeSource::EmptyDir(empty_dir.clone())
                }
                (None, Some(ephemeral)) => {
                    self.quantity(
                        Some(&ephemeral.size),
                        &["spec", "volumes", name, "ephemeral", "size"],
                    );
                    VolumeSource::Ephemeral(ephemeral.clone())
                }
                _ => {
                    self.error(
                        Rule::BadVolume,
                        &path,
                        "a volume is one of emptyDir and ephemeral",
                    )
                    .help("write emptyDir: {sizeLimit: 10Gi}");
                    continue;
                }
            };
            volumes.push(Volume {
                name: name.clone(),
                mount_path: mount_path.clone(),
                source,
            });
        }
        volumes
    }

    fn quantity(&mut self, quantity: Option<&String>, path: &[&str]) {
        if let Some(quantity) = quantity.filter(|quantity| !name::is_quantity(quantity)) {
            self.error(Rule::BadVolume, path, format!("{quantity:?} is no size"))
                .help("write a number and a unit, such as 10Gi");
        }
    }

    fn backup_volumes(&mut self, spec: &file::Spec) {
        for (index, name) in spec.backup_volumes.add.iter().enumerate() {
            if !name::is_dns_label(name) {
                let index = index.to_string();
                self.error(Rule::BadBackupVolume, &["spec", "backupVolumes", "add", &index], format!("no volume can have the name {name:?}, so Velero would pass over it in silence"));
            }
        }
    }

    fn something_to_do(&mut self, spec: &file::Spec) {
        let file::Hooks { pre, post, restore } = &spec.hooks;
        let nothing = pre.is_none()
            && post.is_none()
            && restore.is_none()
            && spec.volumes.is_empty()
            && spec.backup_volumes.add.is_empty();
        if nothing {
            self.error(
                Rule::NothingToDo,
                &["spec", "hooks"],
                "this policy has no hook and no volume",
            );
        }
    }
}

/// Set for every script: the seconds it may take.
pub const TIMEOUT_VARIABLE: &str = "QUIESCENT_TIMEOUT";

/// `lockWait` is `QUIESCENT_LOCK_WAIT`.
fn variable(parameter: &str) -> String {
    let mut name = "QUIESCENT_".to_owned();
    for c in parameter.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

fn about(annotations: &BTreeMap<String, String>) -> About {
    let told = |key: &str| annotations.get(&format!("quiescent.dev/{key}")).cloned();
    About {
        description: told("description").unwrap_or_default(),
        engine: told("engine").unwrap_or_default(),
        proven: told("proven").filter(|proven| proven != "unproven"),
    }
}

/// Over what the policy says, not over how it is written: comments and the order of keys do not count.
fn digest(file: &HookPolicy, scripts: &Scripts) -> String {
    let written = serde_json::to_vec(file).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(&written);
    hash.update(scripts.digest());
    hexadecimal(&hash.finalize(), 12)
}
