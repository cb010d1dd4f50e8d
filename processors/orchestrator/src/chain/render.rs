//! What a chain would send to the providers, for an input: nothing is called.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use models::{ChatRequest, Models, Rendered};
use retrieval::{PineconeSettings, Rerank};
use serde_json::Value;

use super::{
    Accepted, Chain,
    context::{Context, World},
    mocks::Mocks,
    outcome::Ending,
};

/// Collects what steps would send.
pub(crate) struct Rendering<'m> {
    models: &'m Models,
    pinecone: &'m PineconeSettings,
    requests: Mutex<Vec<(String, Rendered)>>,
}

impl Rendering<'_> {
    pub(crate) fn chat(&self, step: &str, alias: &str, request: &ChatRequest) {
        self.add(step, self.models.render_chat(alias, request));
    }

    pub(crate) fn embed(&self, step: &str, alias: &str, texts: &[String]) {
        self.add(step, self.models.render_embed(alias, texts));
    }

    pub(crate) fn rerank(&self, step: &str, rerank: &Rerank) {
        let rendered = Rendered {
            alias: rerank.model.clone(),
            provider: "pinecone".to_owned(),
            url: Some(self.pinecone.rerank_url()),
            body: rerank.body(),
            tokens: None,
        };
        self.add(step, Some(rendered));
    }

    fn add(&self, step: &str, rendered: Option<Rendered>) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.extend(rendered.map(|rendered| (step.to_owned(), rendered)));
    }
}

impl Chain {
    /// What each step would send first, by its name, in the order in which they run, and how the run ended. Steps that call
    /// something give what `mocks` says; where it says nothing, the run ends there with the class `not_mocked`.
    pub async fn render(
        &self,
        accepted: &Accepted,
        mocks: BTreeMap<String, Value>,
        context: &Context,
        models: &Models,
        pinecone: &PineconeSettings,
    ) -> (Vec<(String, Rendered)>, Ending) {
        let rendering = Rendering {
            models,
            pinecone,
            requests: Mutex::default(),
        };
        let mocks = Mocks::new(mocks);
        let outcome = self
            .run_in(World::Rendered(&mocks, &rendering), accepted, context)
            .await;
        let requests = rendering.requests.into_inner().unwrap_or_else(PoisonError::into_inner);
        (requests, outcome.ending)
    }
}
