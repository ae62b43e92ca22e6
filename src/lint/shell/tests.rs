use super::{call, command_at, script, shell, target, tries, words};

#[test]
fn the_script_of_a_shell_is_found_behind_what_wraps_it() {
    let cases: &[(&[&str], Option<usize>)] = &[
        (&["/bin/sh", "-c", "true"], Some(2)),
        (&["bash", "-euc", "true"], Some(2)),
        (&["bash", "-o", "pipefail", "-c", "true"], Some(4)),
        (&["bash", "-c", "-e", "true"], Some(3)),
        (&["/usr/bin/env", "A=b", "sh", "-c", "true"], Some(4)),
        (&["timeout", "-k", "5", "60", "sh", "-c", "true"], Some(6)),
        (&["gosu", "postgres", "bash", "-c", "true"], Some(4)),
        (&["sh", "/hooks/pre.sh"], None),
        (&["sh", "-c"], None),
        (&["psql", "-c", "select 1"], None),
    ];
    for (argv, expected) in cases {
        assert_eq!(script(argv), *expected, "{argv:?}");
    }
    assert_eq!(shell(&["psql", "sh"]), None);
}

#[test]
fn words_lose_their_quotes_and_operators_stand_alone() {
    assert_eq!(
        words("pg_dump -U \"$USER\" 'a b'>>/x && mv a\\ b c"),
        [
            "pg_dump", "-U", "$USER", "a b", ">>", "/x", "&&", "mv", "a b", "c"
        ]
    );
}

#[test]
fn a_program_is_a_word_of_its_own() {
    assert_eq!(call("/usr/bin/pg_dump -Fc", "pg_dump"), Some(9));
    assert_eq!(call("cat /backup/pg_dump.sql", "pg_dump"), None);
    assert_eq!(call("pg_dumpall", "pg_dump"), None);
}

#[test]
fn a_command_ends_where_the_next_begins_and_says_where_it_writes() {
    let line = "pg_dump -Fc -f /dump/new app && mv /dump/new /dump/done";
    assert_eq!(command_at(line, 0), "pg_dump -Fc -f /dump/new app ");
    let cases = [
        ("pg_dump app > /dump/app.sql", Some("/dump/app.sql")),
        ("pg_dump --file=/dump/a", Some("/dump/a")),
        ("mongodump --archive=/dump/a", Some("/dump/a")),
        ("pg_dump app", None),
    ];
    for (command, file) in cases {
        assert_eq!(target(command).as_deref(), file, "{command}");
    }
}

#[test]
fn a_loop_that_counts_says_how_often_it_tries() {
    for (script, expected) in [
        (
            "for i in 1 2 3; do x && exit 0; sleep 5; done",
            Some((3, 5)),
        ),
        (
            "N=4\nD=2\nfor i in $(seq 1 $N); do\n  x\n  sleep $D\ndone",
            Some((4, 2)),
        ),
        ("for i in $(seq 10); do sleep 1s; done", Some((10, 1))),
        ("for i in {1..5}\ndo sleep 3\ndone", Some((5, 3))),
        ("for f in a b; do sleep 5; done", None),
        ("for i in 1 2; do x; done; sleep 5", None),
        ("until x; do sleep 1; done", None),
        ("for i in $(seq 9 1); do sleep 5; done", None),
        ("for i in $(ls); do sleep 5; done", None),
        ("for", None),
    ] {
        assert_eq!(tries(script), expected, "{script}");
    }
}
