//! The server over real loopback sockets, with reviewers of one line.
mod connections;
mod drain;
mod kit;
mod requests;
