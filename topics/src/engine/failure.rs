//! What an error in a transaction means: whose it is, and what is certain after it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::events::Refused;
use crate::native;

pub(super) const TOO_LARGE: &str = "output_too_large";
pub(super) const NOT_AUTHORIZED: &str = "output_not_authorized";
pub(super) const TOPIC_UNKNOWN: &str = "output_topic_unknown";

/// A call that failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) fatal: bool,
    pub(super) message: String,
    /// A topic did not take an output.
    pub(super) refused: bool,
    /// It came when the transaction was to be committed: the request for that may have left.
    pub(super) ending: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An output cannot be written, whoever tries.
    Output,
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
            refused: false,
            ending: false,
        }
    }

    /// A connection failed during the transaction.
    pub(super) fn trouble() -> Self {
        Self {
            code: Code::NetworkException,
            fatal: false,
            message: "a connection failed during the transaction".to_owned(),
            refused: false,
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
            refused: false,
            ending: false,
        }
    }

    /// What was refused says more than the transaction's own error.
    pub(super) fn with(mut self, refused: &[Refused]) -> Self {
        let telling = refused.iter().find(|refused| class(refused.code).is_some());
        if let Some(refused) = telling.or(refused.first()) {
            (self.code, self.refused) = (refused.code, true);
        }
        self
    }

    pub(super) fn kind(&self) -> Kind {
        match self.code {
            // Without a topic the other codes are about the offsets: the right to read the request topic is gone, say, and may
            // come back.
            code if class(code).is_some_and(|class| self.refused || class == TOO_LARGE) => Kind::Output,
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
            _ if self.ending && !self.refused => Kind::Lost,
            _ => Kind::Passing,
        }
    }
}

/// What it is called that a topic does not take an output, if the code says that.
pub(super) fn class(code: Code) -> Option<&'static str> {
    match code {
        Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge => Some(TOO_LARGE),
        Code::TopicAuthorizationFailed => Some(NOT_AUTHORIZED),
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::InvalidTopic => {
            Some(TOPIC_UNKNOWN)
        }
        Code::InvalidRecord
        | Code::InvalidMessage
        | Code::InvalidTimestamp
        | Code::PolicyViolation
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedCompressionType => Some("output_refused"),
        _ => None,
    }
}

/// Whether a topic that says so takes nothing at all. A partition that is not there says nothing of the others.
pub(super) fn is_of_topic(code: Code) -> bool {
    match code {
        Code::UnknownPartition => false,
        code => class(code).is_some_and(|class| class == NOT_AUTHORIZED || class == TOPIC_UNKNOWN),
    }
}
