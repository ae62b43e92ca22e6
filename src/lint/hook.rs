//! One hook, whether it stands in annotations or in an object of Velero.

use super::{
    Spot, pod,
    pod::{at, items, text},
    shell,
};
use crate::{
    velero::{HookPhase, command_elements},
    yaml::Node,
};

/// A hook with the places of its parts.
#[derive(Clone, Debug)]
pub struct Hook<'d> {
    pub phase: HookPhase,
    /// What people call its fields: the annotations' prefix, or nothing for those of an object.
    pub prefix: Option<&'static str>,
    pub argv: Vec<Arg<'d>>,
    /// The whole command.
    pub command: Spot<'d>,
    /// The mapping in which its settings stand, where it has any.
    pub settings: Option<&'d Node>,
    pub container: Option<&'d Node>,
    pub on_error: Option<&'d Node>,
    pub timeout: Option<&'d Node>,
    pub wait_timeout: Option<&'d Node>,
    pub wait_for_ready: Option<&'d Node>,
}

/// One argument and its place.
#[derive(Clone, Debug)]
pub struct Arg<'d> {
    pub text: String,
    pub spot: Spot<'d>,
}

impl<'d> Hook<'d> {
    /// The hook of a phase in a pod's annotations.
    pub fn of_annotations(pod: &pod::Pod<'d>, phase: HookPhase) -> Option<Self> {
        let keys = phase.keys();
        let field = |name: &str| pod.annotation(&format!("{}/{name}", phase.prefix()));
        let command = pod.annotation(keys.command)?;
        if command.as_str()?.is_empty() {
            return None;
        }
        Some(Self {
            phase,
            prefix: Some(phase.prefix()),
            argv: argv(command),
            command: Spot::of(command),
            settings: at(pod.template, &["metadata", "annotations"]),
            container: pod.annotation(keys.container),
            on_error: pod.annotation(keys.on_error),
            timeout: pod.annotation(keys.timeout),
            wait_timeout: field("wait-timeout"),
            wait_for_ready: field("wait-for-ready"),
        })
    }

    /// The hook of an `exec` in a Backup or Restore.
    pub fn of_spec(exec: &'d Node, phase: HookPhase) -> Option<Self> {
        let command = exec.get("command")?;
        let argv = items(Some(command)).iter().map(|node| Arg {
            text: node.as_str().unwrap_or_default().to_owned(),
            spot: Spot::of(node),
        });
        let timeout = match phase {
            HookPhase::Pre | HookPhase::Post => "timeout",
            HookPhase::PostRestore => "execTimeout",
        };
        Some(Self {
            phase,
            prefix: None,
            argv: argv.collect(),
            command: Spot::of(command),
            settings: Some(exec),
            container: exec.get("container"),
            on_error: exec.get("onError"),
            timeout: exec.get(timeout),
            wait_timeout: exec.get("waitTimeout"),
            wait_for_ready: exec.get("waitForReady"),
        })
    }

    /// A script that a hook of this phase runs, for what is known of its commands.
    pub fn of_script(script: &'d Node, phase: HookPhase) -> Self {
        let spot = Spot::of(script);
        Self {
            phase,
            prefix: None,
            argv: vec![Arg {
                text: script.as_str().unwrap_or_default().to_owned(),
                spot: spot.clone(),
            }],
            command: spot,
            settings: None,
            container: None,
            on_error: None,
            timeout: None,
            wait_timeout: None,
            wait_for_ready: None,
        }
    }

    pub fn container_name(&self) -> Option<&'d str> {
        self.container
            .and_then(Node::as_str)
            .filter(|name| !name.is_empty())
    }

    /// All that is run, in one text.
    pub fn said(&self) -> String {
        let words: Vec<&str> = self.argv.iter().map(|arg| arg.text.as_str()).collect();
        words.join(" ")
    }

    /// The script of `sh -c`, when that is what runs.
    pub fn script(&self) -> Option<&Arg<'d>> {
        shell::script(&self.argv.iter().map(|arg| &*arg.text).collect::<Vec<_>>())
            .and_then(|index| self.argv.get(index))
    }

    /// Whether all that it does can be read here: nothing is in a file of its own.
    pub fn is_plain(&self) -> bool {
        !shell::words(&self.said())
            .iter()
            .any(|word| shell::is_script_file(word))
    }

    /// Where these words stand.
    pub fn find(&self, words: &str) -> Spot<'d> {
        let wanted = words.to_ascii_lowercase();
        let has = |arg: &&Arg<'_>| arg.text.to_ascii_lowercase().contains(&wanted);
        if let Some(arg) = self.argv.iter().find(has) {
            return arg.spot.find(words);
        }
        // The words are arguments of their own: point at the first.
        let first = words.split(' ').next().unwrap_or_default();
        let has = |arg: &&Arg<'_>| arg.text.to_ascii_lowercase().contains(first);
        self.argv
            .iter()
            .find(has)
            .map_or_else(|| self.command.clone(), |arg| arg.spot.find(first))
    }
}

/// A command annotation as Velero reads it, each argument with its place.
pub fn argv(command: &Node) -> Vec<Arg<'_>> {
    let whole = Spot::of(command);
    let said = command.as_str().unwrap_or_default();
    match command_elements(said) {
        Ok(elements) => elements
            .into_iter()
            .map(|(text, range)| Arg {
                text,
                spot: whole.part(range),
            })
            .collect(),
        Err(_) => vec![Arg {
            text: said.to_owned(),
            spot: whole,
        }],
    }
}

/// The hooks of one entry of `hooks.resources`, in their order.
pub fn of_resource(resource: &Node) -> Vec<Hook<'_>> {
    let lists = [
        ("pre", HookPhase::Pre),
        ("post", HookPhase::Post),
        ("postHooks", HookPhase::PostRestore),
    ];
    lists
        .into_iter()
        .flat_map(|(field, phase)| {
            items(resource.get(field))
                .iter()
                .filter_map(move |hook| Hook::of_spec(hook.get("exec")?, phase))
        })
        .collect()
}

/// The name of an entry of `hooks.resources`.
pub fn name_of(resource: &Node) -> &str {
    text(resource, &["name"]).unwrap_or_default()
}

/// The hooks part of a Backup's, Schedule's or Restore's spec.
pub fn resources(spec: &Node) -> &[Node] {
    items(at(spec, &["hooks", "resources"]))
}
