//! The memory for the bodies of the reviews under way: taken as their bytes arrive, given back with
//! the answer.
use tokio::sync::Semaphore;

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

    /// For a body of which nothing is there yet.
    pub(super) fn share(&self) -> Share<'_> {
        Share {
            room: self,
            taken: 0,
        }
    }
}

/// What one body has taken, until it is dropped.
pub(super) struct Share<'r> {
    room: &'r Room,
    taken: usize,
}

impl Share<'_> {
    /// Takes what is missing for a body of so many bytes, and never waits for it.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        if bytes <= SMALL {
            return Ok(());
        }
        let missing = bytes.saturating_sub(self.taken);
        let permits = u32::try_from(missing).map_err(|_| Refusal::NoRoom)?;
        let more = self.room.0.try_acquire_many(permits);
        more.map_err(|_| Refusal::NoRoom)?.forget();
        self.taken += missing;
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.room.0.add_permits(self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_to_all_of_the_room_and_gives_it_back() {
        let room = Room::new(4 * SMALL);
        for _ in 0..2 {
            let mut large = room.share();
            for bytes in [SMALL, 2 * SMALL, 4 * SMALL] {
                large.grow(bytes).unwrap();
            }
            assert_eq!(large.grow(4 * SMALL + 1), Err(Refusal::NoRoom));
            assert_eq!(room.share().grow(SMALL + 1), Err(Refusal::NoRoom));
            room.share().grow(SMALL).unwrap();
        }
    }
}
