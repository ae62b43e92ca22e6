//! What people get wrong on the command line, and the files and addresses that are not as they
//! should be: each is told by its name, with what to do.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{copy_of_the_program, quiescent, require, run};

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: pg}\nspec:\n  containers: [{name: db, image: \"postgres:16\"}]\n";

/// Standard error of a run in a folder that could not be done.
fn told(arguments: &[&str], dir: &Path) -> String {
    let output = quiescent(arguments)
        .current_dir(dir)
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    told
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("shop.yaml"), POD).unwrap();
    fs::write(dir.path().join("latin.yaml"), b"# Gr\xfc\xdfe\nkind: Pod\n").unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    fs::create_dir(dir.path().join("manifests")).unwrap();
    dir
}

#[test]
fn names_that_do_not_exist_are_answered_with_those_that_do() {
    let dir = folder();
    for (arguments, meant) in [
        (&["lnit", "shop.yaml"][..], "'lint'"),
        (&["explian"], "'explain'"),
        (&["library", "lst"], "'list'"),
        (&["lint", "--ignroe", "QV012", "x"], "'--ignore'"),
        (&["inject", "--polices", "x"], "'--policies'"),
        (&["serve", "--kubconfig", "x"], "'--kubeconfig'"),
        (&["lint", "-o", "sarfi", "x"], "'sarif'"),
        (&["inject", "-o", "yml", "x"], "'yaml'"),
        (&["completions", "bsh"], "'bash'"),
        (&["explain", "--default-method", "dmp", "x"], "'dump'"),
        (&["explain", "--mode", "optin", "x"], "'opt-in'"),
        (&["--color", "alway", "version"], "'always'"),
        (&["serve", "--log", "jsn"], "text or json"),
        (&["library", "show", "postgres-dump"], "\"postgresql-dump\""),
        (&["library", "export", "mysql", "x"], "\"mysql-dump\""),
        (&["lint", "--explain", "QV15"], "QV015"),
        (
            &["lint", "--select", "QV1000", "shop.yaml"],
            "QV000 to QV055",
        ),
        (&["explain", "-f", "shpo.yaml"], "did you mean shop.yaml?"),
        (&["lint", "manifest"], "did you mean manifests?"),
        (&["inject", "./shop.yml"], "did you mean ./shop.yaml?"),
        (&["inject", "manifets/shop.yaml"], "did you mean manifests?"),
        (
            &["explain", "shop.yaml", "--policies", "redis-dump"],
            "is a policy of the library",
        ),
        (
            &["explain", "shop.yaml", "--policies", "shop.yml"],
            "did you mean shop.yaml?",
        ),
    ] {
        let told = told(arguments, dir.path());
        assert!(told.contains(meant), "{arguments:?}: {told}");
    }
}

#[test]
fn what_cannot_be_read_is_named_with_the_reason() {
    let dir = folder();
    for (arguments, parts) in [
        (&["inject"][..], &["nothing to read", "name a file"][..]),
        (
            &["explain", "-f", "/nowhere/at.all"],
            &["/nowhere/at.all", "No such file"],
        ),
        (
            &["explain", "empty"],
            &["no manifest", "*.yaml", "in empty"],
        ),
        (
            &["lint", "empty"],
            &["no policy and no manifest", "in empty"],
        ),
        (
            &["explain", "shop.yaml", "--policies", "empty"],
            &["no policy file", "in empty"],
        ),
        (
            &["inject", "latin.yaml"],
            &["latin.yaml is not UTF-8 text: byte 5", "iconv"],
        ),
        (
            &["lint", "latin.yaml"],
            &["latin.yaml is not UTF-8 text: byte 5", "iconv"],
        ),
        (
            &["explain", "shop.yaml", "--policies", "latin.yaml"],
            &["latin.yaml is not UTF-8"],
        ),
        (
            &["library", "export", "redis-dump", "shop.yaml/x"],
            &["shop.yaml/x", "Not a directory"],
        ),
        (&["man", "shop.yaml"], &["shop.yaml", "File exists"]),
        (
            &["serve", "--kubeconfig", "none"],
            &["none", "No such file"],
        ),
        (
            &["serve", "--cert-dir", "none"],
            &["none/tls.crt does not exist"],
        ),
        (&["serve", "--cert-dir", "empty"], &["empty", "tls.crt"]),
        (&["serve", "--reload", "5"], &["--reload", "no unit"]),
        (
            &["serve", "--listen", "8443"],
            &["'8443' for '--listen", "0.0.0.0:8443"],
        ),
    ] {
        let told = told(arguments, dir.path());
        for part in parts {
            assert!(told.contains(part), "{arguments:?}: {told}");
        }
    }
}

#[test]
fn nothing_to_look_at_is_said() {
    for (arguments, input, says) in [
        (
            &["explain", "-"][..],
            "",
            "standard input: no object in there",
        ),
        (
            &["explain", "-"],
            "kind: Service\napiVersion: v1\n",
            "no pod and no pod template",
        ),
        (
            &["inject", "-"],
            "# nothing\n",
            "standard input: no object in there",
        ),
        (&["uninject", "-"], "", "standard input: no object in there"),
        (
            &["scripts", "--policies", "/dev/null"],
            "",
            "there is no policy in this file",
        ),
    ] {
        let output = run(arguments, input);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
        assert!(told.contains(says), "{arguments:?}: {told}");
    }
    let binary = Command::new(env!("CARGO_BIN_EXE_quiescent"))
        .args(["lint", "-"])
        .stdin(fs::File::open(env!("CARGO_BIN_EXE_quiescent")).unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8(binary.stderr).unwrap();
    assert_eq!(binary.status.code(), Some(2));
    assert!(told.contains("standard input is not UTF-8 text"), "{told}");
}

#[test]
fn a_label_that_is_no_text_is_named() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: pg, labels: {app: on}}\nspec: {containers: [{name: db, image: postgres}]}\n";
    for command in ["inject", "uninject", "explain"] {
        let output = run(&[command, "-"], pod);
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8(output.stderr).unwrap();
        let why = "app in metadata.labels is a boolean: put the value into quotes";
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn what_stands_in_an_annotation_that_is_no_text_is_not_printed() {
    for (value, why) in [
        (
            "{password: s3cret}",
            "x in metadata.annotations is a mapping, and",
        ),
        ("[s3cret]", "x in metadata.annotations is a list, and"),
    ] {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: pg, annotations: {{x: {value}}}}}\nspec: {{containers: [{{name: db, image: postgres}}]}}\n"
        );
        for command in ["inject", "uninject", "explain"] {
            let output = run(&[command, "-"], &pod);
            assert_eq!(output.status.code(), Some(2));
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(told.contains(why) && !told.contains("quotes"), "{told}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}

#[test]
fn a_cluster_that_cannot_be_reached_is_named_in_the_log() {
    let dir = folder();
    let cluster = "apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: \"https://127.0.0.1:1\"}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {token: x}}]\ncurrent-context: a\n";
    fs::write(dir.path().join("kubeconfig"), cluster).unwrap();
    let mut serve = quiescent(&["serve", "--kubeconfig", "kubeconfig", "--drain", "0s"])
        .args([
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--log",
            "text",
        ])
        .current_dir(&dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(serve.stderr.take().unwrap());
    let mut named = false;
    for line in log.lines().map(Result::unwrap) {
        named |= line.contains("cluster=127.0.0.1:1");
        if line.contains("the watch of namespaces broke") {
            assert!(line.contains("Connection refused"), "{line}");
            break;
        }
    }
    assert!(named);
    serve.kill().unwrap();
    serve.wait().unwrap();
}

#[test]
fn one_file_that_cannot_be_read_does_not_keep_lint_from_the_others() {
    let dir = folder();
    let output = quiescent(&["lint", "."])
        .current_dir(&dir)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("./latin.yaml is not UTF-8"), "{told}");
    let judged = String::from_utf8(output.stdout).unwrap();
    assert!(
        judged.ends_with("1 file, 0 errors, 0 warnings\n"),
        "{judged}"
    );
}

#[test]
fn a_link_back_up_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    fs::write(dir.path().join("a/pod.yaml"), POD).unwrap();
    symlink("..", dir.path().join("a/up")).unwrap();
    for command in ["lint", "explain"] {
        let output = quiescent(&[command, "."])
            .current_dir(&dir)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            output.status.code(),
            Some(if command == "lint" { 0 } else { 2 }),
            "{told}"
        );
    }
}

#[test]
fn flags_that_cannot_be_followed_are_refused_at_the_start() {
    let dir = folder();
    for (arguments, sentence) in [
        (
            &["serve", "--tls-name", "a", "--cert-dir", "empty"][..],
            "'--tls-name <NAME>' cannot be used with '--cert-dir <DIR>'",
        ),
        (
            &["serve", "--watch-policies"],
            "--watch-policies: there is no cluster, name one with --kubeconfig",
        ),
        (
            &["serve", "--trust-delay=-1s"],
            "--trust-delay -1s: it takes a time, such as 10s",
        ),
        (
            &["serve", "--reload", "0s"],
            "--reload 0s: it takes a time above zero, such as 2s",
        ),
        (
            &["controller"],
            "there is no cluster: name one with --kubeconfig, or run it in a pod",
        ),
        (
            &["controller", "--interval", "0s"],
            "--interval 0s: it takes a time above zero, such as 60s",
        ),
        (
            &["controller", "--keep-scripts=-1h"],
            "--keep-scripts -1h: it takes a time, such as 720h",
        ),
        (
            &["controller", "--lease-duration", "1500ms"],
            "--lease-duration 1.5s: it takes whole seconds, two at least, such as 15s",
        ),
        (
            &["audit", "-A", "-n", "shop"],
            "'--all-namespaces' cannot be used with '--namespace <NAMESPACE>'",
        ),
    ] {
        let told = told(arguments, dir.path());
        assert!(told.contains(sentence), "{arguments:?}: {told}");
    }
}

#[test]
fn a_port_that_somebody_has_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (listen, admin) in [(&*address, "127.0.0.1:0"), ("127.0.0.1:0", &address)] {
        let dir = tempfile::tempdir().unwrap();
        let told = told(&["serve", "--listen", listen, "--admin", admin], dir.path());
        assert!(
            told.contains(&address) && told.contains("is it running already"),
            "{told}"
        );
    }
}

