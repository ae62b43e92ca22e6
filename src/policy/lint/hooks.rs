//! What a policy runs: commands, scripts, their times.

use super::{
    super::{
        Action, Calls, Check, Delivery, Hook, Hooks, Rule, ScriptFile, Scripts, Usual, file, name,
        scripts,
    },
    Compiler,
};
use crate::velero::{LONGEST_TIMEOUT, OnError, RestoreWait, Timeout, encode_command};

/// Spellings of what stops something, and of what starts it again.
const FREEZES: [(&[&str], &[&str]); 6] = [
    (
        &["fsfreeze --freeze", "fsfreeze -f", "xfs_freeze -f"],
        &["fsfreeze --unfreeze", "fsfreeze -u", "xfs_freeze -u"],
    ),
    (&["fsyncLock"], &["fsyncUnlock"]),
    (&["FLUSH TABLES WITH READ LOCK"], &["UNLOCK TABLES"]),
    (&["BACKUP STAGE START"], &["BACKUP STAGE END"]),
    (
        &["super_read_only=ON", "super_read_only = ON"],
        &["super_read_only=OFF", "super_read_only = OFF"],
    ),
    (
        &["pg_backup_start", "pg_start_backup"],
        &["pg_backup_stop", "pg_stop_backup"],
    ),
];

/// Inline scripts stand in annotations, and all annotations of a pod share 256 KiB.
const LARGEST_INLINE: usize = 100_000;

impl Compiler<'_, '_> {
    pub(super) fn hooks(&mut self, hooks: &file::Hooks) -> Hooks {
        let file::Hooks {
            pre,
            post,
            restore,
            check,
        } = hooks;
        let runs = |it: &&file::Hook| it.http.is_none();
        let calls = Calls {
            pre: pre
                .as_ref()
                .and_then(|hook| self.call(hook, &["spec", "hooks", "pre"]))
                .map(Box::new),
            post: post
                .as_ref()
                .and_then(|hook| self.call(hook, &["spec", "hooks", "post"]))
                .map(Box::new),
        };
        Hooks {
            calls,
            pre: pre
                .as_ref()
                .filter(runs)
                .map(|hook| self.hook(hook, &["spec", "hooks", "pre"])),
            post: post
                .as_ref()
                .filter(runs)
                .map(|hook| self.hook(hook, &["spec", "hooks", "post"])),
            restore: restore
                .as_ref()
                .and_then(|hooks| hooks.post.as_ref())
                .map(|hook| self.restore(hook)),
            init: restore
                .as_ref()
                .and_then(|hooks| hooks.init.as_ref())
                .map(|hook| self.init(hook)),
            check: check.as_ref().map(|check| self.check(check)),
        }
    }

    /// Velero takes the hook of each phase from one place: ours alone would be paired with another's.
    pub(super) fn pair(&mut self, spec: &file::Spec) {
        let by_velero = |hook: &file::Hook| hook.http.is_none() || spec.coordinator.is_some();
        let (there, missing) = match (&spec.hooks.pre, &spec.hooks.post) {
            (Some(pre), None) if by_velero(pre) => ("pre", "post"),
            (None, Some(post)) if by_velero(post) => ("post", "pre"),
            _ => return,
        };
        let span = self.root.key(&["spec", "hooks", there]).clone();
        self.findings
            .push(
                Rule::LoneHook,
                span,
                format!("a {there} hook without a {missing} hook is paired with the {missing} hook of somebody's Backup"),
            )
            .help(if spec.coordinator.is_some() {
                format!("add a {missing} hook that calls")
            } else {
                format!("add a {missing} hook, if only one that runs /bin/true")
            });
    }

    fn hook(&mut self, hook: &file::Hook, path: &[&str]) -> Hook {
        let file::Hook {
            script,
            command,
            http: _,
            timeout,
            on_error,
            retry,
        } = hook;
        self.times(*timeout, *retry, path);
        Hook {
            action: self.action(script.as_ref(), command.as_ref(), path),
            timeout: *timeout,
            on_error: *on_error,
            retry: *retry,
            usual: Usual::default(),
        }
    }

