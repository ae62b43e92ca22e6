//! JSON read in one pass and in place: what is asked for is borrowed, everything else is passed over.
//!
//! What is passed over is only held to its brackets and quotes, which is what makes it cheap: the
//! API server sends what its own encoder wrote, and of a body that no encoder would write the parts
//! that nobody reads may go unnoticed. What is read is read as Go's `encoding/json` does: `null` is
//! what is absent, and of a key that stands twice the last one counts.

mod base64;
mod block;
mod later;
mod list;
mod reader;
mod string;
mod text;
mod view;
mod word;
mod write;

pub use base64::base64;
pub use later::Later;
pub use list::List;
pub use reader::{Error, Fault, Key, Kind, Reader};
pub use string::unquote;
pub use text::{Pairs, Text};
pub(crate) use view::view;
pub use write::{escape, escape_step, number, quote};

/// What can be read from JSON, and borrows from it.
pub trait FromJson<'a>: Sized {
    /// Reads the value at which the reader stands.
    ///
    /// # Errors
    /// Where the value is no JSON, or has another type.
    fn from_json(reader: &mut Reader<'a>) -> Result<Self, Fault>;

    /// Reads what was put off until somebody asks for it.
    ///
    /// # Errors
    /// Where that is no JSON, or has another type.
    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Reads a whole text, but for what is put off.
///
/// # Errors
/// Where it is no JSON or has another type, or that there is something behind it.
pub fn read<'a, T: FromJson<'a>>(text: &'a str) -> Result<T, Error> {
    let mut reader = Reader::new(text);
    let value = T::from_json(&mut reader);
    let whole = value.and_then(|value| reader.end().map(|()| value));
    whole.map_err(|fault| Error::new(fault, text))
}

impl<'a, T: FromJson<'a>> FromJson<'a> for Option<T> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        if reader.null() {
            return Ok(None);
        }
        T::from_json(reader).map(Some)
    }

    fn check(&self) -> Result<(), Fault> {
        self.as_ref().map_or(Ok(()), T::check)
    }
}

impl<'a, T: FromJson<'a>> FromJson<'a> for Vec<T> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let mut items = Self::new();
        reader.array(|reader| {
            reader.room(items.len())?;
            items.push(T::from_json(reader)?);
            Ok(())
        })?;
        Ok(items)
    }

    fn check(&self) -> Result<(), Fault> {
        let mut items = self.iter().enumerate();
        items.try_for_each(|(position, item)| {
            let checked = item.check();
            checked.map_err(|fault| fault.at_item(position))
        })
    }
}

impl FromJson<'_> for bool {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.scalar()? {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(reader.other_type()),
        }
    }
}

impl FromJson<'_> for i64 {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let number = reader.scalar()?.parse();
        number.map_err(|_| reader.other_type())
    }
}

/// A value of which only counts that it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct There;

impl FromJson<'_> for There {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.skip().map(|()| Self)
    }
}

/// A value as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a str);

impl<'a> FromJson<'a> for Raw<'a> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let (_, text) = reader.spanned(Reader::skip)?;
        Ok(Self(text))
    }
}

/// A value that is read if it can be; why not is for whoever asks for it.
#[derive(Clone, Debug)]
pub struct Attempt<T>(pub Result<T, Fault>);

impl<'a, T: FromJson<'a>> FromJson<'a> for Attempt<T> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let before = reader.clone();
        let value = T::from_json(reader);
        if value.is_err() {
            *reader = before;
            reader.skip()?;
        }
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests;
