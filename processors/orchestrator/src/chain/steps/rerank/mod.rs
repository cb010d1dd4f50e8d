//! Documents ordered anew by a model that reads each together with the question.

mod reranker;

use std::collections::BTreeSet;

use retrieval::Ranked;
use serde_json::{Value, json};
use yaml::{Fields, Node, Problems};

pub(super) use self::reranker::Reranker;
use super::Check;
use crate::chain::{
    context::Surroundings,
    error::StepError,
    fits::misfit,
    leaving::Leaving,
    render::Rendering,
    template::Template,
    templated::Templated,
    types::{Field, Type},
    typing,
};

/// Where a passage keeps the score that it had before.
pub(super) const SCORE_BEFORE: &str = "retrieval_score";

const DEFAULT_TEXT_KEY: &str = "text";

/// `rerank: {model, query, documents, …}`: its output is `items`, the documents, most relevant first, each with its new
/// `score`. The one it came with is `retrieval_score`; a document that is a text becomes `{text, score}`.
#[derive(Debug)]
pub(crate) struct Rerank {
    reranker: Reranker,
    query: Template,
    documents: Templated,
    /// Where a document has its text.
    text_key: String,
}

impl Rerank {
    pub(super) const KEYS: [&str; 6] = ["model", "query", "documents", "top_n", "text_key", "parameters"];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "a rerank step", &Self::KEYS, &["cache"], problems)?;
        let reranker = Reranker::read(&fields);
        let query = fields.require_text("query", "\"{{ input.question }}\"");
        let documents = fields.require("documents", "\"{{ steps.docs.items }}\"");
        let text_key = match fields.get("text_key") {
            Some(_) => fields.require_text("text_key", DEFAULT_TEXT_KEY)?.value.clone(),
            None => DEFAULT_TEXT_KEY.to_owned(),
        };
        Some(Self {
            query: Template::parse(query?, problems),
            documents: Templated::read(documents?, problems),
            reranker: reranker?,
            text_key,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.reranker.reads(steps);
        steps.extend(self.query.steps().iter().cloned());
        self.documents.steps(steps);
    }

    /// Documents are as trusted as they were.
    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        self.reranker.check(check);
        typing::infer(&self.query, check.scope, None, check.problems);
        let item = match self.documents.infer(check.scope, None, check.problems) {
            Type::Any { untrusted } => Type::Any { untrusted },
            Type::List(of) => self.item(*of, check),
            other => self.no_documents(&other, check),
        };
        Type::object([("items", Type::list(item))])
    }

    fn item(&self, document: Type, check: &Check<'_>) -> Type {
        match document {
            Type::Any { untrusted } => Type::Any { untrusted },
            text @ (Type::Text { .. } | Type::Choice(_)) => Type::object([("text", text), ("score", Type::Number)]),
            Type::Object { fields, open } => {
                let wanted = Type::object([(self.text_key.as_str(), Type::TEXT)]);
                let document = Type::Object { fields, open };
                if let Some(why) = misfit(&document, &wanted) {
                    let message = format!("the documents cannot be ranked: {why}");
                    let help = "`text_key` says where a document has its text; it is `text` if not said";
                    check.problems.add(self.documents.position, message, help);
                }
                scored_type(document)
            }
            other => self.no_documents(&Type::list(other), check),
        }
    }

    fn no_documents(&self, found: &Type, check: &Check<'_>) -> Type {
        let what = match found {
            Type::List(of) => format!("a list in which there is {}", of.describe()),
            other => other.describe().to_owned(),
        };
        let message = format!("`documents` must be a list of texts or of objects, and this is {what}");
        check.problems.add_plain(self.documents.position, message);
        Type::ANY
    }

    pub(super) async fn run(
        &self,
        step: &str,
        scope: &minijinja::Value,
        around: &Surroundings<'_>,
    ) -> Result<Value, StepError> {
        let services = around.services(step)?;
        let documents = self.documents(scope)?;
        let request = around.leaving().rerank(self.request(&documents, scope)?)?;
        let ranked = around.in_time(services.rerank(&request)).await?;
        let ranked = ranked.map_err(StepError::Retrieval)?.into_iter();
        let items = ranked.map(|Ranked { index, score }| scored(documents[index].clone(), score));
        Ok(json!({"items": items.collect::<Vec<_>>()}))
    }

    /// Its request.
    pub(super) fn render(
        &self,
        step: &str,
        scope: &minijinja::Value,
        leaving: &Leaving,
        rendering: &Rendering<'_>,
    ) -> Result<(), StepError> {
        let request = leaving.rerank(self.request(&self.documents(scope)?, scope)?)?;
        rendering.rerank(step, &request);
        Ok(())
    }

    fn documents(&self, scope: &minijinja::Value) -> Result<Vec<Value>, StepError> {
        match self.documents.value(scope)? {
            Value::Array(documents) => Ok(documents),
            _ => Err(StepError::Option {
                message: "`documents` must be a list of texts or of objects".to_owned(),
            }),
        }
    }

    fn request(&self, documents: &[Value], scope: &minijinja::Value) -> Result<retrieval::Rerank, StepError> {
        let text = |(place, document): (usize, &Value)| {
            let text = match document {
                Value::String(text) => Some(text.as_str()),
                other => other.get(&self.text_key).and_then(Value::as_str),
            };
            text.map(str::to_owned).ok_or_else(|| StepError::Option {
                message: format!("`documents[{place}]` is no text and has none under `{}`", self.text_key),
            })
        };
        let texts = documents.iter().enumerate().map(text).collect::<Result<_, _>>()?;
        self.reranker.request(self.query.render(scope)?, texts, scope)
    }
}

/// A document with its new score.
pub(super) fn scored(document: Value, score: f64) -> Value {
    match document {
        Value::Object(mut fields) => {
            if let Some(before) = fields.insert("score".to_owned(), json!(score)) {
                fields.entry(SCORE_BEFORE).or_insert(before);
            }
            Value::Object(fields)
        }
        text => json!({"text": text, "score": score}),
    }
}

/// The type of what [`scored`] makes of an object.
pub(super) fn scored_type(document: Type) -> Type {
    let Type::Object { mut fields, open } = document else {
        return document;
    };
    if let Some(before) = fields.insert("score".to_owned(), Field::always(Type::Number)) {
        fields.entry(SCORE_BEFORE.to_owned()).or_insert(before);
    }
    Type::Object { fields, open }
}
