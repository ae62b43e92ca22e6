//! Which program a container runs, as far as its command says.

/// Programs that run what follows them.
pub const WRAPPERS: [&str; 9] = [
    "catatonit",
    "docker-entrypoint.sh",
    "dumb-init",
    "entrypoint.sh",
    "env",
    "exec",
    "gosu",
    "tini",
    "--",
];

/// Programs that run a script, or what somebody types.
pub const SHELLS: [&str; 5] = ["ash", "bash", "busybox", "dash", "sh"];

/// Words of a shell after which a command begins.
const BEFORE_A_COMMAND: [&str; 12] = [
    "!", "(", "{", "do", "elif", "else", "exec", "if", "then", "time", "until", "while",
];

/// Commands that say nothing of what a script is for.
const HELPERS: [&str; 27] = [
    "[", "]", "break", "cat", "cd", "date", "done", "echo", "esac", "exit", "export", "false",
    "fi", "find", "gzip", "mkdir", "mv", "printf", "rm", "set", "sleep", "tail", "test", "trap",
    "true", "wait", "}",
];

/// The program of a command and its arguments, for a shell the first known one that its script runs,
/// if the script runs nothing that could be a server.
pub fn program<'w>(
    mut words: impl Iterator<Item = &'w str>,
    known: impl Fn(&str) -> bool,
) -> Option<&'w str> {
    let first = words.find(|word| !WRAPPERS.contains(&base(word)))?;
    if !SHELLS.contains(&base(first)) {
        return Some(base(first));
    }
    let mut words = words.filter(|word| !SHELLS.contains(word)).peekable();
    if words.peek().is_none() {
        return Some("sh");
    }
    let mut flags = words.by_ref().take_while(|word| is_flag(word));
    flags
        .find(|word| is_script_flag(word))
        .and_then(|_| words.next())
        .and_then(|script| of_script(script, known))
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_flag(word: &str) -> bool {
    word.starts_with(['-', '+'])
}

/// `-c`, `-ec`, `-lc` and the like.
fn is_script_flag(word: &str) -> bool {
    is_flag(word) && !word.starts_with("--") && word.ends_with('c')
}

/// Helpers alone are a shell, and start no server.
fn of_script(script: &str, known: impl Fn(&str) -> bool) -> Option<&str> {
    let mut found = None;
    for command in script.split([';', '&', '|', '\n']) {
        let mut words = command.split_whitespace();
        let Some(first) = words.find(|word| !BEFORE_A_COMMAND.contains(word) && !is_setting(word))
        else {
            continue;
        };
        let program = base(first);
        if HELPERS.contains(&program) || program.starts_with('#') || is_number(program) {
            continue;
        }
        if !known(program) {
            return None;
        }
        found = found.or(Some(program));
    }
    found.or(Some("sh"))
}

/// What is left of `2>&1`.
fn is_number(word: &str) -> bool {
    word.bytes().all(|it| it.is_ascii_digit())
}

/// `PGPASSWORD=x` before a command.
fn is_setting(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| {
        !name.is_empty()
            && name
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::program;

    fn of(words: &[&str]) -> Option<String> {
        let known = |name: &str| matches!(name, "psql" | "pg_dump" | "pg_isready");
        program(words.iter().copied(), known).map(str::to_owned)
    }

    #[test]
    fn the_program_is_found_behind_wrappers_and_shells() {
        for words in [
            &["psql"][..],
            &["/usr/bin/psql", "-h", "pg"],
            &["docker-entrypoint.sh", "psql"],
            &["tini", "--", "psql"],
            &["sh", "-c", "psql -h pg"],
            &["/bin/bash", "-ec", "set -e\nPGPASSWORD=x psql -h pg"],
            &["bash", "-e", "-c", "psql"],
            &[
                "busybox",
                "sh",
                "-c",
                "while true; do psql >log 2>&1; sleep 5; done",
            ],
        ] {
            assert_eq!(of(words), Some("psql".into()), "{words:?}");
        }
        assert_eq!(
            of(&[
                "sh",
                "-c",
                "until pg_isready -h pg; do sleep 1; done; pg_dump shop > /backup/shop.sql"
            ]),
            Some("pg_isready".into())
        );
        assert_eq!(of(&["bash"]), Some("sh".into()));
        assert_eq!(of(&["sh", "-c", "sleep infinity"]), Some("sh".into()));
    }

    #[test]
    fn what_may_start_a_server_is_no_client() {
        for words in [
            &[][..],
            &["sh", "/start"],
            &["sh", "-c", "/opt/start.sh & until psql; do sleep 1; done"],
            &["sh", "-c", "exec postgres -c max_connections=10"],
            &["bash", "-c", "docker-entrypoint.sh postgres & psql"],
            &["sh", "-c", "$START; psql"],
        ] {
            assert_eq!(of(words), None, "{words:?}");
        }
        assert_eq!(of(&["postgres", "-c", "fsync=on"]), Some("postgres".into()));
    }
}
