//! The log that Velero keeps of a backup or restore: its lines, as text or as JSON.
use std::collections::BTreeMap;

/// What a line says before a hook is run.
pub const RUNNING: &str = "running exec hook";

/// What a line says of a hook that failed; why stands in the field `error`.
pub const FAILED: &str = "Error executing hook";

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry(BTreeMap<String, String>);

impl Entry {
    /// Reads a line, whichever of its two formats Velero was told to write. What is neither has no fields.
    #[must_use]
    pub fn read(line: &str) -> Self {
        if line.starts_with('{') {
            let fields: BTreeMap<String, serde_json::Value> =
                serde_json::from_str(line).unwrap_or_default();
            let texts = fields.into_iter().map(|(key, value)| match value {
                serde_json::Value::String(text) => (key, text),
                other => (key, other.to_string()),
            });
            return Self(texts.collect());
        }
        let (mut fields, mut rest) = (BTreeMap::new(), line);
        while let Some((key, value, after)) = pair(rest) {
            fields.insert(key.to_owned(), value);
            rest = after;
        }
        Self(fields)
    }

    #[must_use]
    pub fn field(&self, key: &str) -> Option<&str> {
        let Self(fields) = self;
        fields.get(key).map(String::as_str)
    }

    #[must_use]
    pub fn message(&self) -> &str {
        self.field("msg").unwrap_or_default()
    }

    /// Whether it is about a hook that runs a command.
    #[must_use]
    pub fn is_of_a_hook(&self) -> bool {
        self.field("hookType") == Some("exec")
    }

    /// The namespace and the name of the pod that it is about, where it names one.
    #[must_use]
    pub fn pod(&self) -> Option<(&str, &str)> {
        match self.field("pod") {
            Some(pod) => pod.split_once('/'),
            None => Some((self.field("namespace")?, self.field("name")?)),
        }
    }

    /// The pod that is backed up now, or is left out because its pre hook failed.
    #[must_use]
    pub fn backed_up_pod(&self) -> Option<(&str, &str)> {
        let message = self.message();
        let begins = message == "Backing up item" || message.starts_with("Skipping item because");
        let is_pod = self.field("resource") == Some("pods");
        (begins && is_pod).then(|| self.pod())?
    }

    /// When it was written, in seconds since 1970.
    #[must_use]
    pub fn time(&self) -> Option<i64> {
        seconds(self.field("time")?)
    }
}

/// The first `key=value` and what follows it. A value with blanks stands in quotes, as Go writes them.
fn pair(text: &str) -> Option<(&str, String, &str)> {
    let (key, rest) = text.trim_start().split_once('=')?;
    if !rest.starts_with('"') {
        let (value, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        return Some((key, value.to_owned(), rest));
    }
    let (mut value, mut characters) = (String::new(), rest[1..].char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((key, value, &rest[at + 2..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                'a' => value.push('\x07'),
                'b' => value.push('\x08'),
                'f' => value.push('\x0c'),
                'v' => value.push('\x0b'),
                'x' => value.push(code(&mut characters, 2)?),
                'u' => value.push(code(&mut characters, 4)?),
                'U' => value.push(code(&mut characters, 8)?),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

/// A character that is written as so many hexadecimal digits.
fn code(characters: &mut std::str::CharIndices<'_>, digits: usize) -> Option<char> {
    let digits: String = characters.take(digits).map(|(_, it)| it).collect();
    let code = u32::from_str_radix(&digits, 16).ok()?;
    Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// A time such as `2026-11-21T22:31:13Z` in seconds since 1970.
fn seconds(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let time = time.get(..8)?;
    let numbers = |text: &str, between: char| -> Option<[i64; 3]> {
        let mut parts = text.split(between).map(str::parse);
        let mut next = || parts.next()?.ok();
        Some([next()?, next()?, next()?])
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    // A year that begins in March has its leap day at the end.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 719_469;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_say_the_same() {
        let text = Entry::read(
            r#"time="2026-11-21T22:31:13Z" level=info msg="stdout: one \"two\"\n\ttab caf\u00e9" hookPhase=pre name=pg-0 namespace=shop"#,
        );
        let json = Entry::read(
            r#"{"time":"2026-11-21T22:31:13Z","level":"info","msg":"stdout: one \"two\"\n\ttab café","hookPhase":"pre","name":"pg-0","namespace":"shop"}"#,
        );
        assert_eq!(text, json);
        assert_eq!(text.message(), "stdout: one \"two\"\n\ttab café");
        assert_eq!(text.pod(), Some(("shop", "pg-0")));
    }

    #[test]
    fn what_is_no_line_of_a_log_has_no_fields() {
        for line in ["", "panic: runtime error", "{", "a=\"open", "=", "{\"a\":"] {
            let entry = Entry::read(line);
            assert_eq!((entry.message(), entry.time()), ("", None), "{line}");
        }
    }

    #[test]
    fn times_are_counted_from_1970() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-11-21T22:31:13Z", 1_795_300_273),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!(seconds("yesterday"), None);
    }
}
