//! What Velero keeps of a backup or restore outside of its objects: files in its object storage, and the
//! log of its server.
mod download;
mod server;

pub use self::{
    download::{Limits, PACKED, file, lines, packed},
    server::log_of_restore,
};
