//! What a chain would send, for an input: nothing is called.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use egress::Request;
use models::{ChatRequest, Rendered};
use retrieval::{PineconeSettings, Rerank};
use serde_json::{Value, json};

use super::{
    Accepted, Chain,
    context::{Context, World},
    mocks::Mocks,
    outcome::Ending,
    resources::Resources,
};

/// Collects what steps would send.
pub(crate) struct Rendering<'r> {
    resources: &'r Resources,
    pinecone: &'r PineconeSettings,
    requests: Mutex<Vec<Value>>,
}

impl Rendering<'_> {
    pub(crate) fn chat(&self, step: &str, alias: &str, request: &ChatRequest) {
        self.model(step, self.resources.models.render_chat(alias, request));
    }

    pub(crate) fn embed(&self, step: &str, alias: &str, texts: &[String]) {
        self.model(step, self.resources.models.render_embed(alias, texts));
    }

    pub(crate) fn rerank(&self, step: &str, rerank: &Rerank) {
        self.add(json!({
            "step": step,
            "model": rerank.model,
            "provider": "pinecone",
            "url": self.pinecone.rerank_url(),
            "body": rerank.body(),
        }));
    }

    pub(crate) fn http(&self, step: &str, request: &Request) {
        let mut shown = json!({"step": step});
        if let (Value::Object(shown), Value::Object(fields)) = (&mut shown, request.shown(&self.resources.hosts)) {
            shown.extend(fields);
        }
        self.add(shown);
    }

    fn model(&self, step: &str, rendered: Option<Rendered>) {
        if let Some(rendered) = rendered {
            self.add(json!({
                "step": step,
                "model": rendered.alias,
                "provider": rendered.provider,
                "url": rendered.url,
                "body": rendered.body,
                "tokens": {"input": rendered.tokens.0, "output": rendered.tokens.1},
            }));
        }
    }

    fn add(&self, shown: Value) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(shown);
    }
}

impl Chain {
    /// What each step would send first, `{step, url, body, …}`, in the order in which they run, and how the run ended. Steps
    /// that call something give what `mocks` says; where it says nothing, the run ends there with the class `not_mocked`.
    pub async fn render(
        &self,
        accepted: &Accepted,
        mocks: BTreeMap<String, Value>,
        context: &Context,
        resources: &Resources,
        pinecone: &PineconeSettings,
    ) -> (Vec<Value>, Ending) {
        let rendering = Rendering {
            resources,
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
