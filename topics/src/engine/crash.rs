//! Places where a process can be made to die, or one of its calls to hang, for the stories that prove what its heirs do, and
//! what itself does. Only with the feature `crash-points`, which nothing but tests enables; without it the calls are empty.
//!
//! `CRASH_POINT=produced:3` dies the third time an output was produced (each counts). The end is an abort: no destructor
//! runs, no transaction is aborted, no group is left, and sockets close as they do after `kill -9`.
//! `HANG_POINT=produced:3` never returns from there instead.

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
    let Some(Chosen { time, end, .. }) = chosen().filter(|chosen| chosen.point == point) else {
        return;
    };
    if PASSED.fetch_add(1, Ordering::Relaxed) + 1 != time {
        return;
    }
    before();
    match end {
        End::Death => {
            eprintln!("crash point: {point:?}");
            std::process::abort();
        }
        End::Hang => {
            eprintln!("hang point: {point:?}");
            loop {
                std::thread::park();
            }
        }
    }
}

#[cfg(not(feature = "crash-points"))]
pub(super) fn point(_: Point, _: impl FnOnce()) {}

/// librdkafka ends a transaction in one call that returns with the answer. That the request left is told by its log only.
#[cfg(feature = "crash-points")]
pub(super) fn watch(config: &mut rdkafka::ClientConfig) {
    if chosen().is_some_and(|chosen| chosen.point == Point::EndSent) {
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
#[derive(Clone, Copy)]
struct Chosen {
    point: Point,
    time: u64,
    end: End,
}

#[cfg(feature = "crash-points")]
#[derive(Clone, Copy)]
enum End {
    Death,
    Hang,
}

#[cfg(feature = "crash-points")]
fn chosen() -> Option<Chosen> {
    static CHOSEN: std::sync::OnceLock<Option<Chosen>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let named = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let (text, end) = named("CRASH_POINT")
            .map(|text| (text, End::Death))
            .or_else(|| named("HANG_POINT").map(|text| (text, End::Hang)))?;
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
        let time = time.parse().ok()?;
        Some(Chosen { point, time, end })
    })
}
