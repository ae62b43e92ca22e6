//! What a hook runs: whether Velero can start it, and what can be known of what it does.

use super::{
    Rule, Spot,
    engines::{CLIENTS, DUMPS, EVIDENCE, FREEZES, Freeze, WAITS},
    findings::Findings,
    hook::{Arg, Hook},
    pod::Container,
    shell,
};
use crate::{
    diagnostic::Fix,
    policy::Invocation,
    velero::{DEFAULT_TIMEOUT, HookPhase, command_elements, encode_command},
    yaml::Node,
};

/// Whether the text of an annotation is a command that Velero can start.
pub fn text(command: &Node, findings: &mut Findings<'_>) {
    let (Some(said), whole) = (command.as_str(), Spot::of(command)) else {
        return;
    };
    let trimmed = said.trim_start();
    if trimmed.starts_with('[') && trimmed.len() < said.len() {
        findings
            .at(Rule::BlankBeforeJson, &whole, "Velero takes this array for the name of one program: white space stands before its bracket")
            .help("begin the value with the bracket itself")
            .fix(match command_elements(trimmed) {
                Ok(_) => replaced(command, trimmed.to_owned()),
                Err(_) => strictly(command, trimmed),
            });
    } else if said.starts_with('[') {
        array(command, said, findings);
    } else if let Some(sign) = said.find(|c: char| c.is_whitespace() || "|&;<>$'\"`".contains(c)) {
        let length = said[sign..].chars().next().map_or(1, char::len_utf8);
        let argv = encode_command(&["/bin/sh", "-c", said.trim_end()]);
        findings
            .at(Rule::PlainLine, &whole.part(sign..sign + length), "Velero takes the whole line for the name of one program: it starts no shell and splits no words")
            .help(format!("write {}", in_yaml(&argv)));
    }
}

fn array(command: &Node, said: &str, findings: &mut Findings<'_>) {
    let whole = &Spot::of(command);
    match command_elements(said) {
        Err(place) => {
            let rest = said.get(place..).unwrap_or_default();
            let length = rest.chars().next().map_or(0, char::len_utf8);
            // Nothing is left to point at when the text ends too early.
            let spot = if length == 0 {
                whole.clone()
            } else {
                whole.part(place..place + length)
            };
            let repaired = encode_command(&loosely(said));
            findings
                .at(Rule::BrokenJson, &spot, "this is no JSON array of strings: Velero runs the whole text as the name of one program")
                .label("not JSON from here")
                .help(format!("write {}", in_yaml(&repaired)))
                .fix(strictly(command, said));
        }
        Ok(elements) => {
            if elements
                .first()
                .is_none_or(|(program, _)| program.is_empty())
            {
                findings
                    .at(
                        Rule::NoProgram,
                        whole,
                        "this command names no program: Velero refuses to run it",
                    )
                    .help("write the program first: '[\"/bin/sh\",\"-c\",\"…\"]'");
            }
        }
    }
}

fn replaced(command: &Node, text: String) -> Fix {
    Fix::Text {
        at: command.span.clone(),
        text,
    }
}

/// Writes an array as JSON whose elements are all in quotes of some kind, and in nothing else that
/// could mean two things.
fn strictly(command: &Node, said: &str) -> Fix {
    quoted(said).map_or(
        Fix::Person("where one argument ends and the next begins is not clear"),
        |argv| replaced(command, encode_command(&argv)),
    )
}

fn quoted(said: &str) -> Option<Vec<String>> {
    let inside = said.trim().strip_prefix('[')?.strip_suffix(']')?;
    let mut rest = inside.trim_start();
    let mut argv = Vec::new();
    while !rest.is_empty() {
        let (closing, after) = match rest.chars().next()? {
            '\'' => ('\'', &rest[1..]),
            '"' => ('"', &rest[1..]),
            open @ '\u{201c}' => ('\u{201d}', &rest[open.len_utf8()..]),
            _ => return None,
        };
        let end = after.find(closing)?;
        let (element, behind) = (&after[..end], &after[end + closing.len_utf8()..]);
        // What a backslash means differs from one kind of quotes to the other.
        if element.contains(['\\', '\n', '\t']) {
            return None;
        }
        argv.push(element.to_owned());
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if behind.is_empty() => behind,
            None => return None,
        };
    }
    argv.first().filter(|program| !program.is_empty())?;
    Some(argv)
}

