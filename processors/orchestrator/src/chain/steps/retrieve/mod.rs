//! Passages from an index ([`index`]): what is asked ([`questions`]) of which passages ([`filter`]), how several rankings
//! become one ([`fuse`], [`mmr`]), the wholes of which they are parts ([`parents`]), and what a model makes of their order
//! ([`reranking`]).

mod filter;
mod fuse;
mod index;
mod mmr;
mod parents;
mod questions;
mod reranking;

use std::collections::BTreeSet;

use futures::future::try_join_all;
use models::Worst;
use retrieval::{Match, Query, Ranked};
use schemas::RetrievedDocument;
use serde_json::{Value, json};
use yaml::{Fields, Node, Position, Problems};

use self::{
    questions::{Diversity, Fusion, parent_field},
    reranking::Reranking,
};
use super::{
    Check,
    number::Number,
    rerank::{scored, scored_type},
};
use crate::chain::{
    bill::Bill,
    context::Surroundings,
    error::StepError,
    resources::Resources,
    template::Template,
    templated::Templated,
    types::Type,
    typing::{self, Sink},
};

/// As many passages as LangChain's retrievers give without being told.
const DEFAULT_TOP_K: f64 = 4.0;
/// Pinecone's limit.
const MAX_TOP_K: f64 = 10_000.0;

/// Whoever chooses the namespace chooses whose documents are read.
const NAMESPACE: Sink = Sink {
    what: "the choice of a namespace",
    help: "leave `namespace` out to read the tenant's own, or take it from a field that its schema trusts",
};

/// `retrieve: {index, query, …}`: its output is `items`, nearest first, each with `id`, `score`, `text` and `metadata`.
///
/// It reads the namespace of the request's tenant, which is where the indexer writes; `namespace:` names another one. Several
/// `queries` are asked at once and their rankings fused; `mmr` passes over what repeats a passage that is taken; `parents`
/// gives the whole of which a passage is a part; `rerank` orders what is left anew.
#[derive(Debug)]
pub(crate) struct Retrieve {
    index: String,
    index_position: Position,
    queries: Queries,
    namespace: Option<Template>,
    top_k: Option<Number>,
    min_score: Option<Number>,
    filter: Option<Templated>,
    diversity: Option<Diversity>,
    /// The metadata field that holds the id of the whole.
    parents: Option<String>,
    reranking: Option<Reranking>,
}

#[derive(Debug)]
enum Queries {
    One(Template),
    Several(Templated, Fusion),
}

