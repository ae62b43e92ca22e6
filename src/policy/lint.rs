//! From a policy as written to a policy that can be followed; what stands in the way is a finding.

mod calls;
mod coordinator;
mod hooks;
mod matching;
mod parameters;
mod volumes;

use std::collections::BTreeMap;

use super::{
    About, Criteria, Names, PARAMETER_PREFIX, Policy, Rule, ScriptFile, Scripts,
    call::Call,
    file::{self, CLUSTER_KIND, HookPolicy, KIND, Metadata},
    fingerprint, glob, name,
};
use crate::{
    diagnostic::{Finding, Findings},
    yaml::Node,
};

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
    let texts = file.spec.script_files.iter();
    let own: BTreeMap<String, ScriptFile> = texts
        .map(|(name, text)| (name.clone(), ScriptFile::Text(text.clone())))
        .collect();
    let mut compiler = Compiler {
        root,
        files: if own.is_empty() { files } else { &own },
        findings,
    };
    let policy = compiler.policy(file);
    (findings.errors() == errors).then_some(policy)
}

/// The call of a hook that stands at `path` of something that is no policy.
pub fn call(
    hook: &file::Hook,
    root: &Node,
    path: &[&str],
    findings: &mut Findings<'_>,
) -> Option<Call> {
    let files = &BTreeMap::new();
    let mut compiler = Compiler {
        root,
        files,
        findings,
    };
    compiler.call(hook, path)
}

impl Compiler<'_, '_> {
    fn error(&mut self, rule: Rule, path: &[&str], message: impl Into<String>) -> Finding<'_> {
        let span = self.root.nearest(path).span.clone();
        self.findings.push(rule, span, message)
    }

    /// About a name that is a key, not about what stands below it.
    fn key_error(&mut self, rule: Rule, path: &[&str], message: impl Into<String>) -> Finding<'_> {
        let span = self.root.key(path).clone();
        self.findings.push(rule, span, message)
    }

    fn policy(&mut self, file: &HookPolicy) -> Policy {
        let HookPolicy {
            api_version: _,
            kind,
            metadata,
            spec,
        } = file;
        self.name(&metadata.name);
        let mut matching = self.criteria(&spec.r#match, &["spec", "match"]);
        if let Some(namespace) = &metadata.namespace {
            self.namespace(kind, namespace, &mut matching);
        }
        let exclude = self.exclude(spec);
        self.not_everything(spec, &matching);
        let container = self.container(spec, &matching);
        let parameters = self.parameters(spec, &metadata.name);
        let mut hooks = self.hooks(&spec.hooks);
        let coordinator = self.coordinator(spec, &mut hooks);
        self.pair(spec);
        self.beside_calls(spec);
        let scripts = self.scripts(spec, &hooks);
        self.thaw(spec, &hooks, &scripts);
        let volumes = self.volumes(spec, &metadata.name);
        self.backup_volumes(spec);
        self.something_to_do(spec);
        let digest = digest(file, &scripts);
        Policy {
            names: Names::new(&metadata.name, &digest, &scripts),
            name: metadata.name.clone(),
            namespace: metadata.namespace.as_deref().map(Into::into),
            priority: spec.priority,
            digest,
            about: about(&metadata.annotations),
            matching,
            exclude,
            leave_alone: spec.leave_alone.clone(),
            container,
            parameters,
            hooks,
            coordinator: coordinator.map(Box::new),
            delivery: spec.scripts,
            scripts,
            volumes,
            backup_volumes: spec.backup_volumes.add.clone(),
            on_conflict: spec.on_conflict,
        }
    }

    fn name(&mut self, name: &str) {
        // The name of the step that is the pod's own hook.
        let reserved = name == "author";
        if reserved || !name::is_dns_label(name) || name.len() > name::LONGEST_POLICY {
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

    /// A policy of a namespace selects pods there alone, whatever else it asks for.
    fn namespace(&mut self, kind: &str, namespace: &str, matching: &mut Criteria) {
        let path = ["metadata", "namespace"];
        if kind == CLUSTER_KIND {
            self.error(
                Rule::BadNamespace,
                &path,
                format!("a {CLUSTER_KIND} has no namespace"),
            )
            .help(format!("write kind: {KIND}, or take the namespace out"));
        } else if !name::is_dns_label(namespace) {
            self.error(
                Rule::BadNamespace,
                &path,
                format!("{namespace:?} cannot be the name of a namespace"),
            );
        }
        let asked = &matching.namespaces;
        if !asked.is_empty() && !asked.iter().any(|it| glob::matches(it, namespace)) {
            self.error(
                Rule::BadNamespace,
                &["spec", "match", "namespaces"],
                format!("a policy of the namespace {namespace:?} selects no pod of another"),
            )
            .help(format!("take this out, or write a {CLUSTER_KIND}"));
        }
        matching.namespaces = vec![namespace.to_owned()];
    }

    fn something_to_do(&mut self, spec: &file::Spec) {
        let file::Hooks {
            pre,
            post,
            restore,
            check: _,
        } = &spec.hooks;
        let nothing = pre.is_none()
            && post.is_none()
            && restore
                .as_ref()
                .is_none_or(|it| it.post.is_none() && it.init.is_none())
            && spec.coordinator.is_none()
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

fn about(annotations: &BTreeMap<String, String>) -> About {
    let told = |key: &str| annotations.get(&format!("quiescent.dev/{key}")).cloned();
    About {
        description: told("description").unwrap_or_default(),
        engine: told("engine").unwrap_or_default(),
        proven: told("proven").filter(|proven| proven != "unproven"),
        blocks: told("blocks").unwrap_or_default(),
        needs: told("needs").unwrap_or_default(),
    }
}

/// Over what the policy says, not over how it is written: comments and the order of keys do not count,
/// nor whether it is a file or an object of the cluster, with what tools note on that.
fn digest(file: &HookPolicy, scripts: &Scripts) -> String {
    let HookPolicy {
        api_version,
        kind: _,
        metadata,
        spec,
    } = file;
    let own = metadata.annotations.iter();
    let own = own.filter(|(key, _)| key.starts_with(PARAMETER_PREFIX));
    let said = HookPolicy {
        api_version: api_version.clone(),
        kind: KIND.to_owned(),
        metadata: Metadata {
            name: metadata.name.clone(),
            namespace: None,
            annotations: own.map(|(key, it)| (key.clone(), it.clone())).collect(),
            labels: BTreeMap::new(),
        },
        spec: file::Spec {
            script_files: BTreeMap::new(),
            ..spec.clone()
        },
    };
    let written = serde_json::to_vec(&said).unwrap_or_default();
    fingerprint([written.as_slice(), scripts.digest().as_bytes()], 12)
}
