//! The way to a cluster, and what is known of its namespaces without asking for it each time.
mod client;
mod namespaces;

pub use self::{
    client::{ClientError, client},
    namespaces::{Lookup, Metadata, NamespaceWatch, Namespaces},
};
