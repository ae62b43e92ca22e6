//! How a hook is started: the argv that Velero runs in the container.

use std::sync::OnceLock;

use super::{Action, Delivery, Hook, Parameter, Policy, coordinator, fingerprint};
use crate::velero::{HookPhase, Timeout, encode_command};

/// The variable in which every script finds the seconds that it may take.
pub const TIMEOUT_VARIABLE: &str = "QUIESCENT_TIMEOUT";

const ENV: &str = "/usr/bin/env";

/// An argv, and how an annotation has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    pub argv: Vec<String>,
    /// The argv as Velero reads it from an annotation.
    pub command: String,
    /// What the command is recognised by later.
    pub fingerprint: String,
}

impl Invocation {
    #[must_use]
    pub fn new(argv: Vec<String>) -> Self {
        let command = encode_command(&argv);
        Self {
            fingerprint: Self::fingerprint(&command),
            command,
            argv,
        }
    }

    /// The first 12 hexadecimal digits of the SHA-256 of a command.
    #[must_use]
    pub fn fingerprint(command: &str) -> String {
        fingerprint([command.as_bytes()], 12)
    }

    /// The folder of the script that is started.
    #[must_use]
    pub fn folder(argv: &[String]) -> Option<&str> {
        let script = argv.last().filter(|_| Self::is_of_a_script(argv))?;
        script.rsplit_once('/').map(|(folder, _)| folder)
    }

    /// Every script of ours is started in one way.
    #[must_use]
    pub fn is_of_a_script(argv: &[String]) -> bool {
        let [program, variable, ..] = argv else {
            return false;
        };
        let variable = variable.strip_prefix(TIMEOUT_VARIABLE);
        program == ENV && variable.is_some_and(|rest| rest.starts_with('='))
    }
}

/// The invocation of a hook whose parameters nobody has set, once somebody has asked for it.
#[derive(Clone, Debug, Default)]
pub struct Usual(OnceLock<Box<Invocation>>);

/// It follows from the policy that it stands in.
impl PartialEq for Usual {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Policy {
    /// How a hook of this policy is started with the values that somebody has set.
    pub fn invocation<'v>(
        &self,
        hook: &Hook,
        set: impl Fn(&Parameter) -> Option<&'v str>,
    ) -> Invocation {
        Invocation::new(self.argv(hook, set))
    }

    /// How a hook of this policy is started where nobody has set anything.
    pub fn usual_invocation<'h>(&self, hook: &'h Hook) -> &'h Invocation {
        let Usual(usual) = &hook.usual;
        usual.get_or_init(|| Box::new(self.invocation(hook, |_| None)))
    }

    fn argv<'v>(&self, hook: &Hook, set: impl Fn(&Parameter) -> Option<&'v str>) -> Vec<String> {
        let variables = self.parameters.values().filter_map(|parameter| {
            let value = set(parameter).unwrap_or(&parameter.default);
            (!value.is_empty()).then(|| format!("{}={value}", parameter.variable))
        });
        let mut argv = Vec::new();
        match &hook.action {
            Action::Script(name) => {
                argv.push(ENV.to_owned());
                argv.push(format!("{TIMEOUT_VARIABLE}={}", limit(hook.timeout)));
                argv.extend(variables);
                argv.push("/bin/sh".to_owned());
                if self.delivery == Delivery::Inline {
                    argv.push("-c".to_owned());
                    argv.push(self.scripts.inline(name));
                }
                // Scripts find out from their path which policy they belong to.
                argv.push(format!("{}/{name}", self.scripts_path()));
            }
            Action::Coordinator(request) => argv = request.argv(limit(hook.timeout)),
            Action::Call(phase) => {
                let calls = &self.hooks.calls;
                argv = match phase {
                    HookPhase::Pre => coordinator::call_argv(&self.name, calls),
                    HookPhase::Post | HookPhase::PostRestore => {
                        coordinator::call_argv(&self.name, &calls.of_post())
                    }
                };
            }
            // As it is: an image without a shell may have no `env` either.
            Action::Command(command) => {
                let variables: Vec<String> = variables.collect();
                if !variables.is_empty() {
                    argv.push(ENV.to_owned());
                    argv.extend(variables);
                }
                argv.extend_from_slice(command);
            }
        }
        argv
    }
}

/// A little less than the annotation's time, so that the hook ends by itself and says why.
#[must_use]
pub fn limit(timeout: Timeout) -> u64 {
    let seconds = timeout.seconds();
    let margin = (seconds / 10).clamp(1, 5);
    seconds.saturating_sub(margin).max(1)
}