impl Retrieve {
    pub(super) const KEYS: [&str; 11] = [
        "index",
        "query",
        "queries",
        "namespace",
        "top_k",
        "min_score",
        "filter",
        "mmr",
        "fuse",
        "parents",
        "rerank",
    ];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let later = ["vector", "hybrid", "cache"];
        let fields = Fields::of(node, "a retrieve step", &Self::KEYS, &later, problems)?;
        let index = fields.require_text("index", "handbook");
        let queries = Queries::read(&fields);
        let namespace = match fields.get("namespace") {
            Some(_) => Some(
                fields
                    .require_text("namespace", "\"{{ input.space }}\"")
                    .map(|text| Template::parse(text, problems))?,
            ),
            None => None,
        };
        let top_k = Number::read(&fields, "top_k", (1.0, MAX_TOP_K), problems);
        let min_score = Number::read(&fields, "min_score", (f64::MIN, f64::MAX), problems);
        let filter = fields.get("filter").map(|node| Templated::read(node, problems));
        let diversity = fields.get("mmr").map(|node| Diversity::read(node, problems));
        let parents = fields.get("parents").map(|node| parent_field(node, problems));
        let reranking = fields
            .get("rerank")
            .map(|node| Reranking::read(node, queries.as_ref(), problems));
        if let (Some(mmr), Some(Queries::Several(..))) = (fields.get("mmr"), &queries) {
            let help = "ask one `query`, or leave `mmr` out: fused rankings have no one question to be near to";
            problems.add(mmr.position, "`mmr` and `queries` do not go together", help);
        }
        let index = index?;
        let (index, index_position) = (index.value.clone(), index.position_of(0, 0));
        Some(Self {
            index,
            index_position,
            queries: queries?,
            namespace,
            top_k,
            min_score,
            filter,
            diversity: diversity.map_or(Some(None), |diversity| Some(Some(diversity?)))?,
            parents: parents.map_or(Some(None), |parents| Some(Some(parents?)))?,
            reranking: reranking.map_or(Some(None), |reranking| Some(Some(reranking?)))?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        match &self.queries {
            Queries::One(query) => steps.extend(query.steps().iter().cloned()),
            Queries::Several(queries, _) => queries.steps(steps),
        }
        steps.extend(self.namespace.iter().flat_map(Template::steps).cloned());
        for number in [&self.top_k, &self.min_score].into_iter().flatten() {
            number.value.steps(steps);
        }
        if let Some(filter) = &self.filter {
            filter.steps(steps);
        }
        if let Some(reranking) = &self.reranking {
            reranking.reads(steps);
        }
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        index::check(&self.index, self.index_position, self.min_score.as_ref(), check);
        self.queries.check(check);
        if let Some(namespace) = &self.namespace {
            typing::infer(namespace, check.scope, Some(NAMESPACE), check.problems);
        }
        for number in [&self.top_k, &self.min_score].into_iter().flatten() {
            number.check(check);
        }
        if let Some(filter) = &self.filter {
            filter::check(filter, check.resources.index(&self.index), check);
        }
        let found = Type::object([
            ("id", Type::Text { untrusted: true }),
            ("score", Type::Number),
            ("text", Type::Text { untrusted: true }),
            ("metadata", Type::Any { untrusted: true }),
        ]);
        let item = match &self.reranking {
            Some(reranking) => {
                reranking.check(self.top_k.as_ref(), check);
                scored_type(found)
            }
            None => found,
        };
        Type::object([("items", Type::list(item))])
    }

    pub(super) async fn run(
        &self,
        step: &str,
        scope: &minijinja::Value,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        let services = around.services(step)?;
        let spec = services.index(&self.index)?;
        let namespace = match &self.namespace {
            Some(namespace) => namespace.render(scope)?,
            None => spec.namespace(around.tenant()).to_owned(),
        };
        // Between 1 and MAX_TOP_K.
        let top_k = self
            .top_k
            .as_ref()
            .map_or(Ok(DEFAULT_TOP_K), |top_k| top_k.value(scope))? as u32;
        let min_score = self
            .min_score
            .as_ref()
            .map(|min_score| min_score.value(scope))
            .transpose()?;
        let filter = self.filter.as_ref().map(|filter| filter.value(scope)).transpose()?;
        let questions = self.queries.questions(scope)?;

        let asked = around.leaving().texts(questions.clone())?;
        let called = services.caller.embed(&spec.embedding, &asked, &around.call(step)).await;
        let vectors = bill.take(called, around.leaving())?.vectors;
        let query = |vector: &Vec<f32>| Query {
            namespace: namespace.clone(),
            vector: vector.clone(),
            top_k: self.diversity.as_ref().map_or(top_k, |mmr| mmr.fetch_k.max(top_k)),
            filter: filter.clone(),
            include_values: self.diversity.is_some(),
            include_metadata: true,
        };
        let queries: Vec<Query> = vectors.iter().map(query).collect();
        let asked = try_join_all(queries.iter().map(|query| services.query(spec, query)));
        let rankings = around.in_time(asked).await?.map_err(StepError::Retrieval)?;
        let near = |found: &Match| min_score.is_none_or(|least| f64::from(found.score) >= least);
        let rankings = rankings
            .into_iter()
            .map(|ranking| ranking.into_iter().filter(near).collect())
            .collect();

        let mut found = self.ranked(rankings, &vectors, top_k as usize);
        if let Some(field) = &self.parents {
            let wholes = parents::of(found, field, services, spec, &namespace);
            found = around.in_time(wholes).await?.map_err(StepError::Retrieval)?;
        }
        let mut documents: Vec<RetrievedDocument> = found
            .iter()
            .map(|found| RetrievedDocument {
                index: spec.name.clone(),
                namespace: namespace.clone(),
                id: found.id.clone(),
                score: f64::from(found.score),
            })
            .collect();
        let mut items: Vec<Value> = found.into_iter().map(|found| item(found, &spec.text_key)).collect();
        if let Some(reranking) = &self.reranking {
            let question = questions.first().map_or("", String::as_str);
            let ranked = reranking.rank(question, &items, scope, services, around).await?;
            let again = |Ranked { index, score }| {
                let document = RetrievedDocument {
                    score,
                    ..documents[index].clone()
                };
                (document, scored(items[index].clone(), score))
            };
            (documents, items) = ranked.into_iter().map(again).unzip();
        }
        bill.found(documents.into_iter());
        Ok(json!({"items": items}))
    }

    /// Its questions are embedded in one request.
    pub(super) fn worst(&self, resources: &Resources, once: bool) -> Worst {
        let Some(spec) = resources.index(&self.index) else {
            return Worst::NOTHING;
        };
        let texts = matches!(self.queries, Queries::One(_)).then_some(1);
        let model = std::slice::from_ref(&spec.embedding);
        let embedding = resources.models.worst_call(model, texts, None, once);
        // Where the index is, which is asked once, and what is in it; its questions at once.
        let asked = 2 + u64::from(self.parents.is_some()) + u64::from(self.reranking.is_some());
        embedding + Worst::taking(Some(resources.pinecone_timeout)) * asked
    }

    /// One ranking, of `top_k` at most.
    fn ranked(&self, mut rankings: Vec<Vec<Match>>, vectors: &[Vec<f32>], top_k: usize) -> Vec<Match> {
        match &self.queries {
            Queries::Several(_, Fusion { c, weights }) => {
                let mut fused = fuse::reciprocal_ranks(rankings, weights, *c);
                fused.truncate(top_k);
                fused
            }
            Queries::One(_) => {
                let found = rankings.pop().unwrap_or_default();
                match (&self.diversity, vectors.first()) {
                    (Some(mmr), Some(question)) => mmr::select(question, found, top_k, mmr.lambda),
                    _ => found,
                }
            }
        }
    }
}

fn item(found: Match, text_key: &str) -> Value {
    let mut metadata = found.metadata;
    let text = metadata
        .remove(text_key)
        .unwrap_or_else(|| Value::String(String::new()));
    json!({"id": found.id, "score": found.score, "text": text, "metadata": metadata})
}
