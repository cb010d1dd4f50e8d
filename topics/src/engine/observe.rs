//! What an operator sees: gauges per partition, and whether this member is ready.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::Duration,
};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use rdkafka::consumer::BaseConsumer;
use tokio::sync::watch;

use super::{
    core::{PartitionStatus, Status},
    fullness::Fullness,
    hindrance,
    membership::Group,
    monitor::{Monitor, Trouble},
};
use crate::{TopicPartition, native};

const EVERY: Duration = Duration::from_millis(500);

pub(super) struct Observer {
    pub(super) group: String,
    pub(super) monitor: Arc<Monitor>,
    pub(super) consumer: Weak<BaseConsumer<Group>>,
    pub(super) ready: watch::Sender<Result<(), String>>,
}

impl Drop for Observer {
    fn drop(&mut self) {
        hindrance::set(&self.group, Vec::new());
    }
}

impl Observer {
    /// Until it is dropped.
    pub(super) async fn run(self) {
        describe();
        let mut held = BTreeSet::new();
        let mut full = Fullness::default();
        let mut beat = tokio::time::interval(EVERY);
        loop {
            beat.tick().await;
            let status = self.monitor.member().status();
            hindrance::set(&self.group, full.hindrances(&status));
            self.gauges(&status, &mut held, &full);
            let state = readiness(&status, self.trouble());
            self.ready.send_if_modified(|last| {
                let is_news = *last != state;
                *last = state;
                is_news
            });
        }
    }

    fn trouble(&self) -> Trouble {
        self.monitor.trouble().clone()
    }

    fn gauges(&self, status: &Status, held: &mut BTreeSet<TopicPartition>, full: &Fullness) {
        let set = |name: &'static str, value: usize| gauge!(name, "group" => self.group.clone()).set(value as f64);
        set("millrace_in_flight", status.in_flight.saturating_sub(status.waiting));
        set("millrace_waiting_for_limits", status.waiting);
        set("millrace_bytes_in_flight", status.bytes);
        let now: BTreeSet<TopicPartition> = status
            .partitions
            .iter()
            .map(|status| status.partition.clone())
            .collect();
        for left in held.difference(&now) {
            // Another member shows it now; added up, it must not count twice.
            self.partition(left, None, None, None);
        }
        for status in &status.partitions {
            let consumer = self.consumer.upgrade();
            let log_end = consumer.and_then(|consumer| native::known_end(&consumer, &status.partition));
            let full_since = full.since_ms(&status.partition);
            self.partition(&status.partition, Some(status), log_end, full_since);
        }
        *held = now;
    }

    fn partition(
        &self,
        partition: &TopicPartition,
        status: Option<&PartitionStatus>,
        log_end: Option<i64>,
        full_since: Option<i64>,
    ) {
        let labels = [
            ("group", self.group.clone()),
            ("topic", partition.topic.to_string()),
            ("partition", partition.partition.to_string()),
        ];
        let set = |name: &'static str, value: Option<i64>| gauge!(name, &labels).set(value.unwrap_or_default() as f64);
        let oldest = status.and_then(|status| status.oldest);
        set("millrace_partition_owned", status.map(|_| 1));
        set("millrace_watermark", status.map(|status| status.watermark));
        set("millrace_highest_done", status.map(|status| status.end));
        set("millrace_map_offsets", status.map(|status| status.map as i64));
        set("millrace_window_offsets", status.map(|status| status.window));
        let is_full = |status: &PartitionStatus| i64::from(status.full.is_some());
        set("millrace_partition_full", status.map(is_full));
        set("millrace_partition_full_since_ms", full_since);
        set(
            "millrace_ledger_results",
            status.map(|status| status.ready_results as i64),
        );
        set(
            "millrace_partition_in_flight",
            status.map(|status| status.running as i64),
        );
        set("millrace_oldest_open_offset", oldest.map(|(offset, _)| offset));
        set(
            "millrace_oldest_open_timestamp_ms",
            oldest.map(|(_, timestamp)| timestamp),
        );
        let lag = log_end.zip(status).map(|(end, status)| (end - status.watermark).max(0));
        if lag.is_some() || status.is_none() {
            set("millrace_lag", lag);
        }
    }
}

fn readiness(status: &Status, trouble: Trouble) -> Result<(), String> {
    let stalled = status.partitions.iter().any(|partition| partition.stalled);
    let problems = status
        .stopped
        .iter()
        .cloned()
        .chain(trouble.joining)
        .chain(trouble.committing)
        .chain(trouble.fetching)
        .chain(trouble.stalled.filter(|_| stalled));
    match problems.reduce(|all, next| format!("{all}; {next}")) {
        None => Ok(()),
        Some(problems) => Err(problems),
    }
}

fn describe() {
    describe_counter!("millrace_consumed_total", Unit::Count, "Request records read");
    describe_counter!(
        "millrace_transactions_failed_total",
        Unit::Count,
        "Transactions that were not committed at first"
    );
    describe_histogram!(
        "millrace_commit_seconds",
        Unit::Seconds,
        "From begin to commit of a transaction"
    );
    describe_histogram!(
        "millrace_commit_results",
        Unit::Count,
        "Results that a transaction carried"
    );
    describe_gauge!("millrace_in_flight", Unit::Count, "Runs that hold a slot");
    describe_gauge!(
        "millrace_waiting_for_limits",
        Unit::Count,
        "Runs that only wait for a provider's limit"
    );
    describe_gauge!(
        "millrace_bytes_in_flight",
        Unit::Bytes,
        "Requests and results in memory"
    );
    describe_gauge!("millrace_partition_owned", "1: this member owns it; 0: it did once");
    describe_gauge!("millrace_watermark", "The committed offset: all below it is done");
    describe_gauge!("millrace_highest_done", "One past the highest offset that is done");
    describe_gauge!(
        "millrace_map_offsets",
        Unit::Count,
        "Offsets above the watermark that are done"
    );
    describe_gauge!(
        "millrace_window_offsets",
        Unit::Count,
        "Offsets between the watermark and the last record read"
    );
    describe_gauge!(
        "millrace_partition_full",
        "1 while nothing more is read because the window or the byte limit is full; the oldest open offset says of what"
    );
    describe_gauge!(
        "millrace_partition_full_since_ms",
        "When that began, in milliseconds since the epoch; 0 while it is not full"
    );
    describe_gauge!(
        "millrace_ledger_results",
        Unit::Count,
        "Results that are not committed yet"
    );
    describe_gauge!("millrace_partition_in_flight", Unit::Count, "Runs of this partition");
    describe_gauge!(
        "millrace_oldest_open_offset",
        "The record that holds the watermark: the head of the oldest lane"
    );
    describe_gauge!(
        "millrace_oldest_open_timestamp_ms",
        "Its timestamp, in milliseconds since the epoch"
    );
    describe_gauge!(
        "millrace_lag",
        Unit::Count,
        "Offsets between the watermark and the end of the log"
    );
}
