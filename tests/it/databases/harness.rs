//! Runs hooks as Velero does, without a cluster: a pod goes through the program, its volumes are laid
//! out as a kubelet would, and the argv of an annotation runs beside the server as a container would
//! run it, with the container's environment and nothing else.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support;

/// Nobody: whom a server runs as, and most hooks.
pub const NOBODY: u32 = 65534;

/// How long anything in these tests may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// Whether hooks can run here beside a server that needs `tools`.
pub fn possible(tools: &[&str]) -> bool {
    let missing = tools.iter().find(|tool| which(tool).is_none());
    let namespace = in_namespace()
        .args(["mount", "--make-rprivate", "/"])
        .output()
        .is_ok_and(|done| done.status.success());
    support::require(
        missing.is_none(),
        &format!(
            "{} (Debian's packages: see .ci/run)",
            missing.unwrap_or(&"")
        ),
    ) && support::require(
        namespace,
        "root or user namespaces, to mount a container's volumes",
    )
}

/// The place of a tool, the servers' own folders included.
pub fn which(tool: &str) -> Option<PathBuf> {
    path()
        .split(':')
        .map(|folder| Path::new(folder).join(tool))
        .find(|file| file.is_file())
}

/// The PATH of a container that has every server.
pub fn path() -> String {
    let postgresql = (10..=99)
        .rev()
        .map(|major| format!("/usr/lib/postgresql/{major}/bin"));
    let mut folders: Vec<String> = postgresql
        .filter(|folder| Path::new(folder).is_dir())
        .take(1)
        .collect();
    // Debian's own wrapper lets nobody in but root and the package's user.
    folders.push("/usr/lib/rabbitmq/bin".into());
    folders.push("/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into());
    folders.join(":")
}

/// Whether this process may become another user.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A command that runs another one where it may mount.
pub fn in_namespace() -> Command {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

/// Asks again and again until the answer is yes.
pub fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let began = Instant::now();
    while !check() {
        assert!(
            began.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Phase {
    Pre,
    Post,
    Restore,
}

/// What the image and the cluster decide about a container.
#[derive(Clone, Debug)]
pub struct Container {
    pub uid: u32,
    pub shell: PathBuf,
    pub path: String,
    /// The dump volume's size in KiB, where it is small.
    pub volume: Option<u32>,
    /// How many seconds a hook has, where they are fewer than the policy says.
    pub seconds: Option<u32>,
    /// Whether everything but the volumes can only be read.
    pub read_only: bool,
    /// The data volume, to which a server can write also where all else can only be read.
    pub data: Option<PathBuf>,
    /// PID 1 of the container, where the hook is to be among its processes.
    pub first_process: Option<u32>,
}

impl Default for Container {
    fn default() -> Self {
        Self {
            uid: NOBODY,
            shell: "/bin/sh".into(),
            path: path(),
            volume: None,
            seconds: None,
            read_only: false,
            data: None,
            first_process: None,
        }
    }
}

impl Container {
    pub fn of_user(uid: u32) -> Self {
        Self {
            uid,
            ..Self::default()
        }
    }

    pub fn within(self, seconds: u32) -> Self {
        Self {
            seconds: Some(seconds),
            ..self
        }
    }

    /// One that has the applets of busybox and these tools, and nothing else; they are put into a folder.
    pub fn of_a_small_image(folder: &Path, tools: &[(&str, &Path)]) -> Self {
        let install = Command::new(which("busybox").unwrap())
            .args(["--install", "-s"])
            .arg(folder)
            .status();
        assert!(install.unwrap().success());
        for (name, program) in tools {
            std::os::unix::fs::symlink(program, folder.join(name)).unwrap();
        }
        open_to_all(folder, 0o755);
        Self {
            path: folder.display().to_string(),
            ..Self::default().with_shell("busybox")
        }
    }

    pub fn with_shell(self, shell: &str) -> Self {
        Self {
            shell: which(shell).unwrap(),
            ..self
        }
    }
}

/// What a variable of a container is. A Secret of a test has each value under the value as its key.
fn value(variable: &Value) -> &str {
    let value = variable.get("value");
    let value = value.or_else(|| variable.pointer("/valueFrom/secretKeyRef/key"));
    value.and_then(Value::as_str).unwrap()
}

/// A pod as the program gives it back, on a node of ours: each volume is a folder.
pub struct Pod {
    object: Value,
    volumes: TempDir,
}

impl Pod {
    /// Sends a pod with one container through the program; `arguments` come after `inject`.
    pub fn inject(pod: &Value, arguments: &[&str]) -> Self {
        let volumes = tempfile::tempdir().unwrap();
        let done = support::run(
            &[&["inject", "-f", "-", "-o", "json"], arguments].concat(),
            &pod.to_string(),
        );
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let list: Value = serde_json::from_slice(&done.stdout).unwrap();
        let items = list["items"].as_array().unwrap();
        let object = items
            .iter()
            .find(|item| item["kind"] == "Pod")
            .unwrap()
            .clone();

        // Others than root, and than us, have to get in.
        open_to_all(volumes.path(), 0o755);
        for volume in object["spec"]["volumes"].as_array().unwrap() {
            let folder = volumes.path().join(volume["name"].as_str().unwrap());
            fs::create_dir(&folder).unwrap();
            open_to_all(&folder, 0o777);
            let Some(name) = volume.pointer("/configMap/name") else {
                continue;
            };
            let config_map = items
                .iter()
                .find(|item| &item["metadata"]["name"] == name)
                .unwrap();
            for (file, text) in config_map["data"].as_object().unwrap() {
                fs::write(folder.join(file), text.as_str().unwrap()).unwrap();
                open_to_all(&folder.join(file), 0o555);
            }
        }
        Self { object, volumes }
    }

    /// The same pod after a disaster: Velero has put the dump volume back, nothing else.
    pub fn restored_from(self, other: &Self) -> Self {
        let copied = Command::new("cp")
            .arg("-a")
            .arg(other.volume().join("."))
            .arg(self.volume())
            .status();
        assert!(copied.unwrap().success());
        self
    }

    /// Where the dump volume is on this machine.
    pub fn volume(&self) -> PathBuf {
        self.folder("quiescent-dump")
    }

    /// Where a volume is on this machine.
    pub fn folder(&self, volume: &str) -> PathBuf {
        self.volumes.path().join(volume)
    }

    /// The image of its container.
    pub fn image(&self) -> &str {
        self.object["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap()
    }

    /// The argv that Velero would run.
    pub fn argv(&self, phase: Phase) -> Vec<String> {
        assert_eq!(
            self.annotation(phase, "container"),
            &self.hooks_in(phase)["name"]
        );
        let command = self.annotation(phase, "command").as_str().unwrap();
        serde_json::from_str(command).unwrap()
    }

    /// Whether its hooks are those of a policy.
    pub fn follows(&self, policy: &str) -> bool {
        let provenance = &self.object["metadata"]["annotations"]["quiescent.dev/policies"];
        provenance
            .as_str()
            .unwrap()
            .starts_with(&format!("{policy}@"))
    }

    /// Whether Velero would run a hook.
    pub fn has(&self, phase: Phase) -> bool {
        self.annotation(phase, "command").is_string()
    }

    /// The container that Velero would run a hook in: the only one, or the coordinator beside it.
    fn hooks_in(&self, phase: Phase) -> &Value {
        let containers = self.object["spec"]["containers"].as_array().unwrap();
        match phase {
            Phase::Pre | Phase::Post => containers.last().unwrap(),
            Phase::Restore => &containers[0],
        }
    }

    /// Starts the containers that the pod has beside its own, if it has any: they end with what is
    /// returned.
    pub fn start_coordinator(&self, container: &Container) -> Option<Beside> {
        let [_, coordinator] = self.object["spec"]["containers"].as_array()?.as_slice() else {
            return None;
        };
        let installer = &self.object["spec"]["initContainers"][0];
        let words = |list: &Value| {
            let words = list.as_array().into_iter().flatten();
            words.map(|it| it.as_str().unwrap().to_owned()).collect()
        };
        let mut argv: Vec<String> = vec![env!("CARGO_BIN_EXE_quiescent").to_owned()];
        argv.extend::<Vec<String>>(words(&installer["args"]));
        assert_eq!(
            self.spawn_as(installer, &argv, container).finish().code,
            Some(0)
        );
        let argv: Vec<String> = words(&coordinator["command"]);
        let running = self.spawn_as(coordinator, &argv, container);
        let socket = self.folder("quiescent-coordinator/state/socket");
        eventually("the coordinator listens", || socket.exists());
        Some(Beside(Some(running)))
    }

    fn annotation(&self, phase: Phase, key: &str) -> &Value {
        let prefix = match phase {
            Phase::Pre => "pre.hook.backup",
            Phase::Post => "post.hook.backup",
            Phase::Restore => "post.hook.restore",
        };
        &self.object["metadata"]["annotations"][format!("{prefix}.velero.io/{key}")]
    }

    /// Runs a hook to its end.
    pub fn run(&self, phase: Phase, container: &Container) -> Outcome {
        self.start(phase, container).finish()
    }

    /// Starts a hook.
    pub fn start(&self, phase: Phase, container: &Container) -> Running {
        self.spawn_as(self.hooks_in(phase), &self.argv(phase), container)
    }

    /// Runs a script of the policy that is no hook, as an init container of the same image does.
    pub fn run_script(&self, script: &str, container: &Container) -> Outcome {
        let mut argv = self.argv(Phase::Pre);
        let last = argv.last_mut().unwrap();
        *last = Path::new(last).with_file_name(script).display().to_string();
        self.spawn(&argv, container).finish()
    }

    /// Runs commands as somebody at a shell in the container, who knows where the server is.
    pub fn run_by_hand(
        &self,
        commands: &str,
        environment: &[(&str, &str)],
        container: &Container,
    ) -> Outcome {
        let mut argv = vec!["/usr/bin/env".to_owned()];
        argv.extend(
            environment
                .iter()
                .map(|(key, value)| format!("{key}={value}")),
        );
        argv.extend(["/bin/sh", "-ec", commands].map(str::to_owned));
        self.spawn(&argv, container).finish()
    }

    /// Runs the init container that Velero puts into the restored pod: with a name, an image and a
    /// command, and what the program gives it when the pod passes.
    pub fn run_init(&self, container: &Container) -> Outcome {
        let mut pod = self.object.clone();
        let said = |key: &str| {
            let key = format!("init.hook.restore.velero.io/{key}");
            pod["metadata"]["annotations"][key].as_str().unwrap()
        };
        let argv: Vec<String> = serde_json::from_str(said("command")).unwrap();
        let made = json!([
            { "name": "restore-wait", "image": "velero/velero" },
            { "name": "velero-restore-init-0a1b2c3d", "image": said("container-image"),
              "command": argv, "resources": {} },
        ]);
        pod["metadata"]["labels"]["velero.io/restore-name"] = "again".into();
        pod["spec"]["initContainers"] = made;
        let done = support::run(&["inject", "-f", "-", "-o", "json"], &pod.to_string());
        let list: Value = serde_json::from_slice(&done.stdout).unwrap();
        let items = list["items"].as_array().unwrap();
        let restored = items.iter().find(|item| item["kind"] == "Pod").unwrap();
        let [first, ours] = restored["spec"]["initContainers"]
            .as_array()
            .unwrap()
            .as_slice()
        else {
            panic!("Velero's containers and no other: {restored:#}");
        };
        assert_eq!(first["name"], "restore-wait");
        self.spawn_as(ours, &argv, container).finish()
    }

    fn spawn(&self, argv: &[String], container: &Container) -> Running {
        self.spawn_as(&self.object["spec"]["containers"][0], argv, container)
    }

    fn spawn_as(&self, spec: &Value, argv: &[String], container: &Container) -> Running {
        // There until the pod goes, as the root of a container: what a hook left running needs it.
        let root = tempfile::Builder::new()
            .prefix("root-")
            .tempdir_in(self.volumes.path())
            .unwrap()
            .keep();
        let ids = if is_root() {
            format!("{0}:{0}", container.uid)
        } else {
            "own".into()
        };
        let mut command = in_namespace();
        if let Some(process) = container.first_process {
            command = Command::new("nsenter");
            command.args(["--pid", "--mount", &format!("--target={process}")]);
            command.args(["unshare", "--mount"]);
        }
        command.args(["sh", "-c", include_str!("enter.sh"), "enter.sh"]);
        command.arg(root).arg(&container.shell).arg(ids);
        command.arg(if container.read_only { "ro" } else { "rw" });
        command.arg(container.volume.unwrap_or(0).to_string());

        if let Some(data) = &container.data {
            command.args([data, data]);
        }
        let mut mounts: Vec<&Value> = spec["volumeMounts"].as_array().unwrap().iter().collect();
        mounts.sort_by_key(|mount| mount["name"] == "quiescent-dump");
        for mount in mounts {
            command.arg(self.volumes.path().join(mount["name"].as_str().unwrap()));
            command.arg(mount["mountPath"].as_str().unwrap());
        }
        command.args([
            "--",
            "/usr/bin/env",
            "-i",
            &format!("PATH={}", container.path),
        ]);
        for variable in spec["env"].as_array().into_iter().flatten() {
            command.arg(format!(
                "{}={}",
                variable["name"].as_str().unwrap(),
                value(variable)
            ));
        }
        let script = Path::new(argv.last().unwrap())
            .extension()
            .is_some_and(|it| it == "sh");
        let argv = argv.iter().map(|word| match container.seconds {
            Some(seconds) if word.starts_with("QUIESCENT_TIMEOUT=") => {
                format!("QUIESCENT_TIMEOUT={seconds}")
            }
            _ => word.clone(),
        });
        let child = command
            .args(argv)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        Running { child, script }
    }

    /// The finished dump's manifest, if there is one.
    pub fn manifest(&self) -> Option<BTreeMap<String, String>> {
        let text = fs::read_to_string(self.finished().join("manifest")).ok()?;
        let line = |line: &str| {
            line.split_once('=')
                .map(|(key, value)| (key.into(), value.into()))
        };
        Some(text.lines().filter_map(line).collect())
    }

    /// The folder of the finished dump.
    pub fn finished(&self) -> PathBuf {
        self.store().join("current")
    }

    /// The folder of the policy in the dump volume.
    pub fn store(&self) -> PathBuf {
        let argv = self.argv(Phase::Pre);
        let script = Path::new(argv.last().unwrap());
        self.volume()
            .join(script.parent().unwrap().file_name().unwrap())
    }

    /// What the policy's scripts lock while they run, if they do: in the dump volume, or that of their state.
    pub fn lock(&self) -> Option<PathBuf> {
        let volumes = ["quiescent-dump", "quiescent-state"].map(|volume| self.folder(volume));
        let volume = volumes.into_iter().find(|volume| volume.exists())?;
        Some(volume.join(self.store().file_name()?).join("lock"))
    }

    /// Every file of the dump volume; none where there is no such volume.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.volume()];
        folders.retain(|folder| folder.exists());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    files.insert(entry.path(), fs::read(entry.path()).unwrap());
                }
            }
        }
        files
    }
}

/// The same pod, told that its dump replaces what is there.
pub fn overwriting(mut pod: Value, policy: &str) -> Value {
    let key = format!("quiescent.dev/{policy}.overwrite");
    pod["metadata"]["annotations"][key] = "true".into();
    pod
}

/// A pod whose only container has this image and environment.
pub fn pod(image: &str, environment: &[(&str, &str)]) -> Value {
    let variables: Vec<Value> = environment
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "db-0", "namespace": "shop" },
        "spec": { "containers": [{ "name": "db", "image": image, "env": variables }] },
    })
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A hook at work.
pub struct Running {
    child: Child,
    script: bool,
}

