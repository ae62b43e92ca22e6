//! Steps through a text value by value.

use std::fmt;

use memchr::memchr2;

use super::{FromJson, Text, block, word};

/// How many entries or items are kept of anything: a small body can have millions, and each takes
/// more memory than it has bytes.
pub(super) const MOST: usize = 10_000;

/// Why a value could not be read, and at which byte. In a box, since nearly all can: what is handed
/// on is small then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Box<Why>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Why {
    kind: Kind,
    at: usize,
    /// The fields that lead there, as far as they are ours to name.
    field: String,
}

impl Fault {
    #[cold]
    fn new(kind: Kind, at: usize) -> Self {
        Self(Box::new(Why {
            kind,
            at,
            field: String::new(),
        }))
    }

    /// The fault of a value that is a field.
    #[cold]
    #[must_use]
    pub fn within(mut self, name: &str) -> Self {
        let field = &mut self.0.field;
        let dot = if field.is_empty() || field.starts_with('[') {
            ""
        } else {
            "."
        };
        *field = format!("{name}{dot}{field}");
        self
    }

    /// The fault of a value that is an item.
    #[cold]
    #[must_use]
    pub fn at_item(self, position: usize) -> Self {
        self.within(&format!("[{position}]"))
    }

    /// The fault of a text that stands behind so many bytes of another.
    #[cold]
    pub(super) fn behind(mut self, start: usize) -> Self {
        self.0.at += start;
        self
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
        let Fault(why) = fault;
        let Why { kind, at, field } = *why;
        let before = &text.as_bytes()[..at.min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        Self {
            kind,
            field,
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
    #[inline]
    fn next(&mut self) -> Option<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            _ => self.behind_blanks(),
        }
    }

    /// The API server sends none.
    #[cold]
    fn behind_blanks(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[cold]
    fn fault(&self, kind: Kind) -> Fault {
        let kind = if self.at >= self.text.len() {
            Kind::End
        } else {
            kind
        };
        Fault::new(kind, self.at)
    }

    /// Whether there is room for one more beside these.
    ///
    /// # Errors
    /// When there is not.
    pub(super) fn room(&self, count: usize) -> Result<(), Fault> {
        if count < MOST {
            Ok(())
        } else {
            Err(self.fault(Kind::Many))
        }
    }

    /// The fault of a value that is not what the caller wants.
    #[must_use]
    pub fn other_type(&self) -> Fault {
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
    #[inline]
    fn open(&mut self, byte: u8) -> Result<(), Fault> {
        if self.next() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.another())
        }
    }

    /// The fault of a value that begins in another way.
    #[cold]
    fn another(&self) -> Fault {
        self.fault(match self.text.as_bytes().get(self.at) {
            Some(b'{' | b'[' | b'"' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => Kind::Type,
            _ => Kind::Syntax,
        })
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
    #[inline]
    fn raw_string(&mut self) -> Result<(&'a str, bool), Fault> {
        self.open(b'"')?;
        let start = self.at;
        let escaped = self.end_string()?;
        Ok((&self.text[start..self.at - 1], escaped))
    }

    /// Goes behind the quote that ends a string, and says whether there is an escape before it.
    #[inline]
    fn end_string(&mut self) -> Result<bool, Fault> {
        let rest = self.rest();
        let short = rest.first_chunk().and_then(|short: &[u8; SHORT]| {
            let found = word::quote_or_backslash(short)?;
            (short[found] == b'"').then_some(found)
        });
        match short {
            Some(quote) => {
                self.at += quote + 1;
                Ok(false)
            }
            None => self.end_long_string(),
        }
    }

    /// The same for any string.
    fn end_long_string(&mut self) -> Result<bool, Fault> {
        let rest = self.rest();
        let found = memchr2(b'"', b'\\', rest);
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
        let end = rest.iter().position(|c| !IN_SCALAR[usize::from(*c)]);
        let length = end.unwrap_or(rest.len());
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

/// How many bytes most strings have at most, the quote behind them included.
const SHORT: usize = 32;

/// Which bytes numbers and literals are made of.
const IN_SCALAR: [bool; 256] = {
    let mut inside = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        inside[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        byte += 1;
    }
    inside
};
