//! How a hook is shown: its command and the last lines that it printed.

/// So many lines are shown.
const LINES: usize = 10;

/// A command that is longer is cut.
const COMMAND: usize = 60;

/// The command as people tell hooks apart: without the environment that is set for it.
pub fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut words = words.into_iter().peekable();
    if words.next_if_eq(&"/usr/bin/env").is_some() {
        while words.next_if(|word| word.contains('=')).is_some() {}
    }
    let all = printable(&words.collect::<Vec<_>>().join(" ").replace('\n', " "));
    if all.chars().count() <= COMMAND {
        return all;
    }
    all.chars().take(COMMAND - 1).chain(['…']).collect()
}

/// The last lines that a hook printed, errors last.
pub fn last_lines(stdout: &str, stderr: &str) -> Vec<String> {
    let lines: Vec<&str> = stdout.lines().chain(stderr.lines()).collect();
    let from = lines.len().saturating_sub(LINES);
    let shown = lines[from..].iter().map(|line| printable(line));
    shown.collect()
}

/// A line without what would move the cursor of a terminal.
fn printable(line: &str) -> String {
    line.chars().filter(|it| !it.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn a_command_is_shown_without_its_environment() {
        let ours = "/usr/bin/env QUIESCENT_TIMEOUT=5 /bin/sh /quiescent/pg/pre.sh";
        assert_eq!(command(ours.split(' ')), "/bin/sh /quiescent/pg/pre.sh");
        assert_eq!(
            command(["fsfreeze", "--freeze", "/data"]),
            "fsfreeze --freeze /data"
        );
        let long = command([&*"x".repeat(100)]);
        assert_eq!(long.chars().count(), 60);
        assert!(long.ends_with('…'));
    }
}
