//! What of a chain's texts may leave: `redact: {provider: {types, strategy}, audit: {types, strategy}}` of a chain file.
//!
//! The steps see and give what they would without it. `provider` is what models and Pinecone are sent, the texts of the
//! chain's own file included; `audit` is what the audit keeps of prompts and answers. Nothing of either goes to logs, metrics
//! or traces.

use std::{borrow::Cow, sync::Arc};

use models::ChatRequest;
use retrieval::Rerank;
use schemas::Audit;
use yaml::{Content, Fields, Node, Problems};

use super::{cover::Cover, error::StepError, resources::Resources};

const TELEMETRY: &str = "telemetry";

/// Of a chain, and of those around it that run it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leaving {
    provider: Vec<Arc<Cover>>,
    audit: Vec<Arc<Cover>>,
}

impl Leaving {
    pub(crate) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        // Where nothing leaves, that is told, and not that the word is unknown.
        let telemetry = match &node.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == TELEMETRY),
            Content::Text(_) | Content::Scalar(_) | Content::List(_) => None,
        };
        let mut known = vec!["provider", "audit"];
        if let Some(telemetry) = telemetry {
            let message = "no prompt and no answer goes to logs, metrics or traces: there is nothing to redact";
            problems.add(telemetry.position, message, "remove `telemetry`");
            known.push(TELEMETRY);
        }
        let fields = Fields::of(node, "`redact` of a chain", &known, &[], problems)?;
        if known.iter().all(|key| fields.get(key).is_none()) {
            let help = "for example redact: {audit: {types: [email, phone]}}";
            problems.add(node.position, "`redact` says nothing of `provider` or `audit`", help);
        }
        let cover = |key: &str| match fields.get(key) {
            None => Some(Vec::new()),
            Some(node) => {
                let what = format!("`redact.{key}`");
                let fields = Fields::of(node, what, &Cover::KEYS, &[], problems)?;
                Some(vec![Arc::new(Cover::read(&fields)?)])
            }
        };
        let (provider, audit) = (cover("provider"), cover("audit"));
        let leaving = Self {
            provider: provider?,
            audit: audit?,
        };
        for position in leaving.audit.iter().filter_map(|cover| cover.blocks()) {
            let help = "use redact, mask or hash; `provider` can block a call before it leaves";
            problems.add(
                position,
                "the audit is of calls that were made, and cannot block one",
                help,
            );
        }
        Some(leaving)
    }

    pub(crate) fn check(&self, resources: &Resources, problems: &Problems) {
        for cover in self.provider.iter().chain(&self.audit) {
            cover.check(resources, problems);
        }
    }

    /// Of a chain that this one runs: what either covers is covered.
    pub(crate) fn and(&self, inner: &Self) -> Self {
        let both = |one: &[Arc<Cover>], other: &[Arc<Cover>]| one.iter().chain(other).cloned().collect();
        Self {
            provider: both(&self.provider, &inner.provider),
            audit: both(&self.audit, &inner.audit),
        }
    }

    /// What a chat model is sent. Nothing looks into images, nor at where they lie.
    pub(crate) fn chat<'r>(&self, request: &'r ChatRequest) -> Result<Cow<'r, ChatRequest>, StepError> {
        if self.provider.is_empty() {
            return Ok(Cow::Borrowed(request));
        }
        let mut request = request.clone();
        for message in &mut request.messages {
            for text in message.content.texts_mut() {
                *text = self.text(text)?;
            }
            for call in &mut message.tool_calls {
                for cover in &self.provider {
                    call.arguments = cover.json(&call.arguments)?;
                }
            }
        }
        Ok(Cow::Owned(request))
    }

    /// What an embedding model is sent.
    pub(crate) fn texts(&self, texts: Vec<String>) -> Result<Vec<String>, StepError> {
        if self.provider.is_empty() {
            return Ok(texts);
        }
        texts.into_iter().map(|text| self.text(&text)).collect()
    }

    /// What a reranker is sent.
    pub(crate) fn rerank(&self, rerank: Rerank) -> Result<Rerank, StepError> {
        Ok(Rerank {
            query: self.text(&rerank.query)?,
            texts: self.texts(rerank.texts)?,
            ..rerank
        })
    }

    /// What the audit keeps of a call. The hashes are still of what was sent and answered.
    pub(crate) fn audited(&self, row: Audit) -> Audit {
        let covered = |text: String| {
            let mut covers = self.audit.iter();
            // What cannot be covered is not kept; `block`, which would end here, is refused.
            covers.try_fold(text, |text, cover| cover.json(&text)).ok()
        };
        Audit {
            prompt: row.prompt.and_then(covered),
            response: row.response.and_then(covered),
            ..row
        }
    }

    fn text(&self, text: &str) -> Result<String, StepError> {
        let mut covers = self.provider.iter();
        covers.try_fold(text.to_owned(), |text, cover| cover.text(&text))
    }
}
