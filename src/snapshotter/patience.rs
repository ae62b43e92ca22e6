//! What is asked again while the API server is away.

use std::time::Duration;

use tokio::time::{self, Instant};

use super::clock::PATIENCE;
use crate::kubernetes::passes;

/// The pause before a question that had no answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// There is no answer yet: the API server may be away.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {PATIENCE:?}")]
struct Late;

/// An answer, if it comes in time.
pub async fn in_time<T>(
    question: impl Future<Output = Result<T, kube::Error>>,
) -> anyhow::Result<T> {
    match time::timeout(PATIENCE, question).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Late.into()),
    }
}

/// Does it again and again for so long, until there is an answer. It may be done twice.
pub async fn patiently<T, F: Future<Output = anyhow::Result<T>>>(
    patience: Duration,
    mut work: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let until = Instant::now() + patience;
    loop {
        match work().await {
            Err(error) if may_pass(&error) && Instant::now() < until => time::sleep(AGAIN).await,
            answer => return answer,
        }
    }
}

/// Whether it failed because there was no answer.
fn may_pass(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|it| it.is::<Late>() || it.downcast_ref::<kube::Error>().is_some_and(passes))
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use anyhow::{Context as _, anyhow};

    use super::*;

    fn away() -> anyhow::Error {
        let refused = Error::from(ErrorKind::ConnectionRefused);
        let error: anyhow::Error = kube::Error::Service(Box::new(refused)).into();
        error.context("failed to delete data")
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_answer_is_asked_again_and_a_refusal_is_not() {
        let mut left = 3;
        let answer = patiently(Duration::from_mins(5), || {
            left -= 1;
            let answer = if left > 0 { Err(away()) } else { Ok(7) };
            async { answer }
        });
        assert_eq!(answer.await.unwrap(), 7);
        let mut asked = 0;
        let refused = patiently(Duration::from_mins(5), || {
            asked += 1;
            async { Err::<(), _>(anyhow!("no")).context("failed to delete data") }
        });
        assert!(refused.await.is_err());
        assert_eq!(asked, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let began = Instant::now();
        let patience = Duration::from_mins(5);
        let gone = patiently(patience, || async { Err::<(), _>(away()) });
        assert!(gone.await.is_err());
        assert!(began.elapsed() >= patience);
        let never = in_time(std::future::pending::<Result<(), _>>()).await;
        assert!(may_pass(&never.unwrap_err()));
    }
}
