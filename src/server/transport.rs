//! What the bytes of a listener's connections are.
use std::sync::Arc;

use rustls::ServerConfig;

use super::{handshake::Handshakes, metrics::ServerMetrics};

pub(super) enum Transport {
    Plain,
    Tls(Handshakes),
}

impl Transport {
    pub(super) fn tls(config: Arc<ServerConfig>, metrics: &ServerMetrics) -> Self {
        Self::Tls(Handshakes::new(config, metrics))
    }
}
