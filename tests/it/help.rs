//! What `--help` says: each example in it is run, and the manual pages have it all too.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::support::{quiescent, run};

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: pg, namespace: shop}\nspec:\n  containers:\n    - {name: db, image: \"postgres:16\"}\n";

fn help(command: &[&str]) -> String {
    let output = quiescent(&[command, &["--help"]].concat())
        .env("COLUMNS", "80")
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that a help lists.
fn commands(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = list.lines().take_while(|line| !line.is_empty());
    let first = lines.filter(|line| !line.starts_with("   "));
    let names = first.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The command lines below `Examples:`, without what is said behind them.
fn examples(help: &str) -> Vec<String> {
    let list = help.split("Examples:\n").nth(1).unwrap_or_default();
    let lines = list.lines().map(str::trim);
    let lines = lines.take_while(|line| !line.is_empty());
    lines
        .map(|line| line.split("  ").next().unwrap().to_owned())
        .collect()
}

/// A folder as the examples take it to be. Where they name other people's programs, these print a
/// manifest or swallow one: what they do is not our matter.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    write("shop.yaml", POD);
    write("manifests/pod.yaml", POD);
    write(".kube/config", KUBECONFIG);
    let injected = run(&["inject", "-f", "-"], POD).stdout;
    write("injected.yaml", &String::from_utf8(injected).unwrap());
    let exported = quiescent(&["library", "export", "postgresql-dump", "my-policy"])
        .current_dir(&dir)
        .output()
        .unwrap();
    assert!(exported.status.success());
    for folder in [".bash_completion.d", ".zfunc", ".config/fish/completions"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    for program in ["kubectl", "helm", "man"] {
        let prints =
            "#!/bin/sh\ncase $1 in get|template) cat shop.yaml;; *) cat >/dev/null;; esac\n";
        let path = write(&format!("bin/{program}"), prints);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

fn shell(line: &str, dir: &Path) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_quiescent"));
    let path = format!(
        "{}:{}:{}",
        dir.join("bin").display(),
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let mut shell = Command::new("bash");
    shell
        .args(["-o", "pipefail", "-c", line])
        .env("PATH", path)
        .env("HOME", dir)
        .current_dir(dir)
        .stdin(Stdio::null());
    shell
}

/// Of a cluster that is not there yet.
const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: it\ncontexts: [{name: it, context: {cluster: it, user: it}}]\nclusters: [{name: it, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: it, user: {token: none}}]\n";

/// Whoever goes on for ever says that it is there, and ends when it is told to.
fn serve(line: &str, dir: &Path) {
    let mut child = shell(&format!("exec {line}"), dir)
        .env("QUIESCENT_LISTEN", "127.0.0.1:0")
        .env("QUIESCENT_ADMIN", "127.0.0.1:0")
        .env("QUIESCENT_DRAIN", "0s")
        .env_remove("KUBECONFIG")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut first).unwrap();
    let told = Command::new("kill").arg(child.id().to_string()).status();
    assert!(told.unwrap().success());
    assert!(first.starts_with("quiescent "), "{line}: {first}");
    assert!(child.wait().unwrap().success(), "{line}");
}

#[test]
fn every_example_of_a_help_works() {
    let top = help(&[]);
    let mut helps = vec![(String::new(), top.clone())];
    for command in commands(&top) {
        let text = help(&[&command]);
        helps.push((command, text));
    }
    let mut tried = 0;
    for (command, text) in helps {
        let dir = folder();
        let examples = examples(&text);
        assert!(
            !examples.is_empty() || command == "version",
            "{command} has no example"
        );
        for line in examples {
            tried += 1;
            let long = text.lines().find(|line| line.chars().count() > 80);
            assert_eq!(long, None, "{command} --help does not fit");
            if ["quiescent serve", "quiescent controller"]
                .iter()
                .any(|goes_on| line.starts_with(goes_on))
            {
                serve(&line, dir.path());
                continue;
            }
            let Output {
                status,
                stdout: _,
                stderr,
            } = shell(&line, dir.path()).output().unwrap();
            // Findings are no failure of the example. Where only a live cluster will do, it has to get as
            // far as asking the one that is not there.
            let asks = [
                "quiescent doctor",
                "quiescent test",
                "quiescent snapshot",
                "quiescent results",
                "quiescent verify",
            ];
            let asks = asks.iter().any(|it| line.starts_with(it));
            let told = String::from_utf8_lossy(&stderr);
            let asked = told.contains("cannot be asked") || told.contains("failed to read /api");
            let fine = match status.code() {
                Some(2) => asks && asked,
                code => matches!(code, Some(0 | 1)),
            };
            assert!(fine, "{line}: {}", String::from_utf8_lossy(&stderr));
        }
    }
    assert!(tried > 25, "{tried}");
}

#[test]
fn every_command_has_a_page_with_its_examples() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    assert!(run(&["man", path], "").status.success());
    let page = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(page("quiescent.1").contains("quiescent\\-lint(1)"));
    for command in commands(&help(&[])) {
        let page = page(&format!("quiescent-{command}.1"));
        let first = examples(&help(&[&command])).into_iter().next();
        let first = first.unwrap_or_default().replace('-', "\\-");
        assert!(page.contains(&first), "{command}: {first}\n{page}");
    }
}

#[test]
fn every_shell_that_is_there_takes_its_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell], "").stdout;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        fs::write(&path, script).unwrap();
        // A shell that is not installed cannot be asked.
        let Ok(output) = Command::new(shell).arg("-n").arg(&path).output() else {
            continue;
        };
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && told.is_empty(),
            "{shell}: {told}"
        );
    }
}
