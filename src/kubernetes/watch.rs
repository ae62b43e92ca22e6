//! Follows a watch for as long as somebody wants to know, and says when it breaks and when it works again.
use std::{error::Error, iter};

use futures::{Stream, StreamExt as _, stream};
use kube::runtime::watcher::{self, Event};

/// What is heard of a watch.
#[derive(Debug)]
pub enum Heard<K> {
    Event(Event<K>),
    /// Nothing will be heard until the next event; said once, however often it is tried again.
    Broke,
}

/// Passes on all that is heard of `what`, a plural, until the stream ends.
pub async fn follow<K>(
    what: &str,
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    mut note: impl FnMut(Heard<K>),
) {
    let mut events = std::pin::pin!(events);
    let mut broken = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                // The start of a new list only says that we try.
                if broken && !matches!(event, Event::Init) {
                    tracing::info!("the watch of {what} works again");
                    broken = false;
                }
                note(Heard::Event(event));
            }
            Err(reason) => {
                if !broken {
                    tracing::warn!(
                        reason = %with_causes(&reason),
                        "the watch of {what} broke, what is known stays in use; may we list and watch {what}?"
                    );
                    broken = true;
                    note(Heard::Broke);
                }
            }
        }
    }
}

/// Takes a resource that the API server does not know for one of which there is no object. It is asked
/// for again, with the pauses of `events`, and may come later.
///
/// Once it has been there that is an error like any other: an API server that starts does not know all
/// of its resources yet, and objects of one that is taken away are deleted first, each by itself.
pub fn none_when_absent<K>(
    what: &str,
    events: impl Stream<Item = watcher::Result<Event<K>>>,
) -> impl Stream<Item = watcher::Result<Event<K>>> {
    let (mut absent, mut known) = (false, false);
    events.flat_map(move |event| {
        let now = !known && matches!(&event, Err(error) if is_absent(error));
        known |= matches!(event, Ok(Event::InitDone));
        if now && !absent {
            tracing::info!(
                "the API server has no {what} yet: none are known, and it is asked again"
            );
        }
        // The start of a new list only says that we try.
        if now || !matches!(event, Ok(Event::Init)) {
            absent = now;
        }
        let events = if now {
            vec![Ok(Event::Init), Ok(Event::InitDone)]
        } else {
            vec![event]
        };
        stream::iter(events)
    })
}

fn is_absent(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(cause) | watcher::Error::WatchStartFailed(cause)) =
        error
    else {
        return false;
    };
    matches!(cause, kube::Error::Api(status) if status.code == 404)
}

/// What an error says, and what its causes say beyond that.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let causes = iter::successors(error.source(), |&cause| cause.source());
    for said in causes.map(ToString::to_string) {
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_there_is_not_gone_because_an_api_server_starts() {
        let unknown = || {
            let status = kube::core::Status::failure("no such resource", "NotFound").with_code(404);
            watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
        };
        let told = |events: Vec<watcher::Result<Event<u8>>>| async {
            let told = none_when_absent("things", stream::iter(events));
            let told = told.map(|event| match event {
                Ok(Event::InitDone) => "listed",
                Ok(_) => "heard",
                Err(_) => "broke",
            });
            told.collect::<Vec<_>>().await
        };
        assert_eq!(
            told(vec![Err(unknown()), Ok(Event::Init), Ok(Event::InitDone)]).await,
            ["heard", "listed", "heard", "listed"]
        );
        assert_eq!(
            told(vec![Ok(Event::Init), Ok(Event::InitDone), Err(unknown())]).await,
            ["heard", "listed", "broke"]
        );
    }

    #[test]
    fn an_error_says_all_its_causes_and_each_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{says}")]
        struct Link {
            says: &'static str,
            source: Option<Box<Link>>,
        }
        let link = |says, source: Option<Link>| Link {
            says,
            source: source.map(Box::new),
        };
        let refused = link("connection refused", None);
        let repeated = link("connect: connection refused", Some(refused));
        let error = link("the list failed", Some(repeated));
        assert_eq!(
            with_causes(&error),
            "the list failed: connect: connection refused"
        );
        assert_eq!(with_causes(&link("alone", None)), "alone");
    }
}
