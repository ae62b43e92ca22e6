//! Arrays whose items are looked at where they stand.

use std::{fmt, marker::PhantomData};

use super::{Fault, FromJson, Reader};

/// An array that was read through once, and is read again whenever somebody asks: for few items
/// that are rarely asked for, that is cheaper than keeping them.
pub struct List<'a, T> {
    text: &'a str,
    items: PhantomData<fn() -> T>,
}

impl<'a, T: FromJson<'a>> List<'a, T> {
    /// The items, in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let mut reader = Reader::new(self.text);
        let mut opened = false;
        // It was read without a fault before.
        std::iter::from_fn(move || {
            if std::mem::replace(&mut opened, true) {
                reader.more(b']').ok().filter(|more| *more)?;
            } else {
                reader.open_array().ok().filter(|any| *any)?;
            }
            T::from_json(&mut reader).ok()
        })
    }
}

impl<'a, T: FromJson<'a>> FromJson<'a> for List<'a, T> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let text =
            reader.spanned(|reader| reader.array(|reader| T::from_json(reader).map(drop)))?;
        Ok(Self {
            text,
            items: PhantomData,
        })
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, T: FromJson<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
