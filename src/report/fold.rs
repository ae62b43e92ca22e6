//! Lines that fit a terminal: what is too long goes on below its own column.

/// Breaks lines that are wider than this at their blanks. Escape sequences have no width.
#[must_use]
pub fn fold(text: &str, width: usize) -> String {
    let folded = text
        .split('\n')
        .map(|line| fold_line(line, width))
        .collect::<Vec<_>>();
    folded.join("\n")
}

/// The lines of a paragraph, broken anew.
#[must_use]
pub fn paragraph(text: &str, width: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    fold_at(&words.join(" "), width, 0)
}

fn fold_line(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    fold_at(line, width, column(line, width))
}

fn fold_at(line: &str, width: usize, indent: usize) -> String {
    let indent = " ".repeat(indent);
    let first = line.len() - line.trim_start().len();
    let mut folded = line[..first].to_owned();
    let mut used = first;
    let mut rest = &line[first..];
    while !rest.is_empty() {
        let word = rest.find(' ').unwrap_or(rest.len());
        let blanks = rest[word..].len() - rest[word..].trim_start_matches(' ').len();
        let (word, behind) = (&rest[..word], &rest[word..word + blanks]);
        let wide = columns(word);
        if used + wide > width && used > indent.len() {
            folded.truncate(folded.trim_end_matches(' ').len());
            folded.push('\n');
            folded.push_str(&indent);
            used = indent.len();
        }
        folded.push_str(word);
        folded.push_str(behind);
        used += wide + blanks;
        rest = &rest[word.len() + blanks..];
    }
    folded.truncate(folded.trim_end_matches(' ').len());
    folded
}

/// Where what goes on begins: below the last column of a table, unless little is left of the line there.
fn column(line: &str, width: usize) -> usize {
    let text = line.len() - line.trim_start().len();
    let gap = line.get(text..).and_then(|it| it.rfind("  "));
    let last = gap.map_or(0, |gap| columns(&line[..text + gap + 2]));
    if last > 0 && last <= width / 2 {
        last
    } else {
        (text + 4).min(width / 2)
    }
}

/// How many columns of a terminal a text takes.
fn columns(text: &str) -> usize {
    let mut escaped = false;
    let mut columns = 0;
    for c in text.chars() {
        match (escaped, c) {
            (false, '\u{1b}') => escaped = true,
            (true, 'm') => escaped = false,
            (false, _) => columns += 1,
            (true, _) => {}
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::{fold, paragraph};

    #[test]
    fn what_is_too_long_goes_on_below_its_column() {
        let line = "  ✔ name      one two three four";
        assert_eq!(fold(line, 40), line);
        assert_eq!(
            fold(line, 28),
            "  ✔ name      one two three\n              four"
        );
        assert_eq!(fold(line, 20), "  ✔ name      one\n      two three four");
    }

    #[test]
    fn a_paragraph_is_broken_anew() {
        let text = "one two\nthree four five";
        assert_eq!(paragraph(text, 10), "one two\nthree four\nfive");
    }

    #[test]
    fn colours_take_no_room_and_a_word_is_never_broken() {
        let line = "\u{1b}[32m✔\u{1b}[0m a b";
        assert_eq!(fold(line, 5), line);
        assert_eq!(
            fold("a-word-that-is-long b\nc", 8),
            "a-word-that-is-long\n    b\nc"
        );
    }
}
