//! Arrays whose items are looked at where they stand.

use std::{fmt, marker::PhantomData};

use super::{Fault, FromJson, Reader, reader::MOST};

/// An array that is passed over, and read whenever somebody asks: for few items that are rarely asked
/// for, that is cheaper than keeping them.
pub struct List<'a, T> {
    start: usize,
    text: &'a str,
    items: PhantomData<fn() -> T>,
}

impl<'a, T: FromJson<'a>> List<'a, T> {
    /// Keeps the items.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T> {
        // Growing costs more than room.
        let mut items = Vec::with_capacity(16);
        items.extend(self.iter());
        items
    }

    /// The items, in order, up to one that cannot be read or is one too many.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let mut reader = Reader::new(self.text);
        let mut opened = false;
        std::iter::from_fn(move || {
            let more = if std::mem::replace(&mut opened, true) {
                reader.more(b']')
            } else {
                reader.open_array()
            };
            more.ok().filter(|more| *more)?;
            T::from_json(&mut reader).ok()
        })
        .take(MOST)
    }
}

impl<'a, T: FromJson<'a>> FromJson<'a> for List<'a, T> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let (start, text) = reader.spanned(Reader::skip)?;
        Ok(Self {
            start,
            text,
            items: PhantomData,
        })
    }

    fn check(&self) -> Result<(), Fault> {
        let mut reader = Reader::new(self.text);
        let mut count = 0;
        let checked = reader.array(|reader| {
            reader.room(count)?;
            count += 1;
            T::from_json(reader)?.check()
        });
        checked.map_err(|fault| Fault {
            at: self.start + fault.at,
            ..fault
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
