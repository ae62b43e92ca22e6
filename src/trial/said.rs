//! What the hooks of the library say in their last line: `quiescent result=ok policy=… key=value …`.

use serde_json::{Map, Value, json};

/// What one policy's hook said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// `ok`, `skipped` or `failed`.
    pub result: String,
    pub policy: String,
    /// All the rest, in its order.
    pub values: Vec<(String, String)>,
}

const MARK: &str = "quiescent result=";

/// Of these there is one or are many.
const COUNTED: [&str; 12] = [
    "databases",
    "tables",
    "documents",
    "keys",
    "entries",
    "files",
    "shards",
    "streams",
    "messages",
    "nodes",
    "paths",
    "frozen",
];

/// Said again elsewhere, or of no use to people.
const PASSED_OVER: [&str; 3] = ["phase", "seconds", "dump"];

/// What was said in an output: a line for each policy that had a step in it.
#[must_use]
pub fn said(stdout: &str) -> Vec<Said> {
    let lines = stdout.lines().filter(|line| line.starts_with(MARK));
    lines
        .map(|line| {
            let mut said = Said::default();
            let pairs = line.split_whitespace().filter_map(|it| it.split_once('='));
            for (key, value) in pairs {
                match key {
                    "result" => value.clone_into(&mut said.result),
                    "policy" => value.clone_into(&mut said.policy),
                    _ => said.values.push((key.to_owned(), value.to_owned())),
                }
            }
            said
        })
        .collect()
}

impl Said {
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        let mut found = self.values.iter().filter(|(name, _)| name == key);
        found.next().map(|(_, value)| value.as_str())
    }

    /// For how long something was held, in seconds.
    #[must_use]
    pub fn held(&self) -> Option<u64> {
        self.value("held")?.parse().ok()
    }

    /// All of it for programs, numbers as numbers.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self {
            result,
            policy,
            values,
        } = self;
        let values = values.iter().map(|(key, value)| {
            let number = value.parse::<u64>().map(Value::from);
            (
                key.clone(),
                number.unwrap_or_else(|_| value.as_str().into()),
            )
        });
        json!({
            "result": result,
            "policy": policy,
            "values": values.collect::<Map<String, Value>>(),
        })
    }

    /// The same for people.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        if self.result == "skipped" {
            words.push("skipped".to_owned());
        }
        for (key, value) in &self.values {
            let key = key.as_str();
            if PASSED_OVER.contains(&key) {
                continue;
            }
            words.push(match (key, value.parse::<u64>()) {
                ("bytes", Ok(bytes)) => size(bytes),
                ("held", Ok(seconds)) => format!("held for {seconds} s"),
                ("age", Ok(seconds)) => format!("{seconds} s old"),
                ("role" | "reason", _) => value.clone(),
                ("server", _) => format!("server {value}"),
                (_, Ok(1)) if COUNTED.contains(&key) => format!("1 {}", one(key)),
                (_, Ok(many)) if COUNTED.contains(&key) => format!("{many} {key}"),
                _ => format!("{key} {value}"),
            });
        }
        words.join(", ")
    }
}

fn one(key: &str) -> &str {
    match key {
        "entries" => "entry",
        "frozen" => key,
        _ => key.trim_end_matches('s'),
    }
}

/// Bytes as people say them.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if tenths >= 100 {
        format!("{} {}", tenths / 10, UNITS[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_taken_apart() {
        let stdout = "quiescent: a note\nquiescent result=ok policy=postgresql-dump phase=pre role=primary databases=3 bytes=536870912 server=15.6 seconds=41\n";
        let [said] = &said(stdout)[..] else {
            panic!("one line")
        };
        assert_eq!((&*said.result, &*said.policy), ("ok", "postgresql-dump"));
        assert_eq!(said.value("bytes"), Some("536870912"));
        assert_eq!(said.words(), "primary, 3 databases, 512 MiB, server 15.6");
    }

    #[test]
    fn each_step_of_a_composed_hook_has_its_line() {
        let stdout = "quiescent result=ok policy=filesystem-freeze phase=post held=6 seconds=0\n\
                      quiescent result=skipped policy=redis-dump phase=post reason=replica seconds=0\n";
        let said = said(stdout);
        assert_eq!(said[0].held(), Some(6));
        let words: Vec<_> = said.iter().map(Said::words).collect();
        assert_eq!(words, ["held for 6 s", "skipped, replica"]);
    }

    #[test]
    fn other_programs_say_nothing_of_the_kind() {
        assert_eq!(said("done\nresult=ok\n"), []);
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_500_000, "1.4 MiB"),
            (536_870_912, "512 MiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
