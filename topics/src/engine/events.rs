//! What a transactional producer hears besides the answers to its calls.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::ProducerContext,
};
use serde::Deserialize;

use super::crash;
use crate::client;

const CLIENT: &str = "transactional-producer";

#[derive(Default)]
pub(super) struct ProducerEvents {
    refused: Mutex<Option<Refused>>,
    trouble: AtomicBool,
    retries: AtomicU64,
}

/// An output that did not get into its topic.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) code: RDKafkaErrorCode,
    pub(super) topic: String,
}

impl ProducerEvents {
    /// A transaction begins: what was heard before does not concern it.
    pub(super) fn reset(&self) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.trouble.store(false, Ordering::Release);
    }

    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A connection failed or a request got no answer in time. A commit that librdkafka then repeats by itself may meet
    /// a later transaction of the same producer (there is no KIP-890 part 2 in it): such a producer is not used again.
    pub(super) fn had_trouble(&self) -> bool {
        self.trouble.load(Ordering::Acquire)
    }

    /// Requests that had to be repeated so far; up to a second old.
    pub(super) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Acquire)
    }
}

impl ClientContext for ProducerEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crash::line(message);
        client::log(CLIENT, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.store(true, Ordering::Release);
        client::log_error(CLIENT, &error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        #[derive(Deserialize)]
        struct Statistics {
            brokers: std::collections::HashMap<String, Broker>,
        }
        #[derive(Deserialize)]
        struct Broker {
            txretries: u64,
        }
        if let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) {
            let retries = statistics.brokers.values().map(|broker| broker.txretries).sum();
            self.retries.store(retries, Ordering::Release);
        }
    }
}

impl ProducerContext for ProducerEvents {
    type DeliveryOpaque = ();

    fn delivery(&self, delivery: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = delivery else { return };
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        // What an abort throws away is not refused by anybody.
        if matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) {
            return;
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get_or_insert_with(|| Refused {
            code,
            topic: message.topic().to_owned(),
        });
    }
}
