//! Places around the transaction where a recorder can be made to die, for the stories and the fault run. Only with the
//! feature `crash-points`; without it the calls are empty. As in the engine of `topics`: `CRASH_POINT=recorder_written:3`.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// The positions and the rows are not written yet.
    Begun,
    /// All is written, nothing committed.
    Written,
    /// Committed, and this recorder does not know it yet.
    Committed,
}

/// Dies here if this is the chosen point and time.
#[cfg(feature = "crash-points")]
pub(crate) fn point(point: Point) {
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Some((_, time)) = chosen().filter(|(chosen, _)| *chosen == point) else {
        return;
    };
    if PASSED.fetch_add(1, Ordering::Relaxed) + 1 == time {
        eprintln!("crash point: recorder {point:?}");
        std::process::abort();
    }
}

#[cfg(not(feature = "crash-points"))]
pub(crate) fn point(_: Point) {}

#[cfg(feature = "crash-points")]
fn chosen() -> Option<(Point, u64)> {
    static CHOSEN: std::sync::OnceLock<Option<(Point, u64)>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let text = std::env::var("CRASH_POINT").ok()?;
        let (name, time) = text.split_once(':').unwrap_or((&text, "1"));
        let point = match name {
            "recorder_begun" => Point::Begun,
            "recorder_written" => Point::Written,
            "recorder_committed" => Point::Committed,
            _ => return None,
        };
        Some((point, time.parse().ok()?))
    })
}
