//! Arrays whose items are looked at where they stand.

use std::{fmt, marker::PhantomData};

use super::{Fault, FromJson, Raw, Reader, reader::MOST};

/// An array that is passed over, and read whenever somebody asks: for few items that are rarely asked
/// for, that is cheaper than keeping them.
pub struct List<'a, T> {
    start: usize,
    text: &'a str,
    items: PhantomData<fn() -> T>,
}

impl<'a, T: FromJson<'a>> List<'a, T> {
    /// Reads the items and what is put off in them.
    ///
    /// # Errors
    /// As those of `check`.
    pub fn read(&self) -> Result<Vec<T>, Fault> {
        let mut items = Vec::new();
        self.each(|item| {
            // Growing costs more than room.
            if items.is_empty() {
                items.reserve(16);
            }
            items.push(item);
        })?;
        Ok(items)
    }

    fn each(&self, mut take: impl FnMut(T)) -> Result<(), Fault> {
        let mut reader = Reader::new(self.text);
        let mut count = 0;
        let read = reader.array(|reader| {
            reader.room(count)?;
            count += 1;
            let item = T::from_json(reader)?;
            item.check()?;
            take(item);
            Ok(())
        });
        read.map_err(|fault| fault.behind(self.start))
    }

    /// The items as they are written.
    pub fn raw(&self) -> impl Iterator<Item = &'a str> + use<'a, T> {
        let list: List<'a, Raw<'a>> = List {
            start: self.start,
            text: self.text,
            items: PhantomData,
        };
        list.iter().map(|Raw(text)| text)
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
        self.each(drop)
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
