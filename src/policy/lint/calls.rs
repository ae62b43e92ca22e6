//! What a policy calls over HTTP: whom, with what, and what must come back.

use super::{
    super::{
        Rule,
        call::{Call, Reach, Statuses, Target, Text, Url, is_path},
        file::{self, Expect, Http, SecretKeyRef},
        name,
    },
    Compiler,
};

/// Headers that say how a message is sent, which is for whoever sends it to know.
const OF_THE_CONNECTION: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// What stands in the names of headers, and of parts of a query, whose values are secret.
const SECRETS: [&str; 8] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "api-key",
    "apikey",
];

/// A body is no upload.
const LARGEST_BODY: usize = 64 * 1024;

impl Compiler<'_, '_> {
    /// The call of a hook that is one.
    pub(super) fn call(&mut self, hook: &file::Hook, path: &[&str]) -> Option<Call> {
        let file::Hook {
            script,
            command,
            http,
            timeout,
            on_error,
            retry,
        } = hook;
        let http = http.as_ref()?;
        if script.is_some() || command.is_some() {
            self.error(
                Rule::BadAction,
                path,
                "a hook calls, or runs a script or a command, not both",
            )
            .help("remove one of them");
        }
        self.times(*timeout, *retry, path);
        let path = [path, &["http"]].concat();
        let Http {
            method,
            port: _,
            path: _,
            url: _,
            headers,
            body,
            expect,
            ca_secret_ref,
        } = http;
        let target = self.target(http, &path)?;
        let texts = headers.iter();
        let texts = texts.map(|(name, text)| (name.clone(), self.header(name, text, &path)));
        let headers = texts.collect();
        let body = body.as_ref().map(|body| self.body(body, &path));
        let Expect { status, json } = expect.clone().unwrap_or_default();
        let statuses = self.statuses(&status, &path);
        self.fields(&json, &path);
        if let Some(ca) = ca_secret_ref {
            let at = [&path[..], &["caSecretRef"]].concat();
            self.reference(ca, &at);
            if !matches!(&target, Target::Url(Url { https: true, .. })) {
                self.error(Rule::BadCall, &at, "only https:// asks for certificates");
            }
        }
        let call = Call {
            method: *method,
            target,
            headers,
            body,
            statuses,
            fields: json,
            ca: ca_secret_ref.clone(),
            timeout: *timeout,
            on_error: *on_error,
            retry: *retry,
        };
        self.in_the_clear(&call, &path);
        Some(call)
    }

    fn target(&mut self, http: &Http, path: &[&str]) -> Option<Target> {
        let Http {
            port,
            path: of_port,
            url,
            ..
        } = http;
        let of = |field: &'static str| [path, &[field]].concat();
        let (target, at) = match (port, of_port, url) {
            (Some(port), of_port, None) => {
                if *port == 0 {
                    self.error(Rule::BadCall, &of("port"), "no port is 0");
                }
                let called = of_port.clone().unwrap_or_else(|| "/".to_owned());
                if let Err(why) = is_path(&called) {
                    self.error(Rule::BadCall, &of("path"), why);
                }
                let target = Target::Pod {
                    port: *port,
                    path: called,
                };
                (target, of("path"))
            }
            (None, None, Some(url)) => {
                let at = of("url");
                let url = match Url::parse(url) {
                    Ok(url) => url,
                    Err(why) => {
                        self.error(Rule::BadCall, &at, why);
                        return None;
                    }
                };
                self.reach(&url, &at);
                (Target::Url(url), at)
            }
            (_, _, Some(_)) => {
                self.error(
                    Rule::BadCall,
                    &of("url"),
                    "a call has a url, or a port of the pod, not both",
                )
                .help("remove one of them");
                return None;
            }
            (None, _, None) => {
                self.error(Rule::BadCall, path, "nothing says who is called")
                    .help("add port: and path: for the pod itself, or url: for a Service");
                return None;
            }
        };
        let query = target.path().split_once('?').map(|(_, query)| query);
        let mut names = query.into_iter().flat_map(|it| it.split('&'));
        if let Some(secret) = names.find(|it| {
            let (name, value) = it.split_once('=').unwrap_or((it, ""));
            is_secret(name) && !value.is_empty()
        }) {
            let name = secret.split('=').next().unwrap_or_default();
            self.error(
                Rule::LiteralSecret,
                &at,
                format!("{name:?} of the query looks like a secret, and addresses are shown"),
            )
            .help("send it in a header, from a Secret");
        }
        Some(target)
    }

