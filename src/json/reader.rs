//! Steps through a text value by value.

use std::fmt;

use memchr::memchr2;

use super::{FromJson, Text, block, word};

/// How many entries or items are kept of anything: a small body can have millions, and each takes
/// more memory than it has bytes.
pub(super) const MOST: usize = 10_000;

/// Why a value could not be read, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    pub at: usize,
    /// The fields that lead there, as far as they are ours to name.
    pub(super) field: String,
}

impl Fault {
    /// The fault of a value that is a field.
    #[must_use]
    pub fn within(mut self, name: &str) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with('[') {
            ""
        } else {
            "."
        };
        self.field = format!("{name}{dot}{}", self.field);
        self
    }

    /// The fault of a value that is an item.
    #[must_use]
    pub fn at_item(self, position: usize) -> Self {
        self.within(&format!("[{position}]"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Syntax,
    /// A value of another type.
    Type,
    /// The text ends within a value.
    End,
    /// More entries or items than anything has that we are asked about.
    Many,
}

/// A fault with its place for people, and without a word of what stands there: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    field: String,
    line: usize,
    column: usize,
}

impl Error {
    /// A fault in `text`.
    #[must_use]
    pub fn new(fault: Fault, text: &str) -> Self {
        let before = &text.as_bytes()[..fault.at.min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        Self {
            kind: fault.kind,
            field: fault.field,
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: before.len() - line_start + 1,
        }
    }
}

impl Error {
    /// What is wrong, and in which field.
    #[must_use]
    pub fn what(&self) -> String {
        let what = match self.kind {
            Kind::Syntax => "it is no JSON",
            Kind::Type => "a value has another type than it must have",
            Kind::End => "it ends too early",
            Kind::Many => "it has more than 10,000 entries",
        };
        match self.field.as_str() {
            "" => what.to_owned(),
            field => format!("{field}: {what}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, .. } = self;
        write!(f, "{}, at line {line}, column {column}", self.what())
    }
}

impl std::error::Error for Error {}

/// A key of an object.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// As it stands between its quotes. No encoder escapes the letters that fields are named with.
    pub raw: &'a str,
    escaped: bool,
}

impl<'a> Key<'a> {
    /// The key as whoever wrote it means it.
    #[must_use]
    pub fn text(self) -> Text<'a> {
        Text::new(self.raw, self.escaped)
    }
}

/// A place in a text.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The byte at which the next value begins or the text goes on; blanks are passed over.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    const fn fault(&self, kind: Kind) -> Fault {
        let kind = if self.at >= self.text.len() {
            Kind::End
        } else {
            kind
        };
        Fault {
            kind,
            at: self.at,
            field: String::new(),
        }
    }

    /// Whether there is room for one more beside these.
    ///
    /// # Errors
    /// When there is not.
    pub(super) const fn room(&self, count: usize) -> Result<(), Fault> {
        if count < MOST {
            Ok(())
        } else {
            Err(self.fault(Kind::Many))
        }
    }

    /// The fault of a value that is not what the caller wants.
    #[must_use]
    pub const fn other_type(&self) -> Fault {
        self.fault(Kind::Type)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.next() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.fault(Kind::Syntax))
        }
    }

    /// Begins a value that must begin with this.
    fn open(&mut self, byte: u8) -> Result<(), Fault> {
        match self.next() {
            Some(there) if there == byte => {
                self.at += 1;
                Ok(())
            }
            Some(b'{' | b'[' | b'"' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => {
                Err(self.fault(Kind::Type))
            }
            _ => Err(self.fault(Kind::Syntax)),
        }
    }

    /// Goes on within an object or array: whether there is more before the bracket that ends it.
    pub(super) fn more(&mut self, end: u8) -> Result<bool, Fault> {
        match self.next() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(there) if there == end => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.fault(Kind::Syntax)),
        }
    }

    fn is_empty(&mut self, end: u8) -> bool {
        let empty = self.next() == Some(end);
        self.at += usize::from(empty);
        empty
    }

    /// Hands each key of an object out; the caller reads or skips its value.
    ///
    /// # Errors
    /// When it is no object, or the caller's own.
    pub fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, Key<'a>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.open(b'{')?;
        if self.is_empty(b'}') {
            return Ok(());
        }
        loop {
            if self.next() != Some(b'"') {
                return Err(self.fault(Kind::Syntax));
            }
            let (raw, escaped) = self.raw_string()?;
            self.expect(b':')?;
            field(self, Key { raw, escaped })?;
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    /// Stands at each item of an array in turn; the caller reads it.
    ///
    /// # Errors
    /// When it is no array, or the caller's own.
    pub fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut more = self.open_array()?;
        let mut position = 0;
        while more {
            item(self).map_err(|fault| fault.at_item(position))?;
            position += 1;
            more = self.more(b']')?;
        }
        Ok(())
    }

    /// Goes to the first item of an array: whether there is one.
    pub(super) fn open_array(&mut self) -> Result<bool, Fault> {
        self.open(b'[')?;
        Ok(!self.is_empty(b']'))
    }

    /// Reads a string.
    ///
    /// # Errors
    /// When it is none, or has no end.
    pub fn string(&mut self) -> Result<Text<'a>, Fault> {
        let (raw, escaped) = self.raw_string()?;
        Ok(Text::new(raw, escaped))
    }

    /// What stands between the quotes of a string, and whether there are escapes in it.
    fn raw_string(&mut self) -> Result<(&'a str, bool), Fault> {
        self.open(b'"')?;
        let start = self.at;
        let escaped = self.end_string()?;
        Ok((&self.text[start..self.at - 1], escaped))
    }

    /// Goes behind the quote that ends a string, and says whether there is an escape before it.
    fn end_string(&mut self) -> Result<bool, Fault> {
        let rest = self.rest();
        let found = quote_or_backslash(rest);
        let escaped = found.is_some_and(|found| rest[found] == b'\\');
        let quote = if escaped {
            block::end_of_string(rest)
        } else {
            found
        };
        self.at = quote.map_or(self.text.len(), |quote| self.at + quote + 1);
        quote.map(|_| escaped).ok_or_else(|| self.fault(Kind::End))
    }

    /// Takes a `null`, if the value is one.
    pub fn null(&mut self) -> bool {
        let null = self.next() == Some(b'n') && self.rest().starts_with(b"null");
        if null {
            self.at += 4;
        }
        null
    }

    /// The text of a number or a literal.
    ///
    /// # Errors
    /// When the value is neither.
    pub fn scalar(&mut self) -> Result<&'a str, Fault> {
        match self.next() {
            Some(b'{' | b'[' | b'"') => return Err(self.fault(Kind::Type)),
            Some(b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => {}
            _ => return Err(self.fault(Kind::Syntax)),
        }
        let rest = self.rest();
        let inside = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.');
        let length = rest.iter().take_while(|c| inside(c)).count();
        let scalar = &self.text[self.at..self.at + length];
        let literal = matches!(scalar, "true" | "false" | "null");
        if literal || matches!(rest[0], b'-' | b'0'..=b'9') {
            self.at += length;
            Ok(scalar)
        } else {
            Err(self.fault(Kind::Syntax))
        }
    }

    /// Passes over a value, whatever it is.
    ///
    /// # Errors
    /// When there is none, or it has no end.
    pub fn skip(&mut self) -> Result<(), Fault> {
        match self.next() {
            Some(b'"') => {
                self.at += 1;
                self.end_string().map(drop)
            }
            Some(b'{' | b'[') => {
                let end = block::end_of_nested(self.rest());
                self.at = end.map_or(self.text.len(), |end| self.at + end);
                end.map(drop).ok_or_else(|| self.fault(Kind::End))
            }
            _ => self.scalar().map(drop),
        }
    }

    /// Reads a value, or takes a `null` for what is absent.
    ///
    /// # Errors
    /// As the value's own.
    pub fn value<T: FromJson<'a> + Default>(&mut self) -> Result<T, Fault> {
        if self.null() {
            return Ok(T::default());
        }
        T::from_json(self)
    }

    /// Reads a value, and gives the text that it was read from with its place.
    ///
    /// # Errors
    /// As those of `read`.
    pub fn spanned(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<(usize, &'a str), Fault> {
        self.next();
        let start = self.at;
        read(self)?;
        Ok((start, &self.text[start..self.at]))
    }

    /// Shows that nothing stands behind what was read.
    ///
    /// # Errors
    /// When something does.
    pub fn end(&mut self) -> Result<(), Fault> {
        match self.next() {
            None => Ok(()),
            Some(_) => Err(self.fault(Kind::Syntax)),
        }
    }
}

/// How many bytes most strings have at most.
const SHORT: usize = 24;

/// Where a string goes on in another way.
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    let Some((short, rest)) = text.split_at_checked(SHORT) else {
        return word::quote_or_backslash(text);
    };
    word::quote_or_backslash(short).or_else(|| Some(SHORT + memchr2(b'"', b'\\', rest)?))
}