/// What somebody meant who did not write JSON: what stands between the brackets, word by word.
fn loosely(said: &str) -> Vec<String> {
    let inside = said.trim().trim_start_matches('[').trim_end_matches(']');
    let mut parts: Vec<String> = Vec::new();
    let (mut part, mut quote) = (String::new(), None);
    for c in inside.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'' | '\u{201c}' | '\u{201d}') if part.trim().is_empty() => {
                part.clear();
                quote = Some(match c {
                    '\u{201c}' => '\u{201d}',
                    other => other,
                });
            }
            (None, ',') => parts.push(std::mem::take(&mut part)),
            (_, c) => part.push(c),
        }
    }
    parts.push(part);
    let trimmed = parts.iter().map(|part| part.trim().to_owned());
    trimmed.filter(|part| !part.is_empty()).collect()
}

fn in_yaml(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// What can be known of what a hook does.
pub fn doing(hook: &Hook<'_>, container: Option<&Container<'_>>, findings: &mut Findings<'_>) {
    if hook.argv.first().is_none_or(|first| first.text.is_empty()) {
        return;
    }
    // What a script of a policy does is judged with the policy.
    let argv: Vec<String> = hook.argv.iter().map(|arg| arg.text.clone()).collect();
    if Invocation::is_of_a_script(&argv) {
        return;
    }
    shells(hook, findings);
    engines(hook, container, findings);
    dumps(hook, findings);
    passwords(hook, findings);
    retries(hook, findings);
    if hook.phase == HookPhase::Pre {
        locks(hook, findings);
    }
    if hook.phase == HookPhase::PostRestore {
        readiness(hook, findings);
    }
}

fn shells(hook: &Hook<'_>, findings: &mut Findings<'_>) {
    let argv: Vec<&str> = hook.argv.iter().map(|arg| arg.text.as_str()).collect();
    match (shell::shell(&argv), shell::script(&argv)) {
        (_, Some(script)) => {
            let uses = argv[script].contains("$@")
                || argv[script].contains("$*")
                || argv[script].contains("$0")
                || argv[script].contains("$1")
                || argv[script].contains("${1");
            if let Some(more) = hook.argv.get(script + 1).filter(|_| !uses) {
                findings
                    .at(Rule::ArgumentsOfShell, &more.spot, "a shell takes one argument behind -c for its script: this one is never run")
                    .help("put the whole script into one argument");
            }
        }
        (Some(shell), None)
            if argv[shell + 1..]
                .iter()
                .any(|it| it.starts_with('-') && it.contains('c') && !it.starts_with("--")) =>
        {
            findings
                .at(
                    Rule::ArgumentsOfShell,
                    &hook.command,
                    "there is no script behind -c",
                )
                .help("put the script into the argument behind -c");
        }
        (Some(_), None) => {}
        (None, None) => {
            let Some((arg, what)) = hook
                .argv
                .iter()
                .skip(1)
                .find_map(|arg| Some((arg, shell_syntax(&arg.text)?)))
            else {
                return;
            };
            let line = encode_command(&["/bin/sh", "-c", &argv.join(" ")]);
            findings
                .at(
                    Rule::NoShell,
                    &arg.spot.find(what),
                    "Velero starts no shell: the program gets this as it stands here",
                )
                .help(format!("write {}", in_yaml(&line)));
        }
    }
}

/// What only a shell gives a meaning to.
fn shell_syntax(arg: &str) -> Option<&str> {
    if matches!(
        arg,
        "|" | "||" | "&&" | ";" | ">" | ">>" | "<" | "&" | "2>&1"
    ) {
        return Some(arg);
    }
    if arg.starts_with('/') && arg.contains('*') {
        return Some(arg);
    }
    let named = |dollar: &usize| {
        arg[dollar + 1..]
            .starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '('))
    };
    let variable = arg.match_indices('$').map(|(at, _)| at).find(named)?;
    let end = arg[variable + 1..]
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '{' | '}')));
    Some(&arg[variable..end.map_or(arg.len(), |end| variable + 1 + end)])
}

