//! Structs that are read from JSON objects and from nothing else.

/// Defines a view: its fields, each with its key. A field that is absent or `null` has its default.
macro_rules! view {
    ($(
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident<'a> {
            $($(#[$field_meta:meta])* $field:ident: $type:ty = $key:literal,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        $visibility struct $name<'a> {
            $($(#[$field_meta])* pub $field: $type,)*
            /// Not every view borrows something.
            #[doc(hidden)]
            pub borrowed: std::marker::PhantomData<&'a str>,
        }

        impl<'a> $crate::json::FromJson<'a> for $name<'a> {
            fn from_json(
                reader: &mut $crate::json::Reader<'a>,
            ) -> Result<Self, $crate::json::Fault> {
                let mut view = Self::default();
                reader.object(|reader, key| {
                    match key.raw {
                        $($key => {
                            let value = reader.value();
                            view.$field = value.map_err(|fault| fault.within($key))?;
                        })*
                        _ => reader.skip()?,
                    }
                    Ok(())
                })?;
                Ok(view)
            }

            fn check(&self) -> Result<(), $crate::json::Fault> {
                $({
                    let checked = self.$field.check();
                    checked.map_err(|fault| fault.within($key))?;
                })*
                Ok(())
            }
        }
    )*};
}

pub(crate) use view;
