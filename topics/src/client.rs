//! What every librdkafka client of this crate has in common: its configuration, and where its log lines go.

use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::KafkaSettings;

/// The configuration every client starts from. The user's `client:` entries are in it, so what a client must have for
/// its guarantees is set after this and wins.
///
/// `reconnect.backoff.max.ms`: with its default of 10 s a broker that restarted stands unused for as long, and callers with
/// it. `topic.metadata.refresh.interval.ms`: partitions that are added are found by it, and its default is five minutes.
/// `log.connection.close`: that an idle connection was closed is no news, and one that cannot be opened again says so.
pub(crate) fn config(kafka: &KafkaSettings, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("client.id", client_id)
        .set("log.connection.close", "false")
        .set("reconnect.backoff.max.ms", "1000")
        .set("topic.metadata.refresh.interval.ms", "20000");
    for (name, value) in &kafka.client {
        config.set(name, value);
    }
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// Sends librdkafka's lines to `tracing`. Its `Error` lines are about connections that it opens again by itself, so
/// they are warnings here: an error is what a caller gets.
pub(crate) fn log(client: &str, level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", client, facility, "{message}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "librdkafka", client, facility, "{message}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", client, facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", client, facility, "{message}"),
    }
}

/// A global error of a client: it goes on by itself, unless its owner learns otherwise from a call.
///
/// What concerns connections is among the log lines already, and counted there ("identical errors suppressed"). Here it
/// comes for every attempt, and twice from a producer: hundreds of lines for one restart of a broker.
pub(crate) fn log_error(client: &str, error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::PartitionEOF) => {}
        Some(
            RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Resolve,
        ) => tracing::debug!(target: "librdkafka", client, %error, "{reason}"),
        _ => tracing::warn!(target: "librdkafka", client, %error, "{reason}"),
    }
}

/// For consumers that are told where to read and never commit; on top of [`config`].
///
/// `fetch.queue.backoff.ms`: its default of a second stalls a partition whose queue was full. `queued.*` count per
/// partition.
pub(crate) fn reader(kafka: &KafkaSettings, client_id: &str, group: &str) -> ClientConfig {
    let mut config = config(kafka, client_id);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.min.messages", "1000")
        .set("queued.max.messages.kbytes", "2048");
    config
}

/// The context of clients that need nothing but a name in their log lines.
pub(crate) struct Named(pub String);

impl ConsumerContext for Named {}

impl ClientContext for Named {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(&self.0, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&self.0, &error, reason);
    }
}
