//! Accepts connections until it is told to stop, then waits for those that are open.
use std::{
    io,
    net::{self, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

use super::{
    connection::{Connections, Site},
    metrics::ConnectionMetrics,
    threads::Threads,
};

/// After a failed accept, which mostly means that file descriptors have run out: trying again at
/// once would only burn the processor that is needed to free some.
const PAUSE: Duration = Duration::from_millis(50);

/// A socket that callers can already connect to, though nobody accepts yet.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `connections` on `threads` until their stop turns true, then lets those that are open
    /// end, within their farewell time.
    pub(super) async fn serve(
        self,
        connections: Connections<impl Site>,
        threads: Threads,
        metrics: ConnectionMetrics,
    ) {
        let limits = connections.limits;
        let mut stop = connections.stop.clone();
        let slots = Arc::new(Semaphore::new(limits.connections as usize));
        let connections = Arc::new(connections);
        let spawn = |stream: net::TcpStream, slot: OwnedSemaphorePermit| {
            metrics.accepted.inc();
            let open = metrics.open.enter();
            let connections = Arc::clone(&connections);
            threads.spawn(async move {
                // Known from here on to the runtime that serves it.
                if let Ok(stream) = TcpStream::from_std(stream) {
                    connections.serve(stream).await;
                }
                drop((open, slot));
            });
        };

        let mut failing = false;
        loop {
            let accept = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                let slot = slot.expect("the semaphore is never closed");
                (slot, self.socket.accept().await)
            };
            let (slot, accepted) = tokio::select! {
                biased;
                // An error means that whoever could stop us is gone, which is a stop as well.
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = accept => accepted,
            };
            match accepted.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => {
                    if failing {
                        tracing::info!(address = %self.address, "accepting connections again");
                        failing = false;
                    }
                    spawn(stream, slot);
                }
                Err(reason) => {
                    metrics.accept_failures.inc();
                    if !failing {
                        tracing::error!(address = %self.address, %reason, "no connection can be accepted");
                        failing = true;
                    }
                    time::sleep(PAUSE).await;
                }
            }
        }

        // Callers that have connected and that nobody has accepted yet would be reset.
        if let Ok(socket) = self.socket.into_std() {
            while let Ok((stream, _)) = socket.accept() {
                let slot = Arc::clone(&slots).try_acquire_owned();
                if let (Ok(()), Ok(slot)) = (stream.set_nonblocking(true), slot) {
                    spawn(stream, slot);
                }
            }
        }
        // All slots are back when all connections have ended.
        let all_ended = slots.acquire_many(limits.connections);
        if time::timeout(limits.farewell, all_ended).await.is_err() {
            let left = limits.connections as usize - slots.available_permits();
            tracing::warn!(address = %self.address, left, "connections are still busy, leaving them");
        }
    }
}
