use crate::ErrorClass;
use std::time::Duration;

/// Longer provider messages are cut: some echo the whole request.
const MAX_MESSAGE: usize = 500;

/// Why one attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: ErrorClass,
    pub(crate) message: String,
    /// How long the provider asked to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// The provider's word on whether another attempt makes sense, which wins over the class.
    pub(crate) should_retry: Option<bool>,
}

impl Failure {
    pub(crate) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.len() > MAX_MESSAGE {
            let end = (0..=MAX_MESSAGE)
                .rev()
                .find(|&i| message.is_char_boundary(i))
                .unwrap_or(0);
            message.truncate(end);
            message.push('…');
        }
        Self {
            class,
            message,
            retry_after: None,
            should_retry: None,
        }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Malformed, message)
    }
}
