//! What the recorder counts.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use schemas::Timestamp;

use crate::entry::{Entry, Row};

const RECORDED: &str = "millrace_recorder_records_total";
const QUARANTINED: &str = "millrace_recorder_quarantined_total";
const DUPLICATES: &str = "millrace_recorder_duplicate_results_total";
const LAG: &str = "millrace_recorder_lag_seconds";
const BATCH: &str = "millrace_recorder_batch_records";
const COMMIT: &str = "millrace_recorder_commit_seconds";
const GAPS: &str = "millrace_recorder_gaps_total";
const LOST: &str = "millrace_recorder_positions_lost_total";

pub(crate) fn describe() {
    describe_counter!(RECORDED, "Records in Postgres, by topic");
    describe_counter!(QUARANTINED, "Records that no table takes");
    describe_counter!(DUPLICATES, "Results of runs that had one already");
    describe_gauge!(
        LAG,
        Unit::Seconds,
        "Age of the newest record in Postgres when it got there, by topic"
    );
    describe_histogram!(BATCH, "Records per transaction");
    describe_histogram!(COMMIT, Unit::Seconds, "From the begin of a transaction to its commit");
    describe_counter!(GAPS, "Times that records had been deleted before they were recorded");
    describe_counter!(LOST, "Positions that another recorder had moved");
}

pub(crate) fn committed(entries: &[Entry], duplicates: u64, took: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
    histogram!(BATCH).record(entries.len() as f64);
    histogram!(COMMIT).record(took.as_secs_f64());
    counter!(DUPLICATES).increment(duplicates);
    let quarantined = entries
        .iter()
        .filter(|entry| matches!(entry.row, Row::Quarantine(_)))
        .count();
    counter!(QUARANTINED).increment(quarantined as u64);
    for topic in entries.chunk_by(|one, other| one.record.topic == other.record.topic) {
        let name = topic[0].record.topic.to_string();
        counter!(RECORDED, "topic" => name.clone()).increment(topic.len() as u64);
        let newest = topic
            .iter()
            .map(|entry| entry.record.timestamp_ms)
            .max()
            .unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        let lag = (Timestamp::now().as_millis() - newest).max(0) as f64 / 1e3;
        gauge!(LAG, "topic" => name).set(lag);
    }
}

pub(crate) fn gap() {
    counter!(GAPS).increment(1);
}

pub(crate) fn lost(positions: usize) {
    counter!(LOST).increment(positions as u64);
}
