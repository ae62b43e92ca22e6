//! A hook as it is run on a live pod: a command in a container, or a call over HTTP.

use serde::{Deserialize, Serialize};

use crate::{
    policy::call::Call,
    velero::{ExecHook, HookPhase, OnError, Timeout},
};

/// What is run in a phase. A command is kept as it was before there were calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Hook {
    Exec(ExecHook),
    Http(Box<HttpHook>),
}

/// A call in its phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpHook {
    pub phase: HookPhase,
    pub call: Call,
}

impl Hook {
    /// The call of a phase.
    #[must_use]
    pub fn http(phase: HookPhase, call: &Call) -> Self {
        let call = call.clone();
        Self::Http(Box::new(HttpHook { phase, call }))
    }

    #[must_use]
    pub const fn phase(&self) -> HookPhase {
        match self {
            Self::Exec(hook) => hook.phase,
            Self::Http(hook) => hook.phase,
        }
    }

    /// So long it is waited for.
    #[must_use]
    pub const fn timeout(&self) -> Timeout {
        match self {
            Self::Exec(hook) => hook.timeout,
            Self::Http(hook) => hook.call.timeout,
        }
    }

    #[must_use]
    pub const fn on_error(&self) -> OnError {
        match self {
            Self::Exec(hook) => hook.on_error,
            Self::Http(hook) => hook.call.on_error,
        }
    }

    /// The command that it is, if it is one.
    #[must_use]
    pub const fn exec(&self) -> Option<&ExecHook> {
        match self {
            Self::Exec(hook) => Some(hook),
            Self::Http(_) => None,
        }
    }

    /// The call that it is, if it is one.
    #[must_use]
    pub const fn call(&self) -> Option<&Call> {
        match self {
            Self::Exec(_) => None,
            Self::Http(hook) => Some(&hook.call),
        }
    }
}
