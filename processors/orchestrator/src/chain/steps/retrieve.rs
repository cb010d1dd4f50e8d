use std::collections::BTreeSet;

use models::Kind;
use retrieval::{IndexSpec, Match, Metric, Query};
use schemas::RetrievedDocument;
use serde_json::{Value, json};
use yaml::{Fields, Node, Position, Problems};

use super::{Check, number::Number};
use crate::chain::{
    bill::Bill,
    context::Surroundings,
    error::StepError,
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

/// Operators of Pinecone's metadata filter.
const OPERATORS: [&str; 11] = [
    "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$and", "$or",
];

/// `retrieve: {index, query, …}`: its output is `items`, nearest first, each with `id`, `score`, `text` and `metadata`.
///
/// It reads the namespace of the request's tenant, which is where the indexer writes; `namespace:` names another one.
#[derive(Debug)]
pub(crate) struct Retrieve {
    index: String,
    index_position: Position,
    query: Template,
    namespace: Option<Template>,
    top_k: Option<Number>,
    min_score: Option<Number>,
    filter: Option<Templated>,
}

impl Retrieve {
    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let known = ["index", "query", "namespace", "top_k", "min_score", "filter"];
        let later = [
            "vector", "queries", "mmr", "fuse", "rerank", "hybrid", "parents", "dedupe", "cache",
        ];
        let fields = Fields::of(node, "a retrieve step", &known, &later, problems)?;
        let index = fields.require_text("index", "handbook");
        let query = fields
            .require_text("query", "\"{{ input.question }}\"")
            .map(|text| Template::parse(text, problems));
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
        let index = index?;
        let (index, index_position) = (index.value.clone(), index.position_of(0, 0));
        Some(Self {
            index,
            index_position,
            query: query?,
            namespace,
            top_k,
            min_score,
            filter,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        for template in [Some(&self.query), self.namespace.as_ref()].into_iter().flatten() {
            steps.extend(template.steps().iter().cloned());
        }
        for number in [&self.top_k, &self.min_score].into_iter().flatten() {
            number.value.steps(steps);
        }
        if let Some(filter) = &self.filter {
            filter.steps(steps);
        }
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        self.check_index(check);
        typing::infer(&self.query, check.scope, None, check.problems);
        if let Some(namespace) = &self.namespace {
            typing::infer(namespace, check.scope, Some(NAMESPACE), check.problems);
        }
        for number in [&self.top_k, &self.min_score].into_iter().flatten() {
            number.check(check);
        }
        if let Some(filter) = &self.filter {
            filter.infer(check.scope, None, check.problems);
            check_filter(filter, check.problems);
        }
        let item = Type::object([
            ("id", Type::Text { untrusted: true }),
            ("score", Type::Number),
            ("text", Type::Text { untrusted: true }),
            ("metadata", Type::Any { untrusted: true }),
        ]);
        Type::object([("items", Type::list(item))])
    }

    fn check_index(&self, check: &mut Check<'_>) {
        let resources = check.resources;
        let Some(spec) = resources.index(&self.index) else {
            let message = format!("no index `{}` is configured", self.index);
            let known = resources.indexes.iter().map(|spec| spec.name.as_str());
            check
                .problems
                .add_unknown(self.index_position, message, &self.index, known);
            return;
        };
        let message = match resources.models.get(&spec.embedding).map(|model| model.kind) {
            None => format!(
                "index `{}` is embedded by `{}`, which the models file does not have",
                spec.name, spec.embedding
            ),
            Some(Kind::Chat { .. }) => {
                format!(
                    "index `{}` is embedded by `{}`, which is a chat model",
                    spec.name, spec.embedding
                )
            }
            Some(Kind::Embed { dimension }) if dimension != spec.dimension => format!(
                "index `{}` has vectors of {} numbers, its embedding model `{}` gives {dimension}",
                spec.name, spec.dimension, spec.embedding
            ),
            Some(Kind::Embed { .. }) => {
                self.check_min_score(spec, check);
                return;
            }
        };
        check.problems.add(
            self.index_position,
            message,
            "mend `indexes:` in millrace.yaml or the models file",
        );
    }

    fn check_min_score(&self, spec: &IndexSpec, check: &mut Check<'_>) {
        if let Some(min_score) = &self.min_score
            && spec.metric == Metric::Euclidean
        {
            let message = format!(
                "index `{}` measures distance: its nearest passages have the lowest scores",
                spec.name
            );
            check
                .problems
                .add(min_score.value.position, message, "remove `min_score`");
        }
    }

    pub(super) async fn run(
        &self,
        step: &str,
        scope: &minijinja::Value,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        let spec = around.services.index(&self.index)?;
        let namespace = match &self.namespace {
            Some(namespace) => namespace.render(scope)?,
            None => spec.namespace(&around.context.tenant).to_owned(),
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
        let question = [self.query.render(scope)?];

        let called = around
            .services
            .caller
            .embed(&spec.embedding, &question, &around.call(step))
            .await;
        let embedded = bill.take(called)?;
        let vector = embedded.vectors.into_iter().next().unwrap_or_default();
        let query = Query {
            namespace,
            vector,
            top_k,
            filter,
            include_values: false,
            include_metadata: true,
        };
        let mut found = around.until_deadline(around.services.query(spec, &query)).await?;
        found.retain(|found| min_score.is_none_or(|least| f64::from(found.score) >= least));

        bill.found(found.iter().map(|found| RetrievedDocument {
            index: spec.name.clone(),
            namespace: query.namespace.clone(),
            id: found.id.clone(),
            score: f64::from(found.score),
        }));
        Ok(json!({"items": found.into_iter().map(|found| item(found, &spec.text_key)).collect::<Vec<_>>()}))
    }
}

fn item(found: Match, text_key: &str) -> Value {
    let mut metadata = found.metadata;
    let text = metadata
        .remove(text_key)
        .unwrap_or_else(|| Value::String(String::new()));
    json!({"id": found.id, "score": found.score, "text": text, "metadata": metadata})
}

/// That every `$word` in a filter is an operator.
fn check_filter(filter: &Templated, problems: &Problems) {
    for (name, value) in filter.children() {
        if let Some(name) = name
            && name.starts_with('$')
            && !OPERATORS.contains(&name)
        {
            problems.add_unknown(
                value.position,
                format!("a filter has no operator `{name}`"),
                name,
                OPERATORS,
            );
        }
        check_filter(value, problems);
    }
}
