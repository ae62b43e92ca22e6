//! A container beside that of the hooks: with a session that it holds, or to make the calls of the hooks.

use super::{
    super::{
        Action, Coordinator, Hook, Hooks, Rule, Usual,
        call::{Call, LINGER},
        coordinator::{INSTALLER, NAME, Request, Session, call_argv},
        file, name,
    },
    Compiler,
};
use crate::velero::{HookPhase, LONGEST_TIMEOUT, OnError, Timeout};

/// An argument of a command may have 128 KiB, and all annotations of a pod 256.
const LARGEST_CALLS: usize = 100_000;

const PATH: [&str; 2] = ["spec", "coordinator"];

const fn at(field: &str) -> [&str; 3] {
    [PATH[0], PATH[1], field]
}

impl Compiler<'_, '_> {
    /// The coordinator, which has both hooks of a backup.
    pub(super) fn coordinator(
        &mut self,
        spec: &file::Spec,
        hooks: &mut Hooks,
    ) -> Option<Coordinator> {
        let written = spec.coordinator.as_ref()?;
        let session = if let Some(script) = &written.session {
            self.session(script, written, spec, hooks)
        } else {
            self.caller(written, hooks);
            None
        };
        let name = written.name.clone().unwrap_or_else(|| NAME.to_owned());
        if !name::is_dns_label(&name) || name == INSTALLER {
            self.error(
                Rule::BadName,
                &at("name"),
                format!("{name:?} cannot be the name of the coordinator"),
            );
        }
        Some(Coordinator {
            name,
            image: written.image.clone(),
            session,
            resources: self.resources(written.resources.as_ref()),
        })
    }

    /// What it holds, with the hooks that ask for it; nothing where not all is said.
    fn session(
        &mut self,
        script: &str,
        written: &file::Coordinator,
        spec: &file::Spec,
        hooks: &mut Hooks,
    ) -> Option<Session> {
        self.alone(spec);
        self.script(script, &at("session"));
        let file::Coordinator {
            session: _,
            start_timeout,
            stop_timeout,
            limit,
            on_error,
            name: _,
            image: _,
            env,
            port,
            token_secret,
            resources: _,
        } = written;
        for (field, duration) in [
            ("startTimeout", start_timeout),
            ("stopTimeout", stop_timeout),
            ("limit", limit),
        ] {
            match duration {
                Some(duration) => self.duration(*duration, &at(field)),
                None => self.needed(field),
            }
        }
        if on_error.is_none() {
            self.needed("onError");
        }
        if token_secret.is_some() && port.is_none() {
            self.error(
                Rule::BadAction,
                &at("tokenSecret"),
                "a token is for requests over HTTP, and there is no port for them",
            )
            .help("add port:, or take the token out");
        }
        let (start_timeout, on_error) = ((*start_timeout)?, (*on_error)?);
        let start = Action::Coordinator(Request::Start);
        let stop = Action::Coordinator(Request::Stop);
        hooks.pre = Some(hook(start, start_timeout, on_error));
        hooks.post = Some(hook(stop, (*stop_timeout)?, OnError::Fail));
        Some(Session {
            hook: hook(Action::Script(script.to_owned()), start_timeout, on_error),
            limit: (*limit)?,
            env: env.clone(),
            port: *port,
            token: token_secret.clone(),
        })
    }

    fn needed(&mut self, field: &str) {
        self.error(
            Rule::BadAction,
            &at("session"),
            format!("a session needs {field}: beside it"),
        );
    }

    /// A session has the hooks of a backup to itself.
    fn alone(&mut self, spec: &file::Spec) {
        for (phase, hook) in [("pre", &spec.hooks.pre), ("post", &spec.hooks.post)] {
            if hook.is_some() {
                self.error(
                    Rule::BadAction,
                    &["spec", "hooks", phase],
                    format!("the coordinator has the {phase} hook of this policy"),
                )
                .help("take this hook out, or the coordinator's session");
            }
        }
        let restore = spec.hooks.restore.as_ref();
        if restore.is_some_and(|it| it.init.is_some()) {
            self.error(
                Rule::BadAction,
                &["spec", "hooks", "restore", "init"],
                "what a coordinator holds leaves nothing that could be put back",
            );
        }
    }

