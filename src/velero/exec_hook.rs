//! The hook of a backup as Velero takes it from a pod's annotations: what it would run, where, how long.
use super::{HookKeys, HookPhase, LEGACY_PRE, LONGEST_TIMEOUT, OnError, Timeout, decode_command};

/// What Velero gives a hook that says nothing of its time, or nothing that it can read.
pub const DEFAULT_TIMEOUT: Timeout = Timeout::from_seconds(30);

/// A hook that runs in a container of a pod.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExecHook {
    pub phase: HookPhase,
    /// Run as it is, without a shell.
    pub command: Vec<String>,
    /// The pod's first container where nothing is said.
    pub container: Option<String>,
    /// What Velero does, not what is written: nothing but the exact word `Fail` is `Fail`.
    pub on_error: OnError,
    pub timeout: Timeout,
    /// The text of a timeout that Velero replaces by its default.
    pub unread_timeout: Option<String>,
}

impl ExecHook {
    /// The hook of a phase of a backup; nothing where there is no command.
    pub fn of_annotations<'a>(
        phase: HookPhase,
        annotation: impl Fn(&str) -> Option<&'a str>,
    ) -> Option<Self> {
        let read = |keys: HookKeys| {
            let command = decode_command(annotation(keys.command)?)?;
            let written = annotation(keys.timeout).filter(|text| !text.is_empty());
            let parsed = written.map(str::parse::<Timeout>);
            let unread_timeout = match &parsed {
                Some(Err(_)) => written.map(str::to_owned),
                Some(Ok(_)) | None => None,
            };
            let timeout = parsed
                .and_then(Result::ok)
                .filter(|timeout| timeout.is_positive())
                .unwrap_or(DEFAULT_TIMEOUT);
            let container = annotation(keys.container).filter(|name| !name.is_empty());
            Some(Self {
                phase,
                command,
                container: container.map(str::to_owned),
                on_error: match annotation(keys.on_error) {
                    Some("Fail") => OnError::Fail,
                    _ => OnError::Continue,
                },
                timeout: timeout.min(LONGEST_TIMEOUT),
                unread_timeout,
            })
        };
        match phase {
            HookPhase::Pre => read(phase.keys()).or_else(|| read(LEGACY_PRE)),
            HookPhase::Post | HookPhase::PostRestore => read(phase.keys()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(phase: HookPhase, annotations: &[(&'static str, &'static str)]) -> Option<ExecHook> {
        ExecHook::of_annotations(phase, |key| {
            let found = annotations.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| *value)
        })
    }

    const KEYS: HookKeys = HookPhase::Pre.keys();
    const COMMAND: &str = KEYS.command;

    #[test]
    fn what_is_not_said_is_what_velero_does_then() {
        let hook = check(HookPhase::Pre, &[(COMMAND, r#"["/bin/sh","-c","date"]"#)]).unwrap();
        assert_eq!(hook.command, ["/bin/sh", "-c", "date"]);
        assert_eq!(hook.container, None);
        assert_eq!(hook.on_error, OnError::Continue);
        assert_eq!(hook.timeout, DEFAULT_TIMEOUT);
        assert_eq!(check(HookPhase::Post, &[(COMMAND, "date")]), None);
        assert_eq!(check(HookPhase::Pre, &[(COMMAND, "")]), None);
    }

    #[test]
    fn a_timeout_that_velero_cannot_read_is_its_default_and_is_told_of() {
        for (written, timeout, unread) in [
            ("10m", "10m", None),
            ("300", "30s", Some("300")),
            ("-5s", "30s", None),
            ("0", "30s", None),
            ("9h", "4h", None),
        ] {
            let annotations = [(COMMAND, "date"), (KEYS.timeout, written)];
            let hook = check(HookPhase::Pre, &annotations).unwrap();
            assert_eq!(hook.timeout, timeout.parse().unwrap(), "{written}");
            assert_eq!(hook.unread_timeout.as_deref(), unread, "{written}");
        }
    }

    #[test]
    fn the_oldest_annotations_are_a_pre_hook_where_there_is_no_other() {
        let old = [(LEGACY_PRE.command, "old"), (LEGACY_PRE.container, "db")];
        let hook = check(HookPhase::Pre, &old).unwrap();
        assert_eq!(
            (hook.command, hook.container),
            (vec!["old".to_owned()], Some("db".to_owned()))
        );
        assert_eq!(check(HookPhase::Post, &old), None);
        let both = [old[0], old[1], (COMMAND, "new")];
        let hook = check(HookPhase::Pre, &both).unwrap();
        assert_eq!(
            (hook.command, hook.container),
            (vec!["new".to_owned()], None)
        );
    }

    #[test]
    fn only_the_exact_word_is_fail() {
        for (written, read) in [("Fail", OnError::Fail), ("fail", OnError::Continue)] {
            let annotations = [(COMMAND, "date"), (KEYS.on_error, written)];
            assert_eq!(check(HookPhase::Pre, &annotations).unwrap().on_error, read);
        }
    }
}
