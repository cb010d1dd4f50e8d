//! What an error in a transaction means: whose it is, and what is certain after it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::native;

/// A call that failed.
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) fatal: bool,
    pub(super) message: String,
    /// The topic that did not take an output.
    pub(super) refused: Option<String>,
    /// It came when the transaction was to be committed: the request for that may have left.
    pub(super) ending: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of the outputs cannot be written, whoever tries.
    Output(&'static str),
    /// The coordinator does not take this generation or member.
    Membership,
    /// What came of the transaction is not known, or the producer is fenced or broken.
    Lost,
    Passing,
}

impl Failure {
    pub(super) fn native(error: &native::TransactionError) -> Self {
        Self {
            code: error.code,
            fatal: error.fatal,
            message: error.to_string(),
            refused: None,
            ending: false,
        }
    }

    /// A connection failed during the transaction.
    pub(super) fn trouble() -> Self {
        Self {
            code: Code::NetworkException,
            fatal: false,
            message: "a connection failed during the transaction".to_owned(),
            refused: None,
            ending: false,
        }
    }

    pub(super) fn wrapper(error: &KafkaError) -> Self {
        let fatal = matches!(error, KafkaError::Transaction(error) if error.is_fatal());
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        Self {
            code,
            fatal,
            message: error.to_string(),
            refused: None,
            ending: false,
        }
    }

    pub(super) fn words(&self) -> String {
        match &self.refused {
            Some(topic) => format!("{topic} does not take the output: {:?}", self.code),
            // Heard from the transaction, before the output's own report came.
            None if matches!(self.kind(), Kind::Output(_)) => {
                format!("a topic does not take the output: {}", self.message)
            }
            None => self.message.clone(),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.code {
            Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge => {
                Kind::Output("output_too_large")
            }
            // Without a topic it is about the offsets: the right to read the request topic is gone, and may come back.
            Code::TopicAuthorizationFailed if self.refused.is_some() => Kind::Output("output_not_authorized"),
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::InvalidTopic
                if self.refused.is_some() =>
            {
                Kind::Output("output_topic_unknown")
            }
            Code::InvalidRecord
            | Code::InvalidMessage
            | Code::InvalidTimestamp
            | Code::PolicyViolation
            | Code::UnsupportedForMessageFormat
            | Code::UnsupportedCompressionType
                if self.refused.is_some() =>
            {
                Kind::Output("output_refused")
            }
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
            | Code::UnknownProducerId
            | Code::State => Kind::Lost,
            // librdkafka may abort what was committed in truth. Only if it could not write an output has it not asked.
            _ if self.ending && self.refused.is_none() => Kind::Lost,
            _ => Kind::Passing,
        }
    }
}
