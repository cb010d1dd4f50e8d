//! What a transactional producer hears besides the answers to its calls.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
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
/// The facilities of log lines about closed connections and requests without an answer.
const TROUBLE: [&str; 2] = ["FAIL", "REQTMOUT"];

/// Of a record that is no output.
pub(super) const NO_RESULT: usize = usize::MAX;

pub(super) struct ProducerEvents(pub(super) Arc<Heard>);

#[derive(Default)]
pub(super) struct Heard {
    refused: Mutex<Vec<Refused>>,
    written: Mutex<Vec<Written>>,
    trouble: AtomicBool,
    retries: AtomicU64,
}

/// An output that did not get into its topic.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) code: RDKafkaErrorCode,
    pub(super) topic: String,
    pub(super) partition: i32,
    /// Whose output it is, by the result's place in the batch; `None`: nothing was produced yet.
    pub(super) result: Option<usize>,
}

/// An output by its result's place in the batch and its own in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) result: usize,
    pub(super) output: usize,
}

/// Where an output was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) place: Place,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl Place {
    pub(super) fn opaque(self) -> usize {
        self.result << 24 | self.output & 0xff_ffff
    }

    fn of(opaque: usize) -> Option<Self> {
        (opaque != NO_RESULT).then_some(Self {
            result: opaque >> 24,
            output: opaque & 0xff_ffff,
        })
    }
}

impl Heard {
    /// A transaction begins: what came of outputs before does not concern it.
    pub(super) fn forget_outputs(&self) {
        self.lock().clear();
        self.take_written();
    }

    pub(super) fn take_written(&self) -> Vec<Written> {
        std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wrote(&self, written: Written) {
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(written);
    }

    pub(super) fn refuse(&self, refused: Refused) {
        self.lock().push(refused);
    }

    pub(super) fn refused(&self) -> Vec<Refused> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There was no transaction yet.
    pub(super) fn forget_trouble(&self) {
        self.trouble.store(false, Ordering::Release);
    }

    /// Whether a connection failed or a request got no answer in time since it was initialised. It is never forgotten: the
    /// word of it may come when the transaction is over already.
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
        if facility == "ADDPARTS" {
            unauthorized(message)
                .into_iter()
                .for_each(|refused| self.0.refuse(refused));
        }
        // librdkafka makes an event of an error only when a connection cannot be opened. That one was closed, or a request
        // timed out, is told by its log alone, in the thread where it happened and before anything is repeated.
        if TROUBLE.contains(&facility) {
            self.0.trouble.store(true, Ordering::Release);
        }
        let level = match (level, facility) {
            (RDKafkaLogLevel::Info, "FAIL") => RDKafkaLogLevel::Debug,
            (level, _) => level,
        };
        client::log(CLIENT, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.trouble.store(true, Ordering::Release);
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
            self.0.retries.store(retries, Ordering::Release);
        }
    }
}

impl ProducerContext for ProducerEvents {
    /// A [`Place`], or [`NO_RESULT`].
    type DeliveryOpaque = usize;

    fn delivery(&self, delivery: &DeliveryResult<'_>, opaque: usize) {
        let place = Place::of(opaque);
        let (error, message) = match (delivery, place) {
            // One that was written twice and taken once may come without its offset.
            (Ok(message), Some(place)) if message.offset() >= 0 => {
                return self.0.wrote(Written {
                    place,
                    partition: message.partition(),
                    offset: message.offset(),
                });
            }
            (Ok(_), _) => return,
            (Err((error, message)), _) => (error, message),
        };
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        match code {
            // What an abort throws away is not refused by anybody, and what is good beside a record that is not is not either.
            RDKafkaErrorCode::PurgeQueue
            | RDKafkaErrorCode::PurgeInflight
            | RDKafkaErrorCode::InvalidDifferentRecord => {}
            code => self.0.refuse(Refused {
                code,
                topic: message.topic().to_owned(),
                partition: message.partition(),
                result: place.map(|place| place.result),
            }),
        }
    }
}

/// The topic that a transaction may not write to. librdkafka tells which one by its log alone: nothing was produced yet.
fn unauthorized(message: &str) -> Option<Refused> {
    let (_, named) = message.split_once("Failed to add partition \"")?;
    let (topic, why) = named.split_once('"')?;
    why.ends_with("Topic authorization failed").then(|| Refused {
        code: RDKafkaErrorCode::TopicAuthorizationFailed,
        topic: topic.to_owned(),
        partition: -1,
        result: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_that_may_not_be_written_to_is_read_from_the_log() {
        let line =
            |why| format!(r#"127.0.0.1:9092/1: Failed to add partition "theirs" [2] to transaction: Broker: {why}"#);
        let refused = unauthorized(&line("Topic authorization failed")).expect("it is refused");
        assert_eq!(refused.topic, "theirs");
        assert!(unauthorized(&line("Operation not attempted")).is_none());
        assert!(unauthorized("").is_none());
    }
}
