//! The README, held to its word: every console block is run and shows what comes out.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::golden;

/// Runs a command line in a shell that finds the program under test.
fn run(line: &str, dir: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_quiescent"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {line}; }} 2>&1")])
        .env("PATH", path)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_console_block_shows_what_its_commands_print() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut fresh = String::new();
    let mut lines = text.lines();
    let mut file = None;
    let mut commands = 0;
    while let Some(line) = lines.next() {
        fresh.push_str(line);
        fresh.push('\n');
        if let Some(name) = line.strip_prefix("<!-- file: ") {
            file = Some(dir.path().join(name.trim_end_matches(" -->")));
        } else if line == "```yaml" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let content = block.join("\n") + "\n";
            if let Some(path) = file.take() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, &content).unwrap();
            }
            fresh.push_str(&content);
            fresh.push_str("```\n");
        } else if line == "```console" {
            for line in lines.by_ref().take_while(|line| *line != "```") {
                if let Some(command) = line.strip_prefix("$ ") {
                    commands += 1;
                    let printed = run(command, dir.path());
                    let _ = write!(fresh, "$ {command}\n{printed}");
                }
            }
            fresh.push_str("```\n");
        }
    }
    assert!(commands >= 4, "the README has its examples");
    golden(&readme, &fresh);
}
