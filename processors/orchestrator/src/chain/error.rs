//! Why a step failed.

use models::ModelError;
use retrieval::RetrievalError;

use super::template::TemplateError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// An option that a template gives has a value that it must not have.
    #[error("{message}")]
    Option { message: String },
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("the model's answer is not what `output.schema` asks for: {message}")]
    Answer { message: String },
    #[error("the retrieval failed")]
    Retrieval(#[source] RetrievalError),
    /// The chain was checked against other indexes than it runs with.
    #[error("no index `{index}` is configured")]
    UnknownIndex { index: String },
    #[error("the deadline passed")]
    DeadlineExceeded,
    #[error("the run was cancelled")]
    Cancelled,
}

impl StepError {
    /// One word that programs may branch on.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Template(_) => "template",
            Self::Option { .. } => "invalid_option",
            Self::Model(error) => error.class.as_str(),
            Self::Answer { .. } => "invalid_answer",
            Self::Retrieval(error) if error.is_transient() => "retrieval_unavailable",
            Self::Retrieval(_) => "retrieval",
            Self::UnknownIndex { .. } => "unknown_index",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
        }
    }

    /// The error with its causes, in one line.
    pub(crate) fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        message
    }
}