    pub(super) fn times(&mut self, timeout: Timeout, retry: Option<file::Retry>, path: &[&str]) {
        self.duration(timeout, &[path, &["timeout"]].concat());
        if let Some(file::Retry { attempts, delay }) = retry {
            let path = [path, &["retry"]].concat();
            if !(1..=10).contains(&attempts) {
                self.error(
                    Rule::RetryTooLong,
                    &path,
                    format!("{attempts} attempts: at least 1, at most 10"),
                );
            }
            if delay.nanoseconds() < 0 {
                self.error(Rule::BadDuration, &path, "a pause cannot be negative");
            }
            let pauses = delay.saturating_mul(i64::from(attempts.saturating_sub(1)));
            if pauses >= timeout {
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
            usual: Usual::default(),
        };
        let wait = RestoreWait {
            timeout: *wait_timeout,
            for_ready: *wait_for_ready,
        };
        (hook, wait)
    }

    fn init(&mut self, hook: &file::InitHook) -> Hook {
        let path = ["spec", "hooks", "restore", "init"];
        let file::InitHook {
            script,
            command,
            timeout,
        } = hook;
        if timeout.seconds() < 1 {
            let path = [&path[..], &["timeout"]].concat();
            self.error(Rule::BadDuration, &path, "a hook needs at least one second");
        }
        Hook {
            action: self.action(script.as_ref(), command.as_ref(), &path),
            timeout: *timeout,
            on_error: OnError::Fail,
            retry: None,
            usual: Usual::default(),
        }
    }

    fn check(&mut self, check: &file::Check) -> Check {
        let path = ["spec", "hooks", "check"];
        let file::Check {
            script,
            command,
            timeout,
            container,
        } = check;
        self.duration(*timeout, &[&path[..], &["timeout"]].concat());
        if let Some(container) = container.as_ref().filter(|it| !name::is_dns_label(it)) {
            self.error(
                Rule::BadName,
                &[&path[..], &["container"]].concat(),
                format!("{container:?} cannot be the name of a container"),
            );
        }
        Check {
            hook: Hook {
                action: self.action(script.as_ref(), command.as_ref(), &path),
                timeout: *timeout,
                on_error: OnError::Fail,
                retry: None,
                usual: Usual::default(),
            },
            container: container.clone(),
        }
    }

    pub(super) fn duration(&mut self, duration: Timeout, path: &[&str]) {
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
                let shell_words = [' ', '|', ';', '&', '>', '<', '$'];
                if let [alone] = command.as_slice()
                    && alone.contains(shell_words)
                {
                    self.error(
                        Rule::BadAction,
                        &[path, &["command", "0"]].concat(),
                        format!("no program is called {alone:?}, and no shell takes it apart"),
                    )
                    .help(format!(
                        "write [/bin/sh, -c, {alone:?}], or each word as an item"
                    ));
                }
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

    pub(super) fn script(&mut self, script: &str, path: &[&str]) {
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
                    "there is no folder scripts beside the policy, or nothing in it; scriptFiles may have it"
                        .to_owned()
                } else {
                    format!("the policy has: {}", there.join(", "))
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

    pub(super) fn scripts(&mut self, spec: &file::Spec, hooks: &Hooks) -> Scripts {
        for name in self
            .files
            .keys()
            .filter(|name| !name::is_config_map_key(name))
        {
            let own = spec.script_files.contains_key(name);
            let (path, of): (&[&str], _) = if own {
                (&["spec", "scriptFiles", name], "of scriptFiles")
            } else {
                (&["spec", "hooks"], "in the folder scripts")
            };
            self.key_error(
                Rule::MissingScript,
                path,
                format!("the file {name:?} {of} can be no key of a ConfigMap"),
            )
            .help("use letters, digits and - _ . for its name, or take it out");
        }
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
            // The post hook stands in the annotation of the pre hook too, which undoes by it.
            let hooks = hooks.all().chain(&hooks.post);
            let size = |hook: &Hook| match &hook.action {
                Action::Script(name) => encode_command(&[scripts.inline(name)]).len(),
                Action::Command(_) | Action::Coordinator(_) | Action::Call(_) => 0,
            };
            let size: usize = hooks.map(size).sum();
            if size > LARGEST_INLINE {
                self.error(Rule::LargeScripts, &["spec", "scripts"], format!("the scripts take {size} bytes of annotations with all they source, and {LARGEST_INLINE} are left to them"))
                    .help("write scripts: ConfigMap");
            }
        }
        scripts
    }

    pub(super) fn thaw(&mut self, spec: &file::Spec, hooks: &Hooks, scripts: &Scripts) {
        let text = |hook: &Hook| match &hook.action {
            Action::Script(name) => scripts.inline(name),
            Action::Command(command) => command.join(" "),
            // Its session ends with its standard input, and what is called knows for itself.
            Action::Coordinator(_) | Action::Call(_) => String::new(),
        };
        if let Some(pre) = &hooks.pre {
            let pre_text = text(pre);
            let post_text = hooks.post.as_ref().map(text).unwrap_or_default();
            let has = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
            let frozen = FREEZES.iter().find(|(freeze, thaw)| {
                has(&pre_text, freeze) && !has(&pre_text, thaw) && !has(&post_text, thaw)
            });
            if let Some((freeze, [thaw, ..])) = frozen {
                let found = freeze.iter().find(|word| pre_text.contains(*word));
                let found = found.copied().unwrap_or_default();
                self.error(Rule::FreezeWithoutThaw, &["spec", "hooks", "pre"], format!("{found:?} here, and {thaw:?} nowhere"))
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
}
