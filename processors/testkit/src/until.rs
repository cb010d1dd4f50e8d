use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

/// The deadline passed before the state was seen.
#[derive(Debug, thiserror::Error)]
#[error("not seen within {0:?}")]
pub struct Late(pub Duration);

/// Asks until the answer is `Some`, at first every 5 ms, later every 100 ms, for at most `within`.
pub async fn until<T>(within: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Result<T, Late> {
    let deadline = Instant::now() + within;
    let mut pause = Duration::from_millis(5);
    loop {
        match timeout_at(deadline, ask()).await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if Instant::now() < deadline => sleep_until(deadline.min(Instant::now() + pause)).await,
            Ok(None) | Err(_) => return Err(Late(within)),
        }
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
