//! The one way a model is called.

mod retry;

pub(crate) use retry::Retry;

use crate::{Books, Called, CallContext, ChatRequest, ChatResponse, EmbedResponse, ErrorClass, ModelError, Models};
use schemas::{Money, Usage};
use std::sync::Arc;

/// Calls models: limits → write-ahead → send → classify → retry or fall back → books.
pub struct Caller {
    models: Arc<Models>,
    books: Arc<dyn Books>,
}

impl Caller {
    /// # Errors
    /// The HTTP client cannot be built: the system's TLS is unusable.
    pub fn new(models: Arc<Models>, books: Arc<dyn Books>) -> Result<Self, ClientError> {
        Ok(Self { models, books })
    }

    pub fn models(&self) -> &Arc<Models> {
        &self.models
    }

    /// Asks the first of `aliases`, and the next ones where it fails for a reason that another model may not have.
    pub async fn chat(&self, aliases: &[String], request: &ChatRequest, context: &CallContext) -> Called<ChatResponse> {
        let _ = (request, context, &self.books);
        unsupported(aliases.first().map_or("", String::as_str))
    }

    /// No fallback: the vectors of two models do not compare.
    pub async fn embed(&self, alias: &str, texts: &[String], context: &CallContext) -> Called<EmbedResponse> {
        let _ = (texts, context);
        unsupported(alias)
    }

    /// Books what attempts cost whose result nobody will commit. Call it when an outcome is thrown away; rows that are
    /// committed settle themselves.
    pub async fn settle(&self, attempts: &[schemas::Audit]) {
        let _ = attempts;
    }
}

fn unsupported<T>(alias: &str) -> Called<T> {
    let error = ModelError {
        class: ErrorClass::NotFound,
        message: "not supported yet".to_owned(),
        alias: alias.to_owned(),
        retry_after: None,
    };
    Called { result: Err(error), attempts: Vec::new(), usage: Usage::default(), cost: Money::ZERO }
}

/// The HTTP client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for model providers could not be built")]
pub struct ClientError(#[source] reqwest::Error);
