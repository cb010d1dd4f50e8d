//! The transactional producer: one transaction from begin to commit, and what an error in it means.

use std::time::{Duration, Instant};

use rdkafka::{
    Offset, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ThreadedProducer},
};

use super::{
    EngineError, EngineSettings, clients,
    core::{Batch, Fault, Outcome},
    events::ProducerEvents,
};
use crate::{Output, native};

pub(super) struct TransactionalProducer {
    producer: ThreadedProducer<ProducerEvents>,
    group: String,
    timeout: Duration,
}

/// How a transaction ended, and the words for it.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) reason: Option<String>,
    /// The producer must not be used again.
    pub(super) spent: bool,
}

impl TransactionalProducer {
    /// Initialises `transactional_id`: whoever used it before is fenced, and what it left open is aborted.
    pub(super) fn open(settings: &EngineSettings, transactional_id: &str) -> Result<Self, EngineError> {
        let producer = clients::producer(settings, transactional_id)?;
        let timeout = settings.tuning.transaction_timeout();
        let until = Instant::now() + timeout.max(Duration::from_secs(10));
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match producer.init_transactions(left.max(Duration::from_millis(100))) {
                Ok(()) => break,
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < until => {}
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
            producer,
            group: settings.group.clone(),
            timeout,
        })
    }

    pub(super) fn retries(&self) -> u64 {
        self.events().retries()
    }

    /// begin → produce all → send offsets → commit. It spans milliseconds: no run is ever waited for in it.
    pub(super) fn transact(&self, batch: &Batch) -> Ended {
        self.events().reset();
        match self.attempt(batch) {
            Ok(()) => Ended {
                outcome: Outcome::Committed,
                reason: None,
                spent: self.events().had_trouble(),
            },
            Err(failure) => self.end(failure),
        }
    }

    fn attempt(&self, batch: &Batch) -> Result<(), Failure> {
        let offsets = offsets(batch).map_err(|error| Failure::wrapper(&error))?;
        self.producer
            .begin_transaction()
            .map_err(|error| Failure::wrapper(&error))?;
        for output in batch.outputs() {
            self.send(output)?;
        }
        native::send_offsets(
            &self.producer,
            &offsets,
            &self.group,
            Some(&batch.membership),
            self.timeout,
        )
        .map_err(|error| Failure::native(&error))?;
        self.commit()
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

    fn send(&self, output: &Output) -> Result<(), Failure> {
        let until = Instant::now() + self.timeout;
        loop {
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&output.topic).headers(headers(output));
            record.key = output.key.as_deref();
            record.payload = output.value.as_deref();
            record.partition = output.partition;
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, _)) if error.rdkafka_error_code() == Some(Code::QueueFull) && Instant::now() < until => {
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => {
                    return Err(Failure {
                        refused: Some(output.topic.clone()),
                        ..Failure::wrapper(&error)
                    });
                }
            }
        }
    }

    fn commit(&self) -> Result<(), Failure> {
        let until = Instant::now() + self.timeout;
        loop {
            match native::commit_transaction(&self.producer) {
                Ok(()) => return Ok(()),
                Err(error) if error.retriable && Instant::now() < until => {}
                Err(error) => return Err(Failure::native(&error)),
            }
        }
    }

    fn end(&self, mut failure: Failure) -> Ended {
        if let Some(refused) = self.events().refused() {
            (failure.code, failure.refused) = (refused.code, Some(refused.topic));
        }
        let kind = failure.kind();
        let reason = Some(failure.words());
        // Certain it is only if the abort went through as well; else the committed state is asked.
        let is_aborted = kind != Kind::Lost && !failure.fatal && self.producer.abort_transaction(self.timeout).is_ok();
        let had_trouble = self.events().had_trouble();
        let fault = match kind {
            Kind::Output(class) if is_aborted => Fault::Output {
                class: class.to_owned(),
                message: failure.words(),
            },
            Kind::Membership if is_aborted => Fault::Membership,
            Kind::Passing if is_aborted => Fault::Passing,
            Kind::Output(_) | Kind::Membership | Kind::Passing | Kind::Lost => {
                return Ended {
                    outcome: Outcome::Unknown,
                    reason,
                    spent: true,
                };
            }
        };
        Ended {
            outcome: Outcome::Aborted(fault),
            reason,
            spent: had_trouble,
        }
    }

    fn events(&self) -> &ProducerEvents {
        self.producer.client().context()
    }
}

struct Failure {
    code: Code,
    fatal: bool,
    message: String,
    /// The topic that did not take an output.
    refused: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One of the outputs cannot be written, whoever tries.
    Output(&'static str),
    /// The coordinator does not take this generation or member.
    Membership,
    /// What came of the transaction is not known, or the producer is fenced or broken.
    Lost,
    Passing,
}

impl Failure {
    fn native(error: &native::TransactionError) -> Self {
        Self {
            code: error.code,
            fatal: error.fatal,
            message: error.to_string(),
            refused: None,
        }
    }

    fn wrapper(error: &KafkaError) -> Self {
        let fatal = matches!(error, KafkaError::Transaction(error) if error.is_fatal());
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        Self {
            code,
            fatal,
            message: error.to_string(),
            refused: None,
        }
    }

    fn words(&self) -> String {
        match &self.refused {
            Some(topic) => format!("{topic} does not take the output: {:?}", self.code),
            None => self.message.clone(),
        }
    }

    fn kind(&self) -> Kind {
        match self.code {
            Code::MessageSizeTooLarge | Code::InvalidMessageSize => Kind::Output("output_too_large"),
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::InvalidTopic
                if self.refused.is_some() =>
            {
                Kind::Output("output_topic_unknown")
            }
            Code::TopicAuthorizationFailed => Kind::Output("output_not_authorized"),
            Code::InvalidRecord | Code::PolicyViolation if self.refused.is_some() => Kind::Output("output_refused"),
            Code::IllegalGeneration | Code::UnknownMemberId | Code::FencedInstanceId | Code::RebalanceInProgress => {
                Kind::Membership
            }
            Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::MessageTimedOut
            | Code::RequestTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::NetworkException
            | Code::Fatal
            | Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::InvalidProducerIdMapping
            | Code::OutOfOrderSequenceNumber
            | Code::State => Kind::Lost,
            _ => Kind::Passing,
        }
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

fn headers(output: &Output) -> OwnedHeaders {
    output
        .headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value })
        })
}
