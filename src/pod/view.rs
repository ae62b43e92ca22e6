//! Structs that are read from JSON objects and from nothing else.
//!
//! serde's derive would take a list for the fields in their order, and `null` for an error. Here a
//! list is refused and `null` is what is absent, as for the API server; of a key that stands twice
//! the last one counts, as in Go.

/// Defines a view: its fields, each with its key.
macro_rules! view {
    ($(
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident<'a> {
            $($(#[$field_meta:meta])* $field:ident: $type:ty = $key:literal,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Default)]
        $visibility struct $name<'a> {
            $($(#[$field_meta])* pub $field: $type,)*
            /// Not every view borrows something.
            #[doc(hidden)]
            pub borrowed: std::marker::PhantomData<&'a str>,
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields<'a>(std::marker::PhantomData<&'a str>);

                impl<'de: 'a, 'a> serde::de::Visitor<'de> for Fields<'a> {
                    type Value = $name<'a>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<Self::Value, A::Error> {
                        let mut view = $name::default();
                        while let Some(key) = map.next_key::<$crate::pod::Text<'de>>()? {
                            match &*key {
                                $($key => view.$field = map.next_value::<Option<$type>>()?.unwrap_or_default(),)*
                                _ => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(view)
                    }
                }

                deserializer.deserialize_map(Fields(std::marker::PhantomData))
            }
        }
    )*};
}

pub(crate) use view;
