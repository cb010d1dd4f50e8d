use std::{error::Error as _, time::Duration};

use crate::{NotAllowed, resolver::Inside};

/// Why a call gave nothing. Messages may quote the other side, so they belong in results, not in logs.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// What a template gave cannot be sent.
    #[error("{message}")]
    Option { message: String },
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    #[error("`{host}` redirects to where it must not: {to}")]
    Redirect { host: String, to: NotAllowed },
    /// It is listed, without `private: true`.
    #[error("`{host}` leads to this machine or into a private network, which the list of hosts does not allow for it")]
    Inside { host: String },
    #[error("`{host}` redirects more than {most} times")]
    Redirects { host: String, most: usize },
    #[error("the answer of `{host}` is larger than `max_bytes`, {most}")]
    TooLarge { host: String, most: usize },
    #[error("`{host}` answered {status}: {message}")]
    Status {
        host: String,
        status: u16,
        message: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    #[error("the answer of `{host}` {what}")]
    Malformed { host: String, what: String },
    #[error("`{host}` cannot be reached in time")]
    Timeout { host: String },
    #[error("no answer of `{host}`")]
    Transport {
        host: String,
        #[source]
        source: reqwest::Error,
    },
}

impl EgressError {
    pub(crate) fn transport(host: String, error: reqwest::Error) -> Self {
        let mut cause = error.source();
        while let Some(inner) = cause {
            if inner.is::<Inside>() {
                return Self::Inside { host };
            }
            cause = inner.source();
        }
        if error.is_timeout() {
            return Self::Timeout { host };
        }
        Self::Transport {
            host,
            // It may hold what the input says.
            source: error.without_url(),
        }
    }

    /// One word that programs may branch on; the words are those of model calls where they mean the same.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Option { .. } => "invalid_option",
            Self::NotAllowed(_) | Self::Redirect { .. } | Self::Inside { .. } => "blocked",
            Self::Redirects { .. } | Self::TooLarge { .. } => "too_many",
            Self::Status { status, .. } => match status {
                300..=399 | 404 | 410 => "not_found",
                401 | 403 | 407 => "auth",
                402 => "quota_exhausted",
                408 => "timeout",
                429 => "rate_limited",
                503 | 529 => "overloaded",
                500..=599 => "server",
                _ => "bad_request",
            },
            Self::Malformed { .. } => "malformed",
            Self::Timeout { .. } => "timeout",
            Self::Transport { .. } => "transport",
        }
    }

    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Option { .. }
            | Self::NotAllowed(_)
            | Self::Redirect { .. }
            | Self::Inside { .. }
            | Self::Redirects { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Timeout { .. }
            | Self::Transport { .. } => None,
        }
    }
}
