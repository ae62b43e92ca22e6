//! The memory for the bodies of the reviews under way: taken before a body is read, given back with
//! its answer.
use tokio::sync::{Semaphore, SemaphorePermit};

use super::reply::Refusal;

/// Bodies up to this size need none: the number of reviews bounds them too, and so a small review is
/// answered whatever the large ones take.
const SMALL: usize = 64 << 10;

/// One permit for each byte.
pub(super) struct Room(Semaphore);

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)))
    }

    /// Takes the memory for a body of so many bytes, and never waits for it.
    pub(super) fn take(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Refusal> {
        let bytes = if bytes <= SMALL { 0 } else { bytes };
        let bytes = u32::try_from(bytes).map_err(|_| Refusal::NoRoom)?;
        self.0.try_acquire_many(bytes).map_err(|_| Refusal::NoRoom)
    }
}
