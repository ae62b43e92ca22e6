//! As much of a shell's grammar as rules about hooks need. What it cannot tell it leaves alone.

const SHELLS: [&str; 7] = ["sh", "bash", "ash", "dash", "zsh", "ksh", "busybox"];

/// The last part of a path.
pub fn program(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Where in an argv the script of `sh -c` stands.
pub fn script(argv: &[&str]) -> Option<usize> {
    let shell = shell(argv)?;
    let mut rest = argv.iter().enumerate().skip(shell + 1);
    while let Some((index, option)) = rest.next() {
        let letters = option.strip_prefix('-').filter(|it| !it.starts_with('-'))?;
        if letters.contains('c') {
            // The options may go on behind it.
            let behind = argv.iter().enumerate().skip(index + 1);
            return behind
                .filter(|(_, it)| !it.starts_with('-'))
                .map(|(index, _)| index)
                .next();
        }
        if letters.ends_with('o') {
            rest.next();
        }
    }
    None
}

/// Where in an argv a shell is what runs, behind `env` and its kin.
pub fn shell(argv: &[&str]) -> Option<usize> {
    let mut index = 0;
    loop {
        let word = argv.get(index)?;
        let name = program(word);
        if SHELLS.contains(&name) {
            return Some(index);
        }
        let wraps = matches!(
            name,
            "env"
                | "timeout"
                | "nice"
                | "ionice"
                | "exec"
                | "sudo"
                | "gosu"
                | "su-exec"
                | "tini"
                | "dumb-init"
                | "time"
                | "nohup"
        ) || (index > 0
            && (word.contains('=')
                || word.starts_with('-')
                || word.starts_with(|c: char| c.is_ascii_digit())));
        let user = index > 0 && matches!(program(argv[index - 1]), "gosu" | "su-exec");
        if !wraps && !user {
            return None;
        }
        index += 1;
    }
}

/// The words of a text, quotes taken off, operators on their own.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None | Some('"'), '\\') => word.extend(chars.next()),
            (None, ' ' | '\t' | '\n' | ';' | '|' | '&' | '<' | '>' | '(' | ')') => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                if !c.is_whitespace() {
                    let mut operator = c.to_string();
                    if chars.peek() == Some(&c) {
                        operator.extend(chars.next());
                    }
                    words.push(operator);
                } else if c == '\n' {
                    words.push(";".to_owned());
                }
            }
            (_, c) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A file that is run rather than a program that everybody has.
pub fn is_script_file(word: &str) -> bool {
    let ending = word.rsplit_once('.').map(|(_, ending)| ending);
    word.starts_with('/') && matches!(ending, Some("sh" | "bash" | "py" | "pl" | "js"))
}

/// Where a program's name stands as a word, capitals or not.
pub fn call(text: &str, name: &str) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let found = text.match_indices(name).map(|(at, _)| at);
    let mut whole = found.filter(|at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(|c| part_of_word(c) || c == '/')
    });
    whole.next()
}

/// What stands in the command that begins at an offset, up to the next `;`, `&&`, `||` or line.
pub fn command_at(text: &str, start: usize) -> &str {
    let rest = &text[start..];
    let ends = [";", "\n", "&&", "||"];
    let end = ends.iter().filter_map(|end| rest.find(end)).min();
    &rest[..end.unwrap_or(rest.len())]
}

/// The file that a command writes to: behind `>`, `-f`, `--file=` and their kin.
pub fn target(command: &str) -> Option<String> {
    const OPTIONS: [&str; 6] = ["-f", "-r", "--file", "--result-file", "-o", "--out"];
    let words = words(command);
    let next = |index: usize| words.get(index + 1).cloned();
    words.iter().enumerate().find_map(|(index, word)| {
        if word == ">" || OPTIONS.contains(&word.as_str()) {
            return next(index);
        }
        let (option, value) = word.split_once('=')?;
        let known = OPTIONS.contains(&option) || option == "--archive";
        known.then(|| value.to_owned())
    })
}

/// How often a loop with a count tries, and how many seconds it pauses behind each try.
pub fn tries(script: &str) -> Option<(u64, u64)> {
    let words = words(script);
    let number = |word: &str| -> Option<u64> {
        let Some(name) = word.strip_prefix('$') else {
            return word.trim_end_matches('s').parse().ok();
        };
        let name = name.trim_matches(['{', '}']);
        let set = words.iter().filter_map(|word| word.split_once('='));
        let mut set = set.filter(|(variable, _)| *variable == name);
        set.next()?.1.parse().ok()
    };
    let at = |from: usize, wanted: &str| {
        let found = words.iter().skip(from).position(|word| word == wanted);
        found.map(|found| from + found)
    };
    // Behind `for`, a name and `in`.
    let values = at(0, "for")? + 3;
    let body = at(values, "do")?;
    let end = at(body, "done")?;
    let values: Vec<&str> = words[values..body].iter().map(String::as_str).collect();
    let values = values.strip_suffix(&[";"]).unwrap_or(&values);
    let range = |first: &str, last: &str| -> Option<u64> {
        let behind = number(last)?.saturating_add(1);
        behind.checked_sub(number(first)?)
    };
    let count = match values {
        ["$", "(", "seq", last, ")"] => number(last)?,
        ["$", "(", "seq", first, last, ")"] => range(first, last)?,
        [braces] if braces.starts_with('{') => {
            let (first, last) = braces.trim_matches(['{', '}']).split_once("..")?;
            range(first, last)?
        }
        plain if plain.iter().all(|word| number(word).is_some()) => plain.len().try_into().ok()?,
        _ => return None,
    };
    let pause = at(body, "sleep").filter(|sleep| *sleep < end)?;
    Some((count, number(words.get(pause + 1)?)?))
}

#[cfg(test)]
mod tests;
