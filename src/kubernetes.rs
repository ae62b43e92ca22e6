//! The way to a cluster, and what is known of its namespaces without asking for it each time.
mod client;
mod list;
mod namespaces;

pub use self::{
    client::{ClientError, client, current_client},
    list::{ListError, Objects, list, object},
    namespaces::{Lookup, Metadata, NamespaceWatch, Namespaces},
};
