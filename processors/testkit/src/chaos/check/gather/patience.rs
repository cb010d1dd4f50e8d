//! The parts have just been broken on purpose: whoever does not answer is asked again.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// # Errors
/// The last one, when `whom` has not answered for a minute.
pub(super) async fn patiently<T>(whom: impl Display, ask: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    within(PATIENCE, whom, ask).await
}

/// The same for what waits for the answer on a thread of its own.
pub(super) async fn patiently_blocking<T: Send + 'static>(
    whom: impl Display,
    ask: impl Fn() -> anyhow::Result<T> + Clone + Send + 'static,
) -> anyhow::Result<T> {
    patiently(whom, async || {
        let ask = ask.clone();
        tokio::task::spawn_blocking(ask).await?
    })
    .await
}

async fn within<T>(
    time: Duration,
    whom: impl Display,
    mut ask: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if began.elapsed() < time => {
                tracing::warn!("{whom} does not answer yet: {error:#}");
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error.context(format!("{whom} did not answer within {time:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[tokio::test]
    async fn whoever_comes_back_is_heard_and_whoever_does_not_is_named() {
        let mut asked = 0;
        let answer = patiently("the broker", async || {
            asked += 1;
            if asked < 3 { bail!("refused") } else { Ok(asked) }
        });
        assert_eq!(answer.await.unwrap(), 3);

        let never = within(Duration::ZERO, "the broker", async || -> anyhow::Result<()> {
            bail!("refused")
        });
        let error = format!("{:#}", never.await.unwrap_err());
        assert_eq!(error, "the broker did not answer within 0ns: refused");
    }
}
