use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

/// Where a server of this dialect is, and how it knows us.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) chat: Url,
    pub(crate) embeddings: Url,
    /// Marked sensitive, so that it is never printed.
    pub(crate) authorization: Option<(HeaderName, HeaderValue)>,
    pub(crate) cap: TokenCap,
}

/// The field that caps an answer. OpenAI's reasoning models refuse the old name, other servers ignore the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenCap {
    MaxTokens,
    MaxCompletionTokens,
}

impl Endpoint {
    /// `base` as users of the dialect write it: with the version (`…/v1`), with or without a slash at the end. A query
    /// (Azure's `api-version`) is kept.
    pub(crate) fn new(base: &Url, authorization: Option<(HeaderName, HeaderValue)>, cap: TokenCap) -> Self {
        let route = |route: &str| {
            let mut url = base.clone();
            url.set_path(&format!("{}/{route}", base.path().trim_end_matches('/')));
            url
        };
        Self {
            chat: route("chat/completions"),
            embeddings: route("embeddings"),
            authorization,
            cap,
        }
    }
}

impl TokenCap {
    pub(crate) fn of(base: &Url) -> Self {
        match base.host_str() {
            Some("api.openai.com") => Self::MaxCompletionTokens,
            Some(_) | None => Self::MaxTokens,
        }
    }

    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}
