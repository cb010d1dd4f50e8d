use super::Failure;

/// What became of one attempt, as far as bytes can tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply<T> {
    pub(crate) outcome: Result<T, Failure>,
    /// As the provider counted them.
    pub(crate) tokens: Option<Tokens>,
    /// What the model said, also when the outcome is a failure: it is paid for and belongs in the audit.
    pub(crate) text: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tokens {
    pub(crate) input: i64,
    pub(crate) output: i64,
}

impl<T> Reply<T> {
    pub(crate) fn failed(failure: Failure) -> Self {
        Self {
            outcome: Err(failure),
            tokens: None,
            text: None,
        }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Reply<U> {
        Reply {
            outcome: self.outcome.map(f),
            tokens: self.tokens,
            text: self.text,
        }
    }
}

/// Tokens of a text where the provider did not count them: four bytes to a token, which holds for English with the
/// tokenizers of today and is marked `estimated` wherever it is used.
pub(crate) fn estimate(text: &str) -> i64 {
    tokens_of(text.len())
}

pub(crate) fn tokens_of(bytes: usize) -> i64 {
    i64::try_from(bytes.div_ceil(4)).unwrap_or(i64::MAX)
}
