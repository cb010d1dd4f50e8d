//! What a caller can be asked to do. The caller does the same for both: only bytes and estimates differ.

use crate::config::Model;
use crate::dialect::openai::{Body, Endpoint, chat, embeddings};
use crate::dialect::{Failure, Reply, Tokens, estimate, local};
use crate::{ChatRequest, ChatResponse, EmbedResponse, ErrorClass, Feature, Kind, MAX_EMBED_INPUTS};
use reqwest::Url;

pub(super) trait Operation: Sync {
    type Answer: Send;

    /// # Errors
    /// The model cannot be asked this: no attempt is made.
    fn fits(&self, model: &Model) -> Result<(), Failure>;

    /// What the audit keeps as the prompt: the JSON of the messages, or of the texts, as it is sent.
    fn prompt(&self) -> String;

    /// Tokens at most, before the provider has counted.
    fn estimate(&self, model: &Model) -> Tokens;

    /// Whether an answer is asked for piece by piece.
    fn streams(&self, model: &Model) -> bool;

    fn locally(&self, model: &Model) -> Reply<Self::Answer>;

    fn encode(&self, model: &Model, endpoint: &Endpoint) -> (Url, Vec<u8>);

    fn decode(&self, model: &Model, body: Body) -> Reply<Self::Answer>;
}

impl Operation for ChatRequest {
    type Answer = ChatResponse;

    fn fits(&self, model: &Model) -> Result<(), Failure> {
        match model.kind {
            Kind::Chat { .. } => room(model, self.estimate(model).input),
            Kind::Embed { .. } => Err(Failure::new(
                ErrorClass::BadRequest,
                "it is an embedding model, not a chat model",
            )),
        }
    }

    fn prompt(&self) -> String {
        serde_json::to_string(&self.messages).unwrap_or_default()
    }

    fn estimate(&self, model: &Model) -> Tokens {
        let said = self.messages.iter().map(|message| message.tokens(model.image_tokens));
        let tools = self.tools.iter().map(|tool| {
            let words = [&tool.name, &tool.description, &tool.parameters.to_string()];
            words.map(|words| estimate(words)).iter().sum::<i64>()
        });
        let format = self.format.iter().map(|format| estimate(&format.schema.to_string()));
        let input = said.chain(tools).chain(format).sum();
        Tokens {
            input,
            output: i64::from(cap(self, model)),
        }
    }

    fn streams(&self, model: &Model) -> bool {
        self.stream.unwrap_or_else(|| model.has(Feature::Streaming))
    }

    fn locally(&self, model: &Model) -> Reply<ChatResponse> {
        local::extractive::answer(self, cap(self, model)).map(|completion| completion.by(&model.alias))
    }

    fn encode(&self, model: &Model, endpoint: &Endpoint) -> (Url, Vec<u8>) {
        let terms = chat::Terms {
            model: &model.name,
            cap: endpoint.cap,
            max_tokens: cap(self, model),
            streams: self.streams(model),
            knows_schemas: model.has(Feature::JsonSchema),
        };
        (endpoint.chat.clone(), chat::encode(terms, self))
    }

    fn decode(&self, model: &Model, body: Body) -> Reply<ChatResponse> {
        let reply = match body {
            Body::Whole(bytes) => chat::decode(&bytes),
            Body::Stream(stream) => stream.finish(),
        };
        reply.map(|completion| completion.by(&model.alias))
    }
}

impl Model {
    /// # Errors
    /// By estimate, the request is longer than the model's `context`: it would not be sent.
    pub fn has_room(&self, request: &ChatRequest) -> Result<(), String> {
        room(self, request.estimate(self).input).map_err(|failure| failure.message)
    }
}

/// A prompt that is too long by estimate is not sent, so that a model with more room gets it at once.
fn room(model: &Model, tokens: i64) -> Result<(), Failure> {
    match model.context {
        Some(context) if tokens > i64::from(context) => {
            let message = format!("about {tokens} tokens do not fit its `context: {context}`");
            Err(Failure::new(ErrorClass::ContextOverflow, message))
        }
        Some(_) | None => Ok(()),
    }
}

/// The step may ask for less than the model's cap, never for more: prices and budgets are computed with it.
fn cap(request: &ChatRequest, model: &Model) -> u32 {
    match model.kind {
        Kind::Chat { max_tokens } => request.max_tokens.map_or(max_tokens, |asked| asked.min(max_tokens)),
        Kind::Embed { .. } => 0,
    }
}

/// Texts to embed.
pub(super) struct Texts<'a>(pub(super) &'a [String]);

impl Operation for Texts<'_> {
    type Answer = EmbedResponse;

    fn fits(&self, model: &Model) -> Result<(), Failure> {
        match model.kind {
            Kind::Chat { .. } => Err(Failure::new(
                ErrorClass::BadRequest,
                "it is a chat model, not an embedding model",
            )),
            Kind::Embed { .. } if self.0.len() > MAX_EMBED_INPUTS => {
                let message = format!("{} texts in one call, {MAX_EMBED_INPUTS} are the most", self.0.len());
                Err(Failure::new(ErrorClass::BadRequest, message))
            }
            Kind::Embed { .. } => room(model, self.0.iter().map(|text| estimate(text)).max().unwrap_or(0)),
        }
    }

    fn prompt(&self) -> String {
        serde_json::to_string(self.0).unwrap_or_default()
    }

    fn estimate(&self, _model: &Model) -> Tokens {
        Tokens {
            input: self.0.iter().map(|text| estimate(text)).sum(),
            output: 0,
        }
    }

    fn streams(&self, _model: &Model) -> bool {
        false
    }

    fn locally(&self, model: &Model) -> Reply<EmbedResponse> {
        let vectors = self
            .0
            .iter()
            .map(|text| local::ngram::embed(text, dimension(model)))
            .collect();
        let outcome = Ok(EmbedResponse {
            vectors,
            model: model.name.clone(),
        });
        Reply {
            outcome,
            tokens: None,
            text: None,
        }
    }

    fn encode(&self, model: &Model, endpoint: &Endpoint) -> (Url, Vec<u8>) {
        (
            endpoint.embeddings.clone(),
            embeddings::encode(&model.name, dimension(model), self.0),
        )
    }

    fn decode(&self, model: &Model, body: Body) -> Reply<EmbedResponse> {
        match body {
            Body::Whole(bytes) => embeddings::decode(&bytes, self.0.len(), dimension(model)),
            Body::Stream(_) => Reply::failed(Failure::malformed("a stream where a list of embeddings was asked for")),
        }
    }
}

fn dimension(model: &Model) -> u32 {
    match model.kind {
        Kind::Embed { dimension } => dimension,
        Kind::Chat { .. } => 0,
    }
}
