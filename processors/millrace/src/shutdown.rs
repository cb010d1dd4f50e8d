//! The first SIGTERM or Ctrl-C asks for an orderly end; the second one ends the process at once.

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A token that the first signal cancels, and what is said of it.
pub fn on_signal(said: Option<&'static str>) -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = CancellationToken::new();
    let first = shutdown.clone();
    tokio::spawn(async move {
        for asked_before in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked_before {
                warn!("second signal: leaving without an orderly end");
                std::process::exit(130);
            }
            if let Some(said) = said {
                info!("{said}");
            }
            first.cancel();
        }
    });
    Ok(shutdown)
}
