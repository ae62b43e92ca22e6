//! A container that holds something between two hooks.

use super::{
    super::{
        Action, Coordinator, Hook, Hooks, Rule, Usual,
        coordinator::{INSTALLER, NAME, Request},
        file, name,
    },
    Compiler,
};
use crate::velero::{OnError, Timeout};

impl Compiler<'_, '_> {
    /// The coordinator, which has both hooks of a backup.
    pub(super) fn coordinator(
        &mut self,
        spec: &file::Spec,
        hooks: &mut Hooks,
    ) -> Option<Coordinator> {
        let path = ["spec", "coordinator"];
        let at = |field| [path[0], path[1], field];
        let file::Coordinator {
            session,
            start_timeout,
            stop_timeout,
            limit,
            on_error,
            name,
            image,
            env,
            port,
            token_secret,
            resources,
        } = spec.coordinator.as_ref()?;
        for (phase, hook) in [("pre", &spec.hooks.pre), ("post", &spec.hooks.post)] {
            if hook.is_some() {
                self.error(
                    Rule::BadAction,
                    &["spec", "hooks", phase],
                    format!("the coordinator has the {phase} hook of this policy"),
                )
                .help("take this hook out, or the coordinator");
            }
        }
        if spec
            .hooks
            .restore
            .as_ref()
            .is_some_and(|it| it.init.is_some())
        {
            self.error(
                Rule::BadAction,
                &["spec", "hooks", "restore", "init"],
                "what a coordinator holds leaves nothing that could be put back",
            );
        }
        self.script(session, &at("session"));
        self.duration(*start_timeout, &at("startTimeout"));
        self.duration(*stop_timeout, &at("stopTimeout"));
        self.duration(*limit, &at("limit"));
        let name = name.clone().unwrap_or_else(|| NAME.to_owned());
        if !name::is_dns_label(&name) || name == INSTALLER {
            self.error(
                Rule::BadName,
                &at("name"),
                format!("{name:?} cannot be the name of the coordinator"),
            );
        }
        if token_secret.is_some() && port.is_none() {
            self.error(
                Rule::BadAction,
                &at("tokenSecret"),
                "a token is for requests over HTTP, and there is no port for them",
            )
            .help("add port:, or take the token out");
        }
        let resources = resources.clone().unwrap_or_else(usual);
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
        let hook = |action, timeout: Timeout, on_error| Hook {
            action,
            timeout,
            on_error,
            retry: None,
            usual: Usual::default(),
        };
        let start = Action::Coordinator(Request::Start);
        let stop = Action::Coordinator(Request::Stop);
        hooks.pre = Some(hook(start, *start_timeout, *on_error));
        hooks.post = Some(hook(stop, *stop_timeout, OnError::Fail));
        Some(Coordinator {
            name,
            image: image.clone(),
            session: hook(Action::Script(session.clone()), *start_timeout, *on_error),
            limit: *limit,
            env: env.clone(),
            port: *port,
            token: token_secret.clone(),
            resources,
        })
    }
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