    /// Without a session it makes the calls of the hooks.
    fn caller(&mut self, written: &file::Coordinator, hooks: &mut Hooks) {
        let file::Coordinator {
            session: _,
            start_timeout,
            stop_timeout,
            limit,
            on_error,
            name: _,
            image: _,
            env,
            port,
            token_secret,
            resources: _,
        } = written;
        for (field, is_there) in [
            ("startTimeout", start_timeout.is_some()),
            ("stopTimeout", stop_timeout.is_some()),
            ("limit", limit.is_some()),
            ("onError", on_error.is_some()),
            ("env", !env.is_empty()),
            ("port", port.is_some()),
            ("tokenSecret", token_secret.is_some()),
        ] {
            if is_there {
                self.key_error(
                    Rule::BadAction,
                    &at(field),
                    format!("{field} is of a session, and there is none"),
                )
                .help("take it out, or add session: with a script");
            }
        }
        if hooks.calls.is_empty() {
            self.key_error(
                Rule::BadAction,
                &PATH,
                "this coordinator has nothing to do: there is no session, and no hook calls",
            )
            .help("add session: with a script, or let the hooks call with http:");
        }
        let size = call_argv("", &hooks.calls).last().map_or(0, String::len);
        if size > LARGEST_CALLS {
            self.key_error(
                Rule::LargeScripts,
                &["spec", "hooks"],
                format!(
                    "the calls take {size} bytes of a command, and {LARGEST_CALLS} are left to them"
                ),
            )
            .help("shorten what is sent, or put it into a Secret");
        }
        let (pre, post) = (&hooks.calls.pre, &hooks.calls.post);
        if let Some(call) = pre {
            let timeout = undone(call, post.as_deref());
            hooks.pre = Some(hook(Action::Call(HookPhase::Pre), timeout, call.on_error));
        }
        if let Some(call) = post {
            let action = Action::Call(HookPhase::Post);
            hooks.post = Some(hook(action, call.timeout, call.on_error));
        }
    }

    fn resources(&mut self, written: Option<&file::Resources>) -> file::Resources {
        let resources = written.cloned().unwrap_or_else(usual);
        for (of, quantities) in [
            ("requests", &resources.requests),
            ("limits", &resources.limits),
        ] {
            for (resource, quantity) in quantities {
                let thousandths = quantity.strip_suffix('m').unwrap_or_default();
                if !name::is_quantity(quantity) && thousandths.parse::<u32>().is_err() {
                    self.error(
                        Rule::WrongType,
                        &["spec", "coordinator", "resources", of, resource],
                        format!("{quantity:?} is no quantity"),
                    );
                }
            }
        }
        resources
    }
}

fn hook(action: Action, timeout: Timeout, on_error: OnError) -> Hook {
    Hook {
        action,
        timeout,
        on_error,
        retry: None,
        usual: Usual::default(),
    }
}

/// How long a call may take that is undone when it fails: Velero runs no post hook then. An answer that
/// comes late has it undone once more.
fn undone(pre: &Call, post: Option<&Call>) -> Timeout {
    let undoing = post.into_iter().chain(post).map(|it| it.timeout);
    let whole = undoing.fold(pre.timeout, Timeout::saturating_add);
    whole.saturating_add(LINGER).min(LONGEST_TIMEOUT)
}

/// What the program and a client need, and what a client of a large server may come to.
fn usual() -> file::Resources {
    let of = |cpu: Option<&str>, memory: &str| {
        let cpu = cpu.map(|cpu| ("cpu".to_owned(), cpu.to_owned()));
        let memory = ("memory".to_owned(), memory.to_owned());
        cpu.into_iter().chain([memory]).collect()
    };
    file::Resources {
        requests: of(Some("5m"), "24Mi"),
        limits: of(None, "128Mi"),
    }
}
