//! Reads a body within its limit, and reads what nobody wants to its end so that the answer arrives.
use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time;

use super::{
    reply::Refusal,
    room::{Room, Share},
};

/// What is thrown away at most for the sake of an answer that arrives: enough for the largest
/// request that an API server takes, however often it is encoded.
const THROWN_AWAY: u64 = 32 << 20;

/// And how long that may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The whole body, if it has at most `limit` bytes, and what it takes of the room.
pub(super) async fn read<'r>(
    body: &mut Incoming,
    limit: usize,
    room: &'r Room,
) -> Result<(Bytes, Share<'r>), Refusal> {
    let announced = body.size_hint().upper();
    if announced.is_some_and(|it| it > limit as u64) {
        return Err(Refusal::BodyTooLarge);
    }
    let mut share = room.share();
    let Some(first) = next(body).await? else {
        return Ok((Bytes::new(), share));
    };
    if first.len() > limit {
        return Err(Refusal::BodyTooLarge);
    }
    share.grow(first.len())?;
    // The usual case, in which nothing is copied.
    if body.is_end_stream() {
        return Ok((first, share));
    }
    let mut blocks = Blocks::default();
    blocks.push(&first);
    drop(first);
    while let Some(data) = next(body).await? {
        if blocks.length + data.len() > limit {
            return Err(Refusal::BodyTooLarge);
        }
        share.grow(blocks.length + data.len())?;
        blocks.push(&data);
    }
    Ok((blocks.join(), share))
}

/// The bytes of a body on their way in.
///
/// Blocks of one size leave no holes between the bodies that come at the same time, as buffers that
/// grow do, and cost the caller who announces much no less than what comes. In one piece a body is
/// only while it is reviewed: one for each thread.
#[derive(Default)]
struct Blocks {
    full: Vec<Box<[u8]>>,
    last: Vec<u8>,
    length: usize,
}

impl Blocks {
    const SIZE: usize = 16 << 10;

    fn push(&mut self, mut data: &[u8]) {
        self.length += data.len();
        while !data.is_empty() {
            if self.last.capacity() == 0 {
                self.last.reserve_exact(Self::SIZE);
            }
            let (now, later) = data.split_at(data.len().min(Self::SIZE - self.last.len()));
            self.last.extend_from_slice(now);
            if self.last.len() == Self::SIZE {
                self.full.push(std::mem::take(&mut self.last).into());
            }
            data = later;
        }
    }

    fn join(self) -> Bytes {
        let Self { full, last, length } = self;
        let mut all = Vec::with_capacity(length);
        for block in full {
            all.extend_from_slice(&block);
        }
        all.extend_from_slice(&last);
        all.into()
    }
}

/// Reads on and keeps nothing.
///
/// Answering while the caller still sends would end in a reset connection, on which the answer is
/// lost; a connection that is read to its end can be used again, and under overload the last thing
/// we want is a new handshake for each caller that was sent away.
pub(super) async fn discard(mut body: Incoming) {
    let reading = async {
        let mut thrown_away = 0;
        while let Ok(Some(data)) = next(&mut body).await {
            thrown_away += data.len() as u64;
            if thrown_away > THROWN_AWAY {
                return;
            }
        }
    };
    // When it takes longer, the connection closes with the answer.
    let _ = time::timeout(PATIENCE, reading).await;
}

/// The next piece of data, or nothing at the end.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::BodyBroken)?;
        // Trailers say nothing about a review.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