/// What is known of the commands that a hook or its script runs.
pub fn engines(hook: &Hook<'_>, container: Option<&Container<'_>>, findings: &mut Findings<'_>) {
    let said = hook.said().to_ascii_lowercase();
    let image = container.and_then(Container::image);
    let sets = |variable: &str| container.is_some_and(|container| container.sets(variable));
    for row in EVIDENCE {
        if row.holds(&said, hook.phase, image.as_ref(), sets) {
            findings
                .at(row.rule, &hook.find(row.says[0]), row.wrong)
                .help(row.help);
        }
    }
    if let Some(quoted) = hook
        .script()
        .and_then(|script| quoted_substitution(&script.text).map(|part| script.spot.find(part)))
    {
        findings
            .at(
                Rule::EngineIgnores,
                &quoted,
                "between single quotes a shell leaves this as it is",
            )
            .help("use double quotes around it");
    }
}

/// `$(…)` between single quotes that no other program is to read.
fn quoted_substitution(script: &str) -> Option<&str> {
    let start = script.find("echo '")? + "echo '".len();
    let inside = &script[start..];
    let inside = &inside[..inside.find('\'')?];
    let from = inside.find("$(")?;
    let end = inside[from..].find(')')? + from + 1;
    Some(&inside[from..end])
}

fn dumps(hook: &Hook<'_>, findings: &mut Findings<'_>) {
    if hook.phase != HookPhase::Pre {
        return;
    }
    let said = hook.said();
    let Some((program, start, to_stdout)) = DUMPS
        .iter()
        .find_map(|(name, to_stdout)| Some((*name, shell::call(&said, name)?, *to_stdout)))
    else {
        return;
    };
    if hook.timeout.is_none() {
        findings
            .at(Rule::ShortTimeout, &hook.find(program), "Velero gives this hook 30 seconds, then counts it as failed while the dump goes on")
            .help(match hook.prefix {
                Some(prefix) => format!("add {prefix}/timeout: 10m"),
                None => "add timeout: 10m".to_owned(),
            });
    }
    let command = shell::command_at(&said, start);
    let piped = shell::words(command).iter().any(|word| word == "|");
    let target = shell::target(command);
    let loud = shell::words(command)
        .iter()
        .any(|word| word == "-v" || word == "--verbose");
    if (to_stdout && target.is_none() && !piped && !command.contains("-Fd")) || loud {
        findings
            .at(
                Rule::ToStdout,
                &hook.find(program),
                "what this prints is kept in Velero's memory and put into the backup's log",
            )
            .help(if loud {
                "take -v out"
            } else {
                "write to a file in a volume: -f /dump/new"
            });
        return;
    }
    if piped && !said.contains("pipefail") {
        findings
            .at(Rule::CutDump, &hook.find(program), "a pipe ends with the status of its last part: a dump that breaks off counts as done")
            .help(format!("write a file first: {program} … > /dump/new && gzip -f /dump/new && mv /dump/new.gz /dump/done.gz"));
    } else if target.is_some() && shell::call(&said, "mv").is_none() && hook.script().is_some() {
        findings
            .at(
                Rule::CutDump,
                &hook.find(program),
                "this writes over the last good dump: when it breaks off, half of one is backed up",
            )
            .help(format!(
                "write beside it: {program} … > /dump/new && mv /dump/new /dump/done"
            ));
    }
}

/// Tries of which the last ones cannot come, since the hook is ended before.
fn retries(hook: &Hook<'_>, findings: &mut Findings<'_>) {
    let Some(script) = hook.script() else { return };
    let Some((tries, pause)) = shell::tries(&script.text) else {
        return;
    };
    let said = hook.timeout.and_then(Node::as_str);
    let timeout = said.and_then(|said| said.parse().ok());
    let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
    // Behind the last try nobody waits any more.
    let waits = tries.saturating_sub(1).saturating_mul(pause);
    if timeout.is_positive() && waits >= timeout.seconds() && waits > 0 {
        findings
            .at(
                Rule::TooManyTries,
                &script.spot.find("sleep"),
                format!("{tries} tries with {pause}s between them need {waits}s, and Velero ends the hook after {timeout}"),
            )
            .help(format!("write a timeout above {waits}s, or shorter pauses"));
    }
}

fn passwords(hook: &Hook<'_>, findings: &mut Findings<'_>) {
    for arg in &hook.argv {
        if let Some((start, end)) = literal_password(&arg.text) {
            let words = &arg.text[start..end];
            findings
                .at(Rule::Password, &arg.spot.find(words), "Velero writes the command into its log and into the backup's log, this password with it")
                .help("take it from the container's environment, inside of a script: \"$PGPASSWORD\"");
            return;
        }
    }
}