    fn reach(&mut self, url: &Url, at: &[&str]) {
        let host = &url.host;
        match url.reach() {
            Reach::Cluster => {}
            Reach::Here => {
                self.error(
                    Rule::BadCall,
                    at,
                    format!("{host} leads to the machine on which quiescent runs, not to the pod"),
                )
                .help("write port: and path: to call the pod");
            }
            Reach::Far => {
                self.error(
                    Rule::FarCall,
                    at,
                    format!(
                        "{host} is no Service of the cluster: writes may wait for somebody far away"
                    ),
                )
                .help("a Service is called NAME.NAMESPACE.svc");
            }
        }
    }

    fn header(&mut self, name: &str, text: &file::Text, path: &[&str]) -> Text {
        let at = [path, &["headers", name]].concat();
        let token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
        if name.is_empty() || !name.bytes().all(token) {
            self.key_error(
                Rule::BadCall,
                &at,
                format!("{name:?} cannot be the name of a header"),
            );
        } else if OF_THE_CONNECTION.contains(&&*name.to_ascii_lowercase()) {
            self.key_error(
                Rule::BadCall,
                &at,
                format!("{name} says how a message is sent, and is written by who sends it"),
            )
            .help("take it out");
        }
        let text = self.text(text, &at);
        let visible = |it: char| it == '\t' || (' '..='~').contains(&it);
        if !text.literal.chars().all(visible) {
            self.error(
                Rule::BadCall,
                &at,
                "the value of a header is one line of ASCII",
            );
        }
        if text.secret.is_none() && is_secret(name) {
            self.error(
                Rule::LiteralSecret,
                &at,
                format!("{name} looks like a secret, and policies are read by many"),
            )
            .help("put it into a Secret, and write secretKeyRef: {name: …, key: …}");
        }
        text
    }

    fn body(&mut self, body: &file::Text, path: &[&str]) -> Text {
        let at = [path, &["body"]].concat();
        let text = self.text(body, &at);
        let size = text.literal.len();
        if size > LARGEST_BODY {
            self.error(
                Rule::BadCall,
                &at,
                format!("a body of {size} bytes: at most {LARGEST_BODY}"),
            );
        }
        text
    }

    fn text(&mut self, text: &file::Text, path: &[&str]) -> Text {
        let file::Text {
            value,
            secret_key_ref,
        } = text;
        match secret_key_ref {
            Some(secret) => self.reference(secret, &[path, &["secretKeyRef"]].concat()),
            None if value.is_none() => {
                self.error(Rule::BadCall, path, "there is nothing to send")
                    .help("add value:, or secretKeyRef:");
            }
            None => {}
        }
        Text {
            literal: value.clone().unwrap_or_default(),
            secret: secret_key_ref.clone(),
        }
    }

    fn reference(&mut self, secret: &SecretKeyRef, path: &[&str]) {
        let SecretKeyRef { name, key } = secret;
        if !name.split('.').all(name::is_dns_label) {
            self.error(
                Rule::BadName,
                &[path, &["name"]].concat(),
                format!("{name:?} cannot be the name of a Secret"),
            );
        }
        if !name::is_config_map_key(key) {
            self.error(
                Rule::BadName,
                &[path, &["key"]].concat(),
                format!("{key:?} cannot be a key of a Secret"),
            );
        }
    }

