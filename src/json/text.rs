//! Strings that are borrowed, and decoded only where they have escapes and somebody asks.

use std::{cell::OnceCell, fmt, ops::Deref};

use super::{Fault, FromJson, Reader, unquote};

/// A string as it stands between its quotes.
#[derive(Clone, Default)]
pub struct Text<'a> {
    raw: &'a str,
    /// Where there are escapes: what they stand for, once somebody has asked.
    decoded: Option<OnceCell<Box<str>>>,
}

impl<'a> Text<'a> {
    pub(super) fn new(raw: &'a str, escaped: bool) -> Self {
        Self {
            raw,
            decoded: escaped.then(OnceCell::new),
        }
    }

    /// How many bytes it has at most: no escape is shorter than what it stands for.
    #[must_use]
    pub const fn len_at_most(&self) -> usize {
        self.raw.len()
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        let Some(decoded) = &self.decoded else {
            return self.raw;
        };
        decoded.get_or_init(|| {
            let quoted = format!("{}\"", self.raw);
            // What no encoder writes means what it looks like.
            unquote(&quoted).map_or_else(|| self.raw.into(), |(text, _)| text.into())
        })
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl<'a> FromJson<'a> for Text<'a> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        reader.string()
    }
}

/// A mapping of strings to strings: labels, annotations. Few enough to be searched one by one.
#[derive(Clone, Debug, Default)]
pub struct Pairs<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'a> Pairs<'a> {
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let found = pairs.rfind(|(name, _)| **name == *key);
        found.map(|(_, value)| &**value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.texts().map(|(key, value)| (&**key, &**value))
    }

    /// Forgets the pairs of which a key is not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|(key, _)| wanted(key));
    }

    /// The pairs, not yet decoded.
    pub fn texts(&self) -> impl Iterator<Item = (&Text<'a>, &Text<'a>)> + Clone {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

impl<'a> FromJson<'a> for Pairs<'a> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let mut pairs = Vec::new();
        reader.object(|reader, key| {
            // Most pods have no more, and growing costs more than room.
            if pairs.is_empty() {
                pairs.reserve(16);
            }
            reader.room(pairs.len())?;
            pairs.push((key.text(), reader.value()?));
            Ok(())
        })?;
        Ok(Self(pairs))
    }
}
