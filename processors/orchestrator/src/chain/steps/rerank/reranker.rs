use std::collections::BTreeSet;

use retrieval::MAX_RERANKED;
use serde_json::{Map, Value};
use yaml::Fields;

use crate::chain::{
    error::StepError,
    steps::{Check, number::Number},
    templated::Templated,
    types::Type,
};

/// Who orders documents anew, and how many of them it gives: of a step and of an option of `retrieve`.
#[derive(Debug)]
pub(in crate::chain::steps) struct Reranker {
    /// As Pinecone names it. Which there are changes, so that is for Pinecone to say.
    model: String,
    top_n: Option<Number>,
    /// What the model takes besides.
    parameters: Option<Templated>,
}

impl Reranker {
    pub(in crate::chain::steps) fn read(fields: &Fields<'_>) -> Option<Self> {
        let problems = fields.problems;
        let model = fields.require_text("model", "bge-reranker-v2-m3").and_then(|text| {
            let message = match text.value.as_str() {
                name if name.contains("{{") || name.contains("{%") => "a model cannot be chosen by a template",
                name if name.trim().is_empty() => "the name of the model is empty",
                name => return Some(name.to_owned()),
            };
            let help = "name one that Pinecone hosts: https://docs.pinecone.io/guides/search/rerank-results";
            problems.add(text.position_of(0, 0), message, help);
            None
        });
        #[expect(clippy::cast_precision_loss, reason = "some hundred")]
        let top_n = Number::read(fields, "top_n", (1.0, MAX_RERANKED as f64), problems);
        let parameters = fields.get("parameters").map(|node| Templated::read(node, problems));
        Some(Self {
            model: model?,
            top_n,
            parameters,
        })
    }

    pub(in crate::chain::steps) fn reads(&self, steps: &mut BTreeSet<String>) {
        let top_n = self.top_n.iter().map(|top_n| &top_n.value);
        top_n.chain(&self.parameters).for_each(|value| value.steps(steps));
    }

    pub(in crate::chain::steps) fn check(&self, check: &mut Check<'_>) {
        if let Some(top_n) = &self.top_n {
            top_n.check(check);
        }
        let Some(parameters) = &self.parameters else { return };
        match parameters.infer(check.scope, None, check.problems) {
            Type::Object { .. } | Type::Any { .. } => {}
            other => {
                let message = format!("`parameters` must be a mapping, and this is {}", other.describe());
                let help = "for example parameters: {truncate: END}";
                check.problems.add(parameters.position, message, help);
            }
        }
    }

    pub(in crate::chain::steps) fn request(
        &self,
        query: String,
        texts: Vec<String>,
        scope: &minijinja::Value,
    ) -> Result<retrieval::Rerank, StepError> {
        let top_n = self.top_n.as_ref().map(|top_n| top_n.value(scope)).transpose()?;
        let parameters = match self.parameters.as_ref().map(|parameters| parameters.value(scope)) {
            None => Map::new(),
            Some(parameters) => match parameters? {
                Value::Object(parameters) => parameters,
                _ => {
                    let message = "`parameters` must be a mapping".to_owned();
                    return Err(StepError::Option { message });
                }
            },
        };
        Ok(retrieval::Rerank {
            model: self.model.clone(),
            query,
            texts,
            // Between 1 and MAX_RERANKED.
            top_n: top_n.map(|top_n| top_n as usize),
            parameters,
        })
    }
}