/// A container that goes when this is dropped.
pub struct Beside(Option<Running>);

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.kill();
        }
    }
}

impl Running {
    /// Its own process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the hook has ended and nobody holds its output any more, as Velero's exec does.
    pub fn finish(self) -> Outcome {
        let group = self.child.id();
        let (send, receive) = mpsc::channel();
        thread::spawn(move || send.send(self.child.wait_with_output()));
        let Ok(done) = receive.recv_timeout(PATIENCE) else {
            signal_group(group);
            panic!("the hook does not end within {PATIENCE:?}");
        };
        let done = done.unwrap();
        Outcome {
            script: self.script,
            code: done.status.code(),
            said: String::from_utf8(done.stdout).unwrap(),
            complained: String::from_utf8(done.stderr).unwrap(),
        }
    }

    /// Ends the hook at once, as the kernel does when memory is short.
    pub fn kill(mut self) {
        signal_group(self.child.id());
        self.child.wait().unwrap();
    }

    /// Ends the hook's own process at once, and leaves what it started.
    pub fn kill_alone(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn signal_group(group: u32) {
    // The process may have ended by itself.
    let _ = Command::new("kill")
        .args(["-KILL", "--", &format!("-{group}")])
        .stderr(Stdio::null())
        .status();
}

/// How a hook ended.
#[derive(Debug)]
pub struct Outcome {
    /// Whether it was a script of ours, whose last line is for programs.
    script: bool,
    pub code: Option<i32>,
    pub said: String,
    pub complained: String,
}

impl Outcome {
    /// It did what it is for, and its last line says so.
    #[track_caller]
    pub fn is_ok(&self) {
        self.ends(0, "quiescent result=ok ");
    }

    /// It had nothing to do, for this reason.
    #[track_caller]
    pub fn is_skipped(&self, reason: &str) {
        self.ends(0, "quiescent result=skipped ");
        assert!(self.last_line().contains(reason), "{self:?}");
    }

    /// It failed with this code and one sentence that has these words.
    #[track_caller]
    pub fn failed(&self, code: i32, words: &[&str]) {
        self.ends(code, "quiescent result=failed ");
        let sentences = self
            .complained
            .lines()
            .filter(|line| line.starts_with("quiescent: "))
            .count();
        assert_eq!(sentences, 1, "{self:?}");
        for word in words {
            assert!(
                self.complained.contains(word),
                "{word:?} is not in {self:?}"
            );
        }
    }

    /// It ran as one of several steps and the whole failed with this code, saying these words.
    #[track_caller]
    pub fn failed_together(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(
                self.complained.contains(word),
                "{word:?} is not in {self:?}"
            );
        }
    }

    #[track_caller]
    fn ends(&self, code: i32, line: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(
            !self.script || self.last_line().starts_with(line),
            "{self:?}"
        );
    }

    fn last_line(&self) -> &str {
        self.said.lines().last().unwrap_or_default()
    }
}
