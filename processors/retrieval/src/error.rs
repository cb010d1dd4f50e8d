use thiserror::Error;

/// Which step of a call to Pinecone failed. `call` is the call's name (`query`, `upsert`, `create index`...).
#[derive(Debug, Error)]
pub enum RetrievalError {
    #[error("cannot set up the HTTP client for Pinecone")]
    Client(#[source] reqwest::Error),
    #[error("the Pinecone API key holds characters that no HTTP header takes: check PINECONE_API_KEY")]
    ApiKey(#[source] reqwest::header::InvalidHeaderValue),
    #[error("{call}: {host:?} is not a URL: check `control_url`, or the host that Pinecone returned")]
    Host {
        call: &'static str,
        host: String,
        #[source]
        source: url::ParseError,
    },
    #[error("{call}: the request cannot be written as JSON")]
    Encode {
        call: &'static str,
        #[source]
        source: serde_json::Error,
    },
    /// The last attempt did not get an answer; nothing is known about what it did. Every call here can be repeated.
    #[error("{call}: no answer from {host} after {attempts} attempts")]
    Transport {
        call: &'static str,
        host: String,
        attempts: u32,
        #[source]
        source: reqwest::Error,
    },
    /// Status 404: no such index, or no such namespace.
    #[error("{call}: not found: {message}")]
    NotFound { call: &'static str, message: String },
    /// Status 409 of create: the index is there already.
    #[error("{call}: {message}")]
    AlreadyExists { call: &'static str, message: String },
    /// Any other status. `message` is the server's own.
    #[error("{call}: {host} answered {status} after {attempts} attempts: {message}")]
    Refused {
        call: &'static str,
        host: String,
        status: u16,
        attempts: u32,
        message: String,
    },
    #[error("{call}: {host} sent an answer that cannot be read")]
    Decode {
        call: &'static str,
        host: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("vector {id:?} takes {bytes} bytes as JSON, Pinecone takes at most {limit} a request: index shorter texts")]
    TooLarge { id: String, bytes: usize, limit: usize },
    #[error("{count} texts are to be ranked, and one call takes {limit} at most: rank fewer")]
    TooManyTexts { count: usize, limit: usize },
    #[error("index {index:?} was not ready within {seconds} s of its creation")]
    NotReady { index: String, seconds: u64 },
}

impl RetrievalError {
    /// Whether the same call may succeed later without anything being mended.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::NotReady { .. } => true,
            Self::Refused { status, .. } => crate::transport::RETRIED.contains(status),
            Self::Client(_)
            | Self::ApiKey(_)
            | Self::Host { .. }
            | Self::Encode { .. }
            | Self::NotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::Decode { .. }
            | Self::TooLarge { .. }
            | Self::TooManyTexts { .. } => false,
        }
    }
}
