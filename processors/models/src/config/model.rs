use super::document::{Node, Value};
use super::fields::Fields;
use super::price::Price;
use super::provider::{Dialect, Provider};
use crate::caller::Retry;
use crate::dialect::local;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_TOKENS: u32 = 1024;

/// What an alias stands for.
#[derive(Debug)]
pub struct Model {
    pub alias: String,
    /// As the provider names it.
    pub name: String,
    pub kind: Kind,
    pub price: Price,
    /// Most tokens of a prompt, or of one text to embed, where the file says so.
    pub context: Option<u32>,
    pub(crate) provider: Arc<Provider>,
    /// Time limit of one attempt.
    pub(crate) timeout: Duration,
    pub(crate) retry: Retry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Most tokens of one answer.
    Chat { max_tokens: u32 },
    /// Length of its vectors.
    Embed { dimension: u32 },
}

impl Model {
    pub fn provider(&self) -> &str {
        &self.provider.name
    }
}

pub(super) fn read(alias: &str, fields: &Fields<'_>, providers: &[Arc<Provider>], known: &[&str]) -> Option<Model> {
    let provider = provider(fields, providers, known);
    let name = fields.required_text("model", "gpt-4o-mini");
    let dimension = fields.count("dimension", 1);
    let max_tokens = fields.count("max_tokens", 1);
    let context = fields.count("context", 1);
    let timeout = fields.duration("timeout").unwrap_or(TIMEOUT);
    let retry = fields
        .node("retry")
        .and_then(|node| fields.nested(node, "retry"))
        .map(|f| retry(&f));
    let stated = fields
        .node("price")
        .map(|node| price(fields, node, dimension.is_none()));
    for limit in ["requests_per_minute", "tokens_per_minute", "dollars_per_day"] {
        fields.not_yet(
            limit,
            "remove it; `concurrency` of the provider is the one limit that is enforced",
        );
    }
    fields.finish();

    let (name, position) = name?;
    let provider = provider?;
    let local = matches!(provider.dialect, Dialect::Local);
    if dimension.is_some() && max_tokens.is_some() {
        fields.wrong(
            fields.position,
            format!("{} has both `dimension` and `max_tokens`", fields.what),
            "keep `dimension` for an embedding model, `max_tokens` for a chat model",
        );
        return None;
    }
    let kind = if local {
        local::kind(name, dimension, max_tokens)
            .map_err(|help| {
                fields.wrong(
                    position,
                    format!("`{name}` does not fit a local model as {} has it", fields.what),
                    help,
                );
            })
            .ok()?
    } else {
        match dimension {
            Some(dimension) => Kind::Embed { dimension },
            None => Kind::Chat {
                max_tokens: max_tokens.unwrap_or(MAX_TOKENS),
            },
        }
    };
    let price = match stated {
        Some(price) => price?,
        None if local => Price::FREE,
        None => {
            fields.wrong(
                fields.position,
                format!("{} has no `price`", fields.what),
                "add `price: {input: 0.15, output: 0.60}` (dollars per million tokens), or `price: free`",
            );
            return None;
        }
    };
    if local && !price.is_free() {
        fields.wrong(
            fields.position,
            format!("{} is local and has a price", fields.what),
            "write `price: free`",
        );
        return None;
    }
    Some(Model {
        alias: alias.to_owned(),
        name: name.to_owned(),
        kind,
        price,
        context,
        provider,
        timeout,
        retry: retry.unwrap_or_default(),
    })
}

fn provider(fields: &Fields<'_>, providers: &[Arc<Provider>], known: &[&str]) -> Option<Arc<Provider>> {
    let (name, position) = fields.required_text("provider", "openai")?;
    if !known.contains(&name) {
        fields.wrong(
            position,
            format!(
                "{} names the provider `{name}`, which is not in `providers`",
                fields.what
            ),
            if known.is_empty() {
                "there is none yet".to_owned()
            } else {
                format!("there is: {}", known.join(", "))
            },
        );
    }
    providers.iter().find(|provider| provider.name == name).map(Arc::clone)
}

/// `free`, or a price list. Who forgets what a chat model's answers cost would get them for nothing, so it is asked for.
fn price(fields: &Fields<'_>, node: &Node, answers: bool) -> Option<Price> {
    if matches!(&node.value, Value::Scalar(text) if text == "free") {
        return Some(Price::FREE);
    }
    let prices = fields.nested(node, "price")?;
    prices.required("input", "0.15")?;
    if answers {
        prices.required("output", "0.60")?;
    }
    let price = Price {
        input: prices.dollars("input")?,
        output: prices.dollars("output").unwrap_or(0),
    };
    prices.finish();
    Some(price)
}

fn retry(fields: &Fields<'_>) -> Retry {
    let default = Retry::default();
    let retry = Retry {
        max_attempts: fields.count("max_attempts", 1).unwrap_or(default.max_attempts),
        initial: fields.duration("initial").unwrap_or(default.initial),
        factor: fields.count("factor", 1).unwrap_or(default.factor),
        max: fields.duration("max").unwrap_or(default.max),
    };
    fields.finish();
    retry
}
