use std::collections::BTreeSet;

use retrieval::{MAX_RERANKED, Ranked};
use serde_json::Value;
use yaml::{Fields, Node, Problems};

use super::Queries;
use crate::chain::{
    context::Surroundings,
    error::StepError,
    resources::Services,
    steps::{Check, number::Number, rerank::Reranker},
    template::Template,
    typing,
};

/// `rerank: {model, top_n, query, parameters}` of a retrieval: the last word on the order of what it found.
#[derive(Debug)]
pub(super) struct Reranking {
    reranker: Reranker,
    /// That of the retrieval, if it is not said.
    query: Option<Template>,
}

impl Reranking {
    pub(super) fn read(node: &Node, queries: Option<&Queries>, problems: &Problems) -> Option<Self> {
        let known = ["model", "top_n", "query", "parameters"];
        let fields = Fields::of(node, "`rerank` of a retrieve step", &known, &[], problems)?;
        let reranker = Reranker::read(&fields);
        let query = match fields.get("query") {
            Some(_) => Some(Template::parse(fields.require_text("query", "\"…\"")?, problems)),
            None => None,
        };
        if query.is_none() && matches!(queries, Some(Queries::Several(..))) {
            let help = "add `query: \"{{ input.question }}\"` to `rerank`";
            problems.add(
                node.position,
                "`rerank` needs one question, and there are several",
                help,
            );
            return None;
        }
        Some(Self {
            reranker: reranker?,
            query,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.reranker.reads(steps);
        steps.extend(self.query.iter().flat_map(Template::steps).cloned());
    }

    pub(super) fn check(&self, top_k: Option<&Number>, check: &mut Check<'_>) {
        self.reranker.check(check);
        if let Some(query) = &self.query {
            typing::infer(query, check.scope, None, check.problems);
        }
        #[expect(clippy::cast_precision_loss, reason = "some hundred")]
        let most = MAX_RERANKED as f64;
        if let Some(top_k) = top_k.filter(|top_k| top_k.value.literal_number().is_some_and(|top_k| top_k > most)) {
            let message = format!("`rerank` takes {MAX_RERANKED} passages at most");
            check.problems.add(top_k.value.position, message, "lower `top_k`");
        }
    }

    /// The places of the items, most relevant first, with their new scores.
    pub(super) async fn rank(
        &self,
        question: &str,
        items: &[Value],
        scope: &minijinja::Value,
        services: &Services,
        around: &Surroundings<'_>,
    ) -> Result<Vec<Ranked>, StepError> {
        let question = match &self.query {
            Some(query) => query.render(scope)?,
            None => question.to_owned(),
        };
        let texts = items
            .iter()
            .map(|item| item["text"].as_str().unwrap_or_default().to_owned());
        let request = self.reranker.request(question, texts.collect(), scope)?;
        let request = around.leaving().rerank(request)?;
        let ranked = around.in_time(services.rerank(&request)).await?;
        ranked.map_err(StepError::Retrieval)
    }
}
