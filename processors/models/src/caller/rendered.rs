use serde_json::Value;

use super::operation::{Operation, Texts};
use crate::config::Dialect;
use crate::{ChatRequest, Models};

/// What would be sent to a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    pub alias: String,
    pub provider: String,
    /// `None` for a model in this process.
    pub url: Option<String>,
    /// The body, to the byte; for a model in this process what it is given.
    pub body: Value,
    /// Tokens of prompt and answer at most, by estimate; `None` where tokens are not what is counted.
    pub tokens: Option<(i64, i64)>,
}

impl Models {
    /// `None` if the file has no such alias.
    #[must_use]
    pub fn render_chat(&self, alias: &str, request: &ChatRequest) -> Option<Rendered> {
        self.render(alias, request)
    }

    /// `None` if the file has no such alias.
    #[must_use]
    pub fn render_embed(&self, alias: &str, texts: &[String]) -> Option<Rendered> {
        self.render(alias, &Texts(texts))
    }

    fn render(&self, alias: &str, operation: &impl Operation) -> Option<Rendered> {
        let model = self.get(alias)?;
        let json = |text: &[u8]| serde_json::from_slice(text).unwrap_or_default();
        let (url, body) = match &model.provider.dialect {
            Dialect::OpenAi(endpoint) => {
                let (url, body) = operation.encode(model, endpoint);
                (Some(url.to_string()), json(&body))
            }
            Dialect::Local => (None, json(operation.prompt().as_bytes())),
        };
        let tokens = operation.estimate(model);
        Some(Rendered {
            alias: alias.to_owned(),
            provider: model.provider().to_owned(),
            url,
            body,
            tokens: Some((tokens.input, tokens.output)),
        })
    }
}
