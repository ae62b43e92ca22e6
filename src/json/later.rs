//! Values that are passed over and read only if somebody asks.

use std::{fmt, marker::PhantomData};

use super::{Fault, FromJson, Reader};

/// A value that is for few to ask for. It has been looked at only to find its end.
pub struct Later<'a, T> {
    start: usize,
    text: &'a str,
    value: PhantomData<fn() -> T>,
}

impl<'a, T: FromJson<'a>> Later<'a, T> {
    /// Reads the value and what is put off in it.
    ///
    /// # Errors
    /// When it has another type than it should, with its place in the whole text.
    pub fn read(&self) -> Result<T, Fault> {
        let mut reader = Reader::new(self.text);
        let value = T::from_json(&mut reader).and_then(|value| value.check().map(|()| value));
        value.map_err(|fault| fault.behind(self.start))
    }
}

impl<'a, T> FromJson<'a> for Later<'a, T> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let (start, text) = reader.spanned(Reader::skip)?;
        Ok(Self {
            start,
            text,
            value: PhantomData,
        })
    }
}

impl<T> Clone for Later<'_, T> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<T> fmt::Debug for Later<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}
