//! Why a step failed.

use std::{error::Error, fmt, time::Duration};

use egress::EgressError;
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
    #[error("the output is not what `output.schema` says: {message}")]
    Output { message: String },
    /// The owner of a topic takes other values.
    #[error("{message}")]
    Emit { message: String },
    #[error("the retrieval failed")]
    Retrieval(#[source] RetrievalError),
    #[error(transparent)]
    Http(#[from] EgressError),
    #[error("the answer is not what `response.schema` asks for: {message}")]
    Response { message: String },
    /// The chain was checked against other indexes than it runs with.
    #[error("no index `{index}` is configured")]
    UnknownIndex { index: String },
    #[error("the text cannot be parsed: {message}")]
    Parse { message: String },
    /// By `redact` with `strategy: block`. What was found is not in the message.
    #[error("the text holds what must not go on: {kind}")]
    Blocked { kind: &'static str },
    /// More than the file allows for; that is how its worst case is known beforehand.
    #[error("{message}")]
    TooMany { message: String },
    #[error("the step took longer than its `timeout` of {} ms", .after.as_millis())]
    Timeout { after: Duration },
    #[error("the deadline passed")]
    DeadlineExceeded,
    #[error("the run was cancelled")]
    Cancelled,
    /// A mistake in this program; what was paid before it stays in the bill.
    #[error("the step panicked: this is a bug, and the log says where")]
    Panicked,
    /// The run goes on when somebody has decided.
    #[error("the step waits for a decision")]
    Interrupted,
    /// A test of a chain file reached outside.
    #[error("the test has no mock of step `{step}`, which calls something outside")]
    NotMocked { step: String },
    /// A test of a chain file asks for it.
    #[error("{message}")]
    Mocked { class: String, message: String },
    /// Of a step in a block of this one.
    #[error(transparent)]
    Inside(Box<Failed>),
}

/// A step that failed, by its name in records: `compare.a.draft`.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) step: String,
    pub(crate) error: StepError,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl Failed {
    /// The innermost step is the one that failed.
    pub(crate) fn of(step: &str, error: StepError) -> Self {
        match error {
            StepError::Inside(failed) => *failed,
            error => Self {
                step: step.to_owned(),
                error,
            },
        }
    }
}

/// Classes that a step can fail with, as [`StepError::class`] gives them, besides those of models.
const CLASSES: [&str; 12] = [
    "template",
    "invalid_option",
    "invalid_answer",
    "invalid_output",
    "retrieval",
    "retrieval_unavailable",
    "unknown_index",
    "parse",
    "blocked",
    "too_many",
    "timeout",
    "deadline_exceeded",
];

/// What `on:` of a `retry` or `fallback` may name. A cancelled run is not in it: nobody wants what comes of it.
pub(crate) fn classes() -> Vec<&'static str> {
    let models = models::ErrorClass::ALL.iter().map(|class| class.as_str());
    let models = models.filter(|class| *class != "cancelled" && !CLASSES.contains(class));
    CLASSES.into_iter().chain(models).collect()
}

impl StepError {
    /// One word that programs may branch on.
    pub(crate) fn class(&self) -> &str {
        match self {
            Self::Template(_) => "template",
            Self::Option { .. } => "invalid_option",
            Self::Model(error) => error.class.as_str(),
            Self::Answer { .. } => "invalid_answer",
            Self::Output { .. } | Self::Emit { .. } => "invalid_output",
            Self::Retrieval(RetrievalError::TooManyTexts { .. }) | Self::TooMany { .. } => "too_many",
            Self::Retrieval(error) if error.is_transient() => "retrieval_unavailable",
            Self::Retrieval(_) => "retrieval",
            Self::Http(error) => error.class(),
            Self::Response { .. } => "invalid_answer",
            Self::UnknownIndex { .. } => "unknown_index",
            Self::Parse { .. } => "parse",
            Self::Blocked { .. } => "blocked",
            Self::Timeout { .. } => "timeout",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::Panicked => "internal",
            Self::Interrupted => "interrupted",
            Self::NotMocked { .. } => "not_mocked",
            Self::Mocked { class, .. } => class,
            Self::Inside(failed) => failed.error.class(),
        }
    }

    /// Whether nothing went wrong: a step waits for a person.
    pub(crate) fn is_interruption(&self) -> bool {
        match self {
            Self::Interrupted => true,
            Self::Inside(failed) => failed.error.is_interruption(),
            _ => false,
        }
    }

    /// How long what was called asked to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Model(error) => error.retry_after,
            Self::Http(error) => error.retry_after(),
            Self::Inside(failed) => failed.error.retry_after(),
            _ => None,
        }
    }

    /// The error with its causes, in one line.
    pub(crate) fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = Error::source(self);
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        message
    }
}
