//! What an operator sees: gauges per partition, and whether this member is ready.

use std::{sync::Arc, time::Duration};

use rdkafka::consumer::BaseConsumer;
use tokio::sync::watch;

use super::{core::PartitionStatus, membership::Group, shared::Shared};
use crate::native;

const EVERY: Duration = Duration::from_millis(500);

/// Until it is dropped.
pub(super) async fn observe(
    shared: Arc<Shared>,
    consumer: Arc<BaseConsumer<Group>>,
    ready: watch::Sender<Result<(), String>>,
) {
    let mut beat = tokio::time::interval(EVERY);
    loop {
        beat.tick().await;
        let status = shared.member().status();
        metrics::gauge!("millrace_in_flight").set(status.in_flight.saturating_sub(status.waiting) as f64);
        metrics::gauge!("millrace_waiting_for_limits").set(status.waiting as f64);
        metrics::gauge!("millrace_bytes_in_flight").set(status.bytes as f64);
        for partition in &status.partitions {
            gauges(partition, native::known_end(&consumer, &partition.partition));
        }
        let mut trouble = shared.trouble();
        if !status.partitions.iter().any(|partition| partition.stalled) {
            trouble.stalled = None;
        }
        let trouble = trouble.clone();
        let full = status
            .partitions
            .iter()
            .find(|partition| partition.full)
            .map(|partition| {
                let oldest = partition.oldest.map_or(partition.watermark, |(offset, _)| offset);
                format!("the window of {} is full: {oldest} keeps it", partition.partition)
            });
        let problems = status
            .stopped
            .into_iter()
            .chain(trouble.joining)
            .chain(trouble.committing)
            .chain(trouble.stalled)
            .chain(full);
        let state = match problems.reduce(|all, next| format!("{all}; {next}")) {
            None => Ok(()),
            Some(problems) => Err(problems),
        };
        ready.send_if_modified(|last| {
            let is_news = *last != state;
            *last = state;
            is_news
        });
    }
}

fn gauges(status: &PartitionStatus, log_end: Option<i64>) {
    let labels = [
        ("topic", status.partition.topic.to_string()),
        ("partition", status.partition.partition.to_string()),
    ];
    let set = |name: &'static str, value: i64| metrics::gauge!(name, &labels).set(value as f64);
    set("millrace_watermark", status.watermark);
    set("millrace_highest_done", status.end);
    set("millrace_map_offsets", status.map as i64);
    set("millrace_window_offsets", status.window);
    set("millrace_ledger_results", status.ready_results as i64);
    set("millrace_partition_in_flight", status.running as i64);
    set(
        "millrace_oldest_open_offset",
        status.oldest.map_or(-1, |(offset, _)| offset),
    );
    set(
        "millrace_oldest_open_timestamp_ms",
        status.oldest.map_or(0, |(_, timestamp)| timestamp),
    );
    if let Some(log_end) = log_end {
        set("millrace_lag", (log_end - status.watermark).max(0));
    }
}
