//! The clients of one engine and their settings. What exactly-once rests on is set last, so that `kafka.client` cannot
//! undo it.

use rdkafka::{ClientConfig, config::FromClientConfigAndContext, consumer::BaseConsumer, producer::ThreadedProducer};

use super::{EngineError, EngineSettings, crash, events::ProducerEvents};
use crate::client::{self, Named};

/// Of a partition, whatever the number of them: less than a small batch makes a request of each record.
const LEAST_FETCHED: usize = 16 << 10;
/// More is no faster.
const MOST_FETCHED: usize = 8 << 20;
/// librdkafka's own default.
const MOST_AT_ONCE: usize = 1 << 20;

/// The member of the group, which may be given so many partitions.
///
/// `queued.max.messages.kbytes`: a queue that is not read is the backpressure, so each may be full, and librdkafka's limit is
/// of one partition. What all of them hold together is bounded by sharing it out before; a fetch may add to a queue that is
/// not full yet, so it must not bring more than the share (`fetch.message.max.bytes`).
///
/// `fetch.queue.backoff.ms`: with its default of a second a partition stalls after its queue was full.
/// `max.poll.interval.ms` bounds how long a revocation or a takeover may block, not how long a run may take.
pub(super) fn member(settings: &EngineSettings, partitions: usize) -> ClientConfig {
    let tuning = &settings.tuning;
    // Half of it waits, and half may come at once.
    let share = tuning.fetched_bytes / partitions.max(1);
    let waits = (share / 2).clamp(LEAST_FETCHED, MOST_FETCHED);
    let at_once = waits.min(MOST_AT_ONCE);
    let mut config = client::config(&settings.kafka, &format!("{}-member", settings.group));
    config
        .set("group.id", &settings.group)
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", tuning.session_timeout_ms.to_string())
        .set("heartbeat.interval.ms", tuning.heartbeat_interval_ms.to_string())
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "50")
        .set("fetch.min.bytes", "1")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.min.messages", "500")
        .set("queued.max.messages.kbytes", (waits >> 10).to_string())
        .set("fetch.message.max.bytes", at_once.to_string())
        .set("max.poll.interval.ms", "300000");
    if let Some(instance) = &tuning.instance {
        config.set("group.instance.id", instance);
    }
    config
}

/// A handle that only reads committed offsets and never subscribes.
pub(super) fn reader(
    settings: &EngineSettings,
    group: &str,
    isolation: &'static str,
) -> Result<BaseConsumer<Named>, EngineError> {
    let client = if isolation == "read_committed" {
        "stable-reader"
    } else {
        "unstable-reader"
    };
    let mut config = client::config(&settings.kafka, &format!("{}-{client}", settings.group));
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("isolation.level", isolation);
    BaseConsumer::from_config_and_context(&config, Named(client.to_owned()))
        .map_err(|source| EngineError::Client { client, source })
}

/// Reads what is committed of a topic, from an offset that it is told.
///
/// `client.rack`: without one only leaders are asked, and no replica that is behind.
pub(super) fn looker(settings: &EngineSettings) -> Result<BaseConsumer<Named>, EngineError> {
    let client = "result-reader";
    let mut config = client::config(&settings.kafka, &format!("{}-{client}", settings.group));
    config
        .set("group.id", format!("{}.look", settings.group))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "20")
        .set("fetch.error.backoff.ms", "20")
        .set("client.rack", "");
    BaseConsumer::from_config_and_context(&config, Named(client.to_owned()))
        .map_err(|source| EngineError::Client { client, source })
}

/// The transactional producer of `transactional_id`: this process's own, or one whose writer is to be fenced.
///
/// `retry.backoff.ms`: with its default a transaction that follows another closely takes 100 ms.
/// `message.max.bytes`: the topic's own limit decides, not the client's.
/// `log.connection.close`: that a connection was closed decides whether the producer may be used again.
/// `linger.ms`: what is produced is flushed ([`crate::flusher`]), so that only batches are made by waiting.
/// `delivery.report.only.error`: not, because where an output was written is what is looked at after trouble ([`super::torn`]).
pub(super) fn producer(
    settings: &EngineSettings,
    transactional_id: &str,
    events: ProducerEvents,
) -> Result<ThreadedProducer<ProducerEvents>, EngineError> {
    let transaction = settings.tuning.transaction_timeout_ms.max(1_000);
    let message = transaction * 9 / 10;
    let mut config = client::config(&settings.kafka, &format!("{}-producer", settings.group));
    if !settings.kafka.client.contains_key("compression.type") {
        config.set("compression.type", "lz4");
    }
    config
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", transaction.to_string())
        .set("message.timeout.ms", message.to_string())
        .set("topic.metadata.propagation.max.ms", (message / 4).to_string())
        .set("linger.ms", "50")
        .set("retry.backoff.ms", "5")
        .set("message.max.bytes", "1000000000")
        .set("log.connection.close", "true")
        .set("delivery.report.only.error", "false")
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "524288")
        .set("partitioner", "murmur2_random")
        .set("statistics.interval.ms", "1000");
    crash::watch(&mut config);
    ThreadedProducer::from_config_and_context(&config, events).map_err(|source| EngineError::Client {
        client: "transactional-producer",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KafkaSettings;

    #[test]
    fn what_is_fetched_ahead_is_bounded_whatever_the_number_of_partitions() {
        let kafka = KafkaSettings {
            bootstrap_servers: String::new(),
            prefix: String::new(),
            client: std::collections::BTreeMap::new(),
        };
        let settings = EngineSettings::new(kafka, "group", Vec::new(), Vec::new());
        for partitions in [1, 12, 100, 1_000] {
            let member = member(&settings, partitions);
            let number = |name: &str| member.get(name).unwrap().parse::<usize>().unwrap();
            let each = (number("queued.max.messages.kbytes") << 10) + number("fetch.message.max.bytes");
            assert!(
                each * partitions <= settings.tuning.fetched_bytes,
                "{each} of each of {partitions}"
            );
        }
    }
}