/// The bytes of a password that is written out.
fn literal_password(text: &str) -> Option<(usize, usize)> {
    const BEFORE: [&str; 9] = [
        "PGPASSWORD=",
        "MYSQL_PWD=",
        "REDISCLI_AUTH=",
        "--password=",
        "--password ",
        "-p'",
        "PASSWORD=",
        "TOKEN=",
        "redis-cli -a ",
    ];
    BEFORE.iter().find_map(|before| {
        let start = text.find(before)? + before.len();
        let rest = &text[start..];
        let quoted = rest.trim_start_matches(['"', '\'']);
        let start = start + rest.len() - quoted.len();
        let end = quoted
            .find(|c: char| c.is_whitespace() || "'\";&|".contains(c))
            .unwrap_or(quoted.len());
        let literal = end > 0 && !quoted.starts_with(['$', '-', '<', '`']);
        literal.then_some((start, start + end))
    })
}

/// What this command stops, and the offset of the words that say so.
pub fn freeze(said: &str) -> Option<(&'static Freeze, usize)> {
    let said = said.to_ascii_lowercase();
    FREEZES
        .iter()
        .find_map(|row| Some((row, said.find(row.stops)?)))
}

/// Whether a command starts again what this row stops.
pub fn thaws(said: &str, row: &Freeze) -> bool {
    let said = said.to_ascii_lowercase();
    row.starts
        .iter()
        .any(|words| said.contains(&words.to_ascii_lowercase()))
}

fn locks(hook: &Hook<'_>, findings: &mut Findings<'_>) {
    let said = hook.said();
    let Some((row, start)) = freeze(&said).filter(|(row, _)| row.outlives(&said)) else {
        return;
    };
    let spot = hook.find(row.stops);
    let undoes = thaws(&said, row);
    let continues = hook.on_error.and_then(Node::as_str) == Some("Continue");
    let behind = &said[start..];
    let more = behind.contains("&&")
        || behind
            .trim_end()
            .trim_end_matches(['"', '\'', ';', ')'])
            .contains(['\n', ';']);
    if more && !undoes && !said.contains("trap ") && !continues {
        findings
            .at(Rule::FailsLocked, &spot, "when a later step fails, Velero does not run the post hook, and this stays as it is")
            .help(format!("undo it on any failure: trap '… {} …' EXIT", row.starts[0]));
    }
    if !undoes {
        findings
            .at(Rule::NoExpiry, &spot, "nothing ends this but the post hook, which Velero does not run when it times out or restarts")
            .help(format!("let it end by itself: ( sleep 600; … {} … ) </dev/null >/dev/null 2>&1 &", row.starts[0]));
    }
}

fn readiness(hook: &Hook<'_>, findings: &mut Findings<'_>) {
    let said = hook.said();
    let Some(client) = CLIENTS
        .iter()
        .find(|client| shell::call(&said, client).is_some())
    else {
        return;
    };
    let ready = hook.wait_for_ready.is_some();
    let lower = said.to_ascii_lowercase();
    if ready || WAITS.iter().any(|words| lower.contains(words)) {
        return;
    }
    findings
        .at(
            Rule::NotReady,
            &hook.find(client),
            "Velero runs this as soon as the container runs, before the database answers",
        )
        .help(match hook.prefix {
            Some(prefix) => format!("add {prefix}/wait-for-ready: \"true\""),
            None => "add waitForReady: true".to_owned(),
        });
}

/// Whether a hook runs a program that dumps.
pub fn is_dump(hook: &Hook<'_>) -> bool {
    let said = hook.said();
    DUMPS
        .iter()
        .any(|(name, _)| shell::call(&said, name).is_some())
}

/// The file that a dump of this hook goes to, and where that is said.
pub fn dump_file<'d>(hook: &Hook<'d>) -> Option<(String, Spot<'d>)> {
    let said = hook.said();
    let start = DUMPS
        .iter()
        .find_map(|(name, _)| shell::call(&said, name))?;
    let file = shell::target(shell::command_at(&said, start))?;
    let spot = hook.find(&file);
    (file.starts_with('/') && !file.contains('$')).then_some((file, spot))
}

/// The argument of a hook that is a script file in some volume.
pub fn script_file<'h, 'd>(hook: &'h Hook<'d>) -> Option<&'h Arg<'d>> {
    hook.argv
        .iter()
        .find(|arg| arg.text.starts_with('/') && shell::is_script_file(&arg.text))
}
