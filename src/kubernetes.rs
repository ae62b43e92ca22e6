//! The way to a cluster, and what is known of its namespaces without asking for it each time.
mod ask;
mod client;
mod elsewhere;
mod exec;
mod forward;
mod lease;
mod list;
mod namespaces;
mod passing;
mod watch;

pub use self::{
    ask::{Answer, Asker},
    client::{ClientError, client, current_client, current_client_that_asks_once},
    elsewhere::Elsewhere,
    exec::{Ended, Exit, Place, Printed, Running, exec},
    forward::{Forwarded, forward},
    lease::{Election, Leadership, Terms, identity},
    list::{ListError, Objects, list, object},
    namespaces::{Lookup, Metadata, NamespaceWatch, Namespaces},
    passing::passes,
    watch::{Heard, follow, none_when_absent, with_causes},
};
