//! Places where a process can be made to die, for the stories that prove what its heirs do. Only with the feature
//! `crash-points`, which nothing but tests enables; without it the calls are empty.
//!
//! `CRASH_POINT=produced:3` dies the third time something was produced. The end is an abort: no destructor runs, no
//! transaction is aborted, no group is left, and sockets close as they do after `kill -9`.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    Claimed,
    Begun,
    Produced,
    OffsetsSent,
    /// The request to end the transaction left; its answer did not come.
    EndSent,
    /// Committed, and the ledger does not know it yet.
    EndAnswered,
    LedgerCleared,
    Released,
}

/// Dies here if this is the chosen point and time; `before` is done first, and only then.
#[cfg(feature = "crash-points")]
pub(super) fn point(point: Point, before: impl FnOnce()) {
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Some((_, time)) = chosen().filter(|(chosen, _)| *chosen == point) else {
        return;
    };
    if PASSED.fetch_add(1, Ordering::Relaxed) + 1 == time {
        before();
        eprintln!("crash point: {point:?}");
        std::process::abort();
    }
}

#[cfg(not(feature = "crash-points"))]
pub(super) fn point(_: Point, _: impl FnOnce()) {}

/// librdkafka ends a transaction in one call that returns with the answer. That the request left is told by its log only.
#[cfg(feature = "crash-points")]
pub(super) fn watch(config: &mut rdkafka::ClientConfig) {
    if chosen().is_some_and(|(point, _)| point == Point::EndSent) {
        config
            .set("debug", "protocol")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Debug);
    }
}

#[cfg(not(feature = "crash-points"))]
pub(super) fn watch(_: &mut rdkafka::ClientConfig) {}

pub(super) fn line(message: &str) {
    if cfg!(feature = "crash-points") && message.contains("Sent EndTxnRequest") {
        point(Point::EndSent, || {});
    }
}

#[cfg(feature = "crash-points")]
fn chosen() -> Option<(Point, u64)> {
    static CHOSEN: std::sync::OnceLock<Option<(Point, u64)>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let text = std::env::var("CRASH_POINT").ok()?;
        let (name, time) = text.split_once(':').unwrap_or((&text, "1"));
        let point = match name {
            "claimed" => Point::Claimed,
            "begun" => Point::Begun,
            "produced" => Point::Produced,
            "offsets_sent" => Point::OffsetsSent,
            "end_sent" => Point::EndSent,
            "end_answered" => Point::EndAnswered,
            "ledger_cleared" => Point::LedgerCleared,
            "released" => Point::Released,
            _ => return None,
        };
        Some((point, time.parse().ok()?))
    })
}
