//! Values written as YAML in every style that people use, as a generator decides.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value};

/// Decisions about style, one after the other and then from the first again.
#[derive(Clone, Debug)]
pub struct Style {
    decisions: Vec<u8>,
    crlf: bool,
    ends_with_newline: bool,
}

pub fn style() -> impl Strategy<Value = Style> {
    (vec(any::<u8>(), 1..60), any::<bool>(), any::<bool>()).prop_map(
        |(decisions, crlf, ends_with_newline)| Style {
            decisions,
            crlf,
            ends_with_newline,
        },
    )
}

impl Style {
    pub fn write(&self, value: &Value) -> String {
        let mut writer = Writer {
            style: self,
            next: 0,
            text: String::new(),
        };
        writer.block(value, 0, false);
        let Writer { mut text, .. } = writer;
        if !self.ends_with_newline {
            text.truncate(text.trim_end().len());
        }
        if self.crlf {
            text = text.replace('\n', "\r\n");
        }
        text
    }
}

struct Writer<'s> {
    style: &'s Style,
    next: usize,
    text: String,
}

impl Writer<'_> {
    fn decide(&mut self, choices: u8) -> u8 {
        let decisions = &self.style.decisions;
        let decision = decisions[self.next % decisions.len()];
        self.next += 1;
        // Short lists of decisions would repeat themselves too soon.
        let turn = u8::try_from(self.next / decisions.len() % 200).unwrap();
        decision.wrapping_add(turn) % choices
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn comment_line(&mut self, column: usize) {
        match self.decide(6) {
            0 => {
                let column = column + usize::from(self.decide(3));
                self.put(&format!("{}# it's a: \"comment }}\n", " ".repeat(column)));
            }
            1 => self.text.push('\n'),
            _ => {}
        }
    }

    fn end_line(&mut self) {
        if self.decide(6) == 0 {
            self.text += " # why";
        }
        self.text.push('\n');
    }

    /// `inline`: the first line has begun with a dash.
    fn block(&mut self, value: &Value, column: usize, mut inline: bool) {
        let indent = " ".repeat(column);
        match value {
            Value::Object(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    if !std::mem::take(&mut inline) {
                        self.comment_line(column);
                        self.text += &indent;
                    }
                    let name = self.key(key);
                    self.put(&format!("{name}:"));
                    self.value(key, value, column);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for item in items {
                    if !std::mem::take(&mut inline) {
                        self.comment_line(column);
                        self.text += &indent;
                    }
                    self.text.push('-');
                    let width = if self.decide(4) == 0 { 3 } else { 1 };
                    self.text += &" ".repeat(width);
                    if is_collection(item) && self.decide(3) > 0 {
                        self.block(item, column + width + 1, true);
                    } else {
                        let flow = self.flow(item);
                        self.text += &flow;
                        self.end_line();
                    }
                }
            }
            scalar => {
                let scalar = self.flow(scalar);
                self.put(&format!("{indent}{scalar}\n"));
            }
        }
    }

    fn value(&mut self, key: &str, value: &Value, column: usize) {
        match value {
            value if is_collection(value) => {
                if column > 0 && self.decide(4) == 0 {
                    let flow = self.flow(value);
                    self.put(&format!(" {flow}"));
                    self.end_line();
                } else {
                    self.end_line();
                    let step = match (value, self.decide(4)) {
                        (Value::Array(_), 0 | 1) => 0,
                        (_, 2) => 4,
                        _ => 2,
                    };
                    self.block(value, column + step, false);
                }
            }
            Value::Null if self.decide(2) == 0 => self.end_line(),
            Value::String(text) if key == "image" && self.decide(3) == 0 => {
                // Deeper than any comment line is set in.
                let indent = " ".repeat(column + 4);
                self.put(&format!(" |-\n{indent}{text}\n\n"));
            }
            scalar => {
                let scalar = self.flow(scalar);
                self.put(&format!(" {scalar}"));
                self.end_line();
            }
        }
    }

    fn flow(&mut self, value: &Value) -> String {
        match value {
            Value::Null => ["~", "null"][usize::from(self.decide(2))].to_owned(),
            Value::String(text) => match self.decide(3) {
                0 if is_word(text) => text.clone(),
                1 => format!("'{}'", text.replace('\'', "''")),
                _ => value.to_string(),
            },
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.flow(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Object(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{}: {}", self.key(key), self.flow(value)))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
            other => other.to_string(),
        }
    }

    fn key(&mut self, key: &str) -> String {
        match self.decide(5) {
            0 => format!("'{key}'"),
            1 => format!("\"{key}\""),
            _ => key.to_owned(),
        }
    }
}

fn is_collection(value: &Value) -> bool {
    match value {
        Value::Object(entries) => !Map::is_empty(entries),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn is_word(text: &str) -> bool {
    let other = ["true", "false", "on", "off", "yes", "no", "null", ""];
    text.bytes()
        .all(|it| it.is_ascii_alphabetic() || it == b'/')
        && !other.contains(&text)
}