#[test]
fn a_file_that_may_not_be_read_says_whose_it_is() {
    use std::os::unix::process::CommandExt as _;
    let dir = folder();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let shut = dir.path().join("shop.yaml");
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
    let program = dir.path().join("quiescent");
    copy_of_the_program(&program);
    let mut command = Command::new(&program);
    command.args(["lint", "shop.yaml"]).current_dir(&dir);
    // Nothing is shut to root.
    if fs::read(&shut).is_ok() {
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        told.contains("failed to read shop.yaml: Permission denied"),
        "{told}"
    );
    assert!(
        told.contains("help: shop.yaml belongs to user") && told.contains("mode 0000"),
        "{told}"
    );
}

/// A run on a terminal of its own, by way of `script`.
fn on_a_terminal(line: &str, dir: &Path) -> Command {
    let mut command = Command::new("script");
    command
        .args(["-qec", line, "/dev/null"])
        .current_dir(dir)
        .stdin(Stdio::null());
    command
}

#[test]
fn a_long_run_counts_on_a_terminal_and_leaves_nothing_behind() {
    let there = Command::new("script").arg("--version").output().is_ok();
    if !require(there, "script") {
        return;
    }
    let dir = folder();
    fs::remove_file(dir.path().join("latin.yaml")).unwrap();
    // A file that is not written yet takes as long as it takes.
    let pipe = dir.path().join("waits.yaml");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let program = env!("CARGO_BIN_EXE_quiescent");
    let mut run = on_a_terminal(&format!("{program} lint ."), dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut terminal = BufReader::new(run.stdout.take().unwrap());
    let mut seen = Vec::new();
    terminal.read_until(b's', &mut seen).unwrap();
    let counted = String::from_utf8(seen).unwrap();
    assert!(counted.ends_with(" of 2 files"), "{counted:?}");
    fs::write(&pipe, POD).unwrap();
    let mut rest = String::new();
    terminal.read_to_string(&mut rest).unwrap();
    assert!(run.wait().unwrap().success());
    let (_, printed) = rest.rsplit_once("\r\u{1b}[K").unwrap();
    assert_eq!(printed, "2 files, 0 errors, 0 warnings\r\n");
}

#[test]
fn lines_fit_the_terminal_and_are_whole_in_a_pipe() {
    let there = Command::new("script").arg("--version").output().is_ok();
    if !require(there, "script") {
        return;
    }
    let dir = folder();
    let long = "x".repeat(200);
    let hook = format!("{POD}  # end\n").replace(
        "metadata: {name: pg}",
        &format!("metadata:\n  name: pg\n  annotations:\n    pre.hook.backup.velero.io/command: '[\"/bin/sh\",\"-c\",\"echo {long}; redis-cli bgsave; echo {long}\"]'"),
    );
    fs::write(dir.path().join("hook.yaml"), hook).unwrap();
    let program = env!("CARGO_BIN_EXE_quiescent");
    let widest = |line: &str| {
        let line = format!("stty cols 80 rows 24; {program} --color never {line}");
        let output = on_a_terminal(&line, dir.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().count() > 3, "{text}");
        // A sentence of lint wraps by itself; its source must not, for the carets below it.
        let lines = text.lines();
        let lines = lines.filter(|it| !line.contains("lint") || it.contains(" | "));
        lines.map(|line| line.chars().count()).max().unwrap()
    };
    assert!(widest("explain shop.yaml") <= 80);
    assert!(widest("library list") <= 80);
    assert!(widest("library show postgresql-dump") <= 80);
    assert!(widest("lint --select QV023 hook.yaml | grep '|'") > 80);
    assert!(widest("lint --select QV023 hook.yaml") <= 80);
    let piped = widest("explain shop.yaml | cat");
    assert!(piped > 80, "{piped}");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let there = Command::new("script").arg("--version").output().is_ok();
    if !require(there, "script") {
        return;
    }
    let dir = folder();
    let program = env!("CARGO_BIN_EXE_quiescent");
    let escapes = |line: &str| {
        let output = on_a_terminal(line, dir.path())
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().contains('\u{1b}')
    };
    assert!(escapes(&format!("{program} explain shop.yaml")));
    assert!(!escapes(&format!("NO_COLOR=1 {program} explain shop.yaml")));
    assert!(!escapes(&format!(
        "{program} --color never explain shop.yaml"
    )));
    assert!(!escapes(&format!("{program} explain shop.yaml | cat")));
    assert!(escapes(&format!(
        "{program} --color always explain shop.yaml | cat"
    )));
    // What programs read has none, whatever is asked.
    assert!(!escapes(&format!(
        "{program} --color always explain -o json shop.yaml"
    )));
    assert!(!escapes(&format!(
        "{program} --color always lint -o sarif shop.yaml"
    )));
    assert!(!escapes(&format!(
        "{program} --color always inject shop.yaml 2>/dev/null"
    )));
}