    fn statuses(&mut self, written: &[file::Status], path: &[&str]) -> Vec<Statuses> {
        if written.is_empty() {
            return vec![Statuses::GOOD];
        }
        let each = written.iter().enumerate().filter_map(|(position, status)| {
            let file::Status(text) = status;
            let statuses = Statuses::parse(text);
            if statuses.is_none() {
                let position = position.to_string();
                self.error(
                    Rule::BadCall,
                    &[path, &["expect", "status", &position]].concat(),
                    format!("{text:?} is no status"),
                )
                .help("write one such as 200, or 2xx for all that begin with 2");
            }
            statuses
        });
        each.collect()
    }

    fn fields(&mut self, fields: &[file::Field], path: &[&str]) {
        for (position, field) in fields.iter().enumerate() {
            let pointer = &field.path;
            let escapes = pointer.split('~').skip(1);
            let is_pointer = (pointer.is_empty() || pointer.starts_with('/'))
                && escapes.into_iter().all(|it| it.starts_with(['0', '1']));
            if !is_pointer {
                let position = position.to_string();
                self.error(
                    Rule::BadCall,
                    &[path, &["expect", "json", &position, "path"]].concat(),
                    format!("{pointer:?} is no JSON Pointer"),
                )
                .help("write one such as /state/paused; ~1 stands for / in a name, ~0 for ~");
            }
        }
    }

    /// A port of the pod is reached through the API server, and then without leaving its node.
    fn in_the_clear(&mut self, call: &Call, path: &[&str]) {
        let Target::Url(url @ Url { https: false, .. }) = &call.target else {
            return;
        };
        let texts = call.headers.iter().map(|(_, text)| text).chain(&call.body);
        if texts.into_iter().any(|text| text.secret.is_some()) {
            self.error(
                Rule::ClearSecret,
                &[path, &["url"]].concat(),
                format!("what the Secret has goes to {} in the clear", url.host),
            )
            .help("write https://, or port: and path: to call the pod through the API server");
        }
    }

    /// What a policy that calls has beside its calls: nobody would do it, or Velero half of it.
    pub(super) fn beside_calls(&mut self, spec: &file::Spec) {
        let written = [("pre", &spec.hooks.pre), ("post", &spec.hooks.post)];
        let mut written = written
            .into_iter()
            .filter_map(|(phase, hook)| Some((phase, hook.as_ref()?)));
        if written.clone().all(|(_, it)| it.http.is_none()) {
            return;
        }
        if spec.coordinator.is_none() {
            self.key_error(
                Rule::NotByVelero,
                &["spec", "hooks"],
                "Velero makes no calls: its backups of these pods have no hooks",
            )
            .help("quiescent snapshot makes them; add coordinator: {} for a container that makes them under Velero");
        }
        if let Some((there, _)) = written.find(|(_, it)| it.http.is_none()) {
            self.key_error(
                Rule::CallBesideVelero,
                &["spec", "hooks", there],
                "one hook calls and the other runs: Velero would do the one without the other",
            )
            .help("let both call, or both run");
        }
        let beside: [(&[&str], bool, &str); 4] = [
            (
                &["spec", "hooks", "restore"],
                spec.hooks.restore.is_some(),
                "hooks of a restore",
            ),
            (&["spec", "volumes"], !spec.volumes.is_empty(), "volumes"),
            (
                &["spec", "backupVolumes"],
                !spec.backup_volumes.add.is_empty(),
                "volumes to upload",
            ),
            (
                &["spec", "parameters"],
                !spec.parameters.is_empty(),
                "parameters",
            ),
        ];
        for (path, _, what) in beside.into_iter().filter(|(_, is_there, _)| *is_there) {
            self.key_error(
                Rule::CallBesideVelero,
                path,
                format!("a policy that calls has no {what}"),
            )
            .help("write a policy of its own for them");
        }
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    SECRETS.iter().any(|it| name.contains(it))
}
