use super::feature::{self, Feature};
use super::price::{Price, dollars};
use super::provider::{Dialect, Provider, UNENFORCED};
use crate::caller::Retry;
use crate::dialect::local;
use crate::metrics::Meters;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use yaml::{Fields, Node, Problems, count, duration, word};

const TIMEOUT: Duration = Duration::from_secs(60);
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_TOKENS: u32 = 1024;
/// Of gpt-4o: 85, and 170 for each of eight tiles.
const IMAGE_TOKENS: u32 = 1445;

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
    /// How long a stream may be silent once it speaks.
    pub(crate) idle_timeout: Duration,
    /// Most tokens of one image.
    pub(crate) image_tokens: u32,
    /// What it can do, where the file says so.
    features: Option<BTreeSet<Feature>>,
    pub(crate) retry: Retry,
    meters: OnceLock<Meters>,
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

    /// Where its calls are counted.
    pub(crate) fn meters(&self) -> &Meters {
        self.meters.get_or_init(|| Meters::of(self.provider(), &self.name))
    }

    /// Whether the file says that it can.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.features
            .as_ref()
            .is_some_and(|features| features.contains(&feature))
    }

    /// Whether the file says what it can, and this is not in it.
    #[must_use]
    pub fn lacks(&self, feature: Feature) -> bool {
        self.features.is_some() && !self.has(feature)
    }
}

pub(super) fn read(
    alias: &str,
    node: &Node,
    problems: &Problems,
    providers: &[Arc<Provider>],
    known: &[&str],
) -> Option<Model> {
    let keys = [
        "provider",
        "model",
        "price",
        "max_tokens",
        "dimension",
        "context",
        "features",
        "image_tokens",
        "timeout",
        "idle_timeout",
        "retry",
    ];
    let fields = Fields::of(node, format!("model `{alias}`"), &keys, &UNENFORCED, problems)?;
    let provider = provider(&fields, providers, known);
    let name = fields.require_scalar("model", "gpt-4o-mini", word);
    let dimension = fields.scalar("dimension", count).map(|dimension| dimension.value);
    let max_tokens = fields.scalar("max_tokens", count).map(|tokens| tokens.value);
    let context = fields.scalar("context", count).map(|tokens| tokens.value);
    let timeout = fields
        .scalar("timeout", duration)
        .map_or(TIMEOUT, |timeout| timeout.value);
    let idle_timeout = fields
        .scalar("idle_timeout", duration)
        .map_or(IDLE_TIMEOUT, |timeout| timeout.value);
    let image_tokens = fields.scalar("image_tokens", count).map(|tokens| tokens.value);
    let features = feature::read(&fields);
    let retry = fields.get("retry").and_then(|node| {
        let what = format!("`retry` of {}", fields.what);
        Fields::of(node, what, &Retry::KEYS, &[], problems).map(|fields| Retry::read(&fields))
    });
    let stated = fields
        .get("price")
        .map(|node| price(&fields, node, dimension.is_none()));

    let name = name?;
    let provider = provider?;
    let local = matches!(provider.dialect, Dialect::Local);
    if dimension.is_some() && max_tokens.is_some() {
        problems.add(
            fields.position,
            format!("{} has both `dimension` and `max_tokens`", fields.what),
            "keep `dimension` for an embedding model, `max_tokens` for a chat model",
        );
        return None;
    }
    let kind = if local {
        local::kind(name.value, dimension, max_tokens)
            .map_err(|help| {
                problems.add(
                    name.position,
                    format!("`{}` does not fit a local model as {} has it", name.value, fields.what),
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
            problems.add(
                fields.position,
                format!("{} has no `price`", fields.what),
                "add `price: {input: 0.15, output: 0.60}` (dollars per million tokens), or `price: free`",
            );
            return None;
        }
    };
    if local && !price.is_free() {
        problems.add(
            fields.position,
            format!("{} is local and has a price", fields.what),
            "write `price: free`",
        );
        return None;
    }
    Some(Model {
        alias: alias.to_owned(),
        name: name.value.to_owned(),
        kind,
        price,
        context,
        provider,
        timeout,
        idle_timeout,
        image_tokens: image_tokens.unwrap_or(IMAGE_TOKENS),
        features,
        retry: retry.unwrap_or_default(),
        meters: OnceLock::new(),
    })
}

fn provider(fields: &Fields<'_>, providers: &[Arc<Provider>], known: &[&str]) -> Option<Arc<Provider>> {
    let name = fields.require_scalar("provider", "openai", word)?;
    if !known.contains(&name.value) {
        let message = format!(
            "{} names the provider `{}`, which is not in `providers`",
            fields.what, name.value
        );
        fields
            .problems
            .add_unknown(name.position, message, name.value, known.iter().copied());
    }
    providers
        .iter()
        .find(|provider| provider.name == name.value)
        .map(Arc::clone)
}

/// `free`, or a price list. Who forgets what a chat model's answers cost would get them for nothing, so it is asked for.
fn price(model: &Fields<'_>, node: &Node, answers: bool) -> Option<Price> {
    if node.written() == Some("free") {
        return Some(Price::FREE);
    }
    let what = format!("`price` of {}", model.what);
    let prices = Fields::of(node, what, &["input", "output"], &[], model.problems)?;
    let input = prices.require_scalar("input", "0.15", dollars);
    let output = if answers {
        prices.require_scalar("output", "0.60", dollars)?.value
    } else {
        prices.scalar("output", dollars).map_or(0, |output| output.value)
    };
    Some(Price {
        input: input?.value,
        output,
    })
}
