//! One transaction from begin to commit as librdkafka's calls, which block, and what an error in it means.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode as Code},
    producer::{BaseRecord, Producer as _, ThreadedProducer},
};

use super::{
    EngineSettings, blame, clients,
    core::{Batch, Fault, Outcome},
    crash::{self, Point},
    error::EngineError,
    events::{Heard, Place, ProducerEvents, Refused},
    failure::{Failure, Kind},
};
use crate::{Output, flusher::Flusher, native};

/// Before a call is repeated that said it may be.
const BETWEEN_CALLS: Duration = Duration::from_millis(10);
/// Longer than [`clients`] lets a record linger: after it nothing lingers any more.
const FLUSHED_WITHIN: Duration = Duration::from_millis(500);

pub(super) struct Transactions {
    pub(super) producer: Arc<ThreadedProducer<ProducerEvents>>,
    flusher: Flusher,
    pub(super) group: String,
    /// The topics of Millrace's own.
    own: Vec<String>,
    pub(super) timeout: Duration,
}

/// How a transaction ended, and the words for it.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) reason: Option<String>,
}

impl Transactions {
    /// Initialises `transactional_id`: whoever used it before is fenced, and what it left open is aborted.
    pub(super) fn open(
        settings: &EngineSettings,
        transactional_id: &str,
        heard: Arc<Heard>,
        within: Duration,
    ) -> Result<Self, EngineError> {
        let producer = Arc::new(clients::producer(settings, transactional_id, ProducerEvents(heard))?);
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match producer.init_transactions(left.max(Duration::from_millis(100))) {
                Ok(()) => break,
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < until => {
                    thread::park_timeout(BETWEEN_CALLS);
                }
                Err(source) => {
                    let transactional_id = transactional_id.to_owned();
                    return Err(EngineError::Producer {
                        transactional_id,
                        source,
                    });
                }
            }
        }
        Ok(Self {
            flusher: Flusher::start(&producer, FLUSHED_WITHIN),
            producer,
            group: settings.group.clone(),
            own: settings.outputs.clone(),
            timeout: settings.tuning.transaction_timeout(),
        })
    }

    /// begin → produce all → send offsets → commit. It spans milliseconds: no run is ever waited for in it.
    pub(super) fn transact(&self, batch: &Batch) -> Ended {
        self.heard().forget_outputs();
        match self.attempt(batch) {
            Ok(()) => Ended {
                outcome: Outcome::Committed,
                reason: None,
            },
            Err(failure) => self.end(batch, failure),
        }
    }

    fn attempt(&self, batch: &Batch) -> Result<(), Failure> {
        let offsets = offsets(batch).map_err(|error| Failure::wrapper(&error))?;
        self.producer
            .begin_transaction()
            .map_err(|error| Failure::wrapper(&error))?;
        crash::point(Point::Begun, || {});
        for (result, entry) in batch.entries().enumerate() {
            for (place, output) in entry.outputs.iter().enumerate() {
                self.send(Place { result, output: place }, output)?;
                crash::point(Point::Produced, || native::flush(&self.producer, self.timeout));
            }
        }
        // The round trip to the partitions' leaders runs beside those to the coordinator; the commit waits for both.
        self.flusher.flush();
        native::send_offsets(
            &self.producer,
            &offsets,
            &self.group,
            Some(&batch.membership),
            self.timeout,
        )
        .map_err(|error| Failure::native(&error))?;
        crash::point(Point::OffsetsSent, || {});
        if self.heard().had_trouble() {
            // The transaction before this one may have lost its markers, and those of this commit would stand in for a part
            // of them: offsets of one and results of the other. It is not begun, so both can be swept up.
            return Err(Failure::trouble());
        }
        self.commit()?;
        crash::point(Point::EndAnswered, || {});
        Ok(())
    }

    /// A transaction that carries nothing but this offset of a group without members.
    pub(super) fn transact_canary(&self, group: &str, offsets: &TopicPartitionList) -> Result<(), KafkaError> {
        self.producer.begin_transaction()?;
        let sent = native::send_offsets(&self.producer, offsets, group, None, self.timeout)
            .and_then(|()| native::commit_transaction(&self.producer));
        match sent {
            Ok(()) => Ok(()),
            Err(error) => {
                if error.abort {
                    self.producer.abort_transaction(self.timeout)?;
                }
                Err(KafkaError::ConsumerCommit(error.code))
            }
        }
    }

    fn send(&self, place: Place, output: &Output) -> Result<(), Failure> {
        let until = Instant::now() + self.timeout;
        loop {
            let mut record: BaseRecord<'_, [u8], [u8], usize> =
                BaseRecord::with_opaque_to(&output.topic, place.opaque());
            record.headers = native::headers::write(&output.headers);
            record.key = output.key.as_deref();
            record.payload = output.value.as_deref();
            record.partition = output.partition;
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, _)) if error.rdkafka_error_code() == Some(Code::QueueFull) && Instant::now() < until => {
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => {
                    let failure = Failure::wrapper(&error);
                    self.heard().refuse(Refused {
                        code: failure.code,
                        topic: output.topic.clone(),
                        partition: output.partition.unwrap_or(-1),
                        result: Some(place.result),
                    });
                    return Err(failure);
                }
            }
        }
    }

    fn commit(&self) -> Result<(), Failure> {
        let until = Instant::now() + self.timeout;
        loop {
            match native::commit_transaction(&self.producer) {
                Ok(()) => return Ok(()),
                Err(error) if error.retriable && Instant::now() < until => thread::park_timeout(BETWEEN_CALLS),
                Err(error) => {
                    return Err(Failure {
                        ending: true,
                        ..Failure::native(&error)
                    });
                }
            }
        }
    }

    fn end(&self, batch: &Batch, mut failure: Failure) -> Ended {
        let seems = failure.clone().with(&self.heard().refused()).kind();
        // Certain it is only if the abort went through as well; else the committed state is asked.
        let is_aborted = seems != Kind::Lost && !failure.fatal && self.producer.abort_transaction(self.timeout).is_ok();
        // The transaction's error may come before the record's own report; after the abort all of them are there.
        let refused = self.heard().refused();
        failure = failure.with(&refused);
        let refusals = blame::refusals(batch, &refused, &self.own, &failure);
        let reason = Some(
            refusals
                .first()
                .map_or_else(|| failure.message.clone(), |refusal| refusal.message.clone()),
        );
        let outcome = match failure.kind() {
            _ if !is_aborted => Outcome::Unknown,
            Kind::Output if !refusals.is_empty() => Outcome::Aborted(Fault::Outputs(refusals)),
            Kind::Membership => Outcome::Aborted(Fault::Membership),
            Kind::Output | Kind::Passing | Kind::Lost => Outcome::Aborted(Fault::Passing),
        };
        Ended { outcome, reason }
    }

    pub(super) fn forget_outputs(&self) {
        self.heard().forget_outputs();
    }

    /// Why an output did not get into its topic.
    pub(super) fn refused(&self) -> Option<Code> {
        self.heard().refused().first().map(|refused| refused.code)
    }

    fn heard(&self) -> &Heard {
        &self.producer.client().context().0
    }
}

fn offsets(batch: &Batch) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(batch.parts.len());
    for part in &batch.parts {
        let partition = &part.assignment.partition;
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element.set_offset(Offset::Offset(part.offset))?;
        element.set_metadata(&part.metadata);
    }
    Ok(list)
}
