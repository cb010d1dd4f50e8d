use models::MAX_EMBED_INPUTS;
use serde_json::Value;
use yaml::{Content, Fields, Node, Problems};

use super::{MAX_TOP_K, Queries, fuse};
use crate::chain::{error::StepError, steps::Check, template::Template, templated::Templated, types::Type, typing};

/// Vectors that are fetched to choose from, and how much relevance counts: LangChain's defaults.
const FETCH_K: u32 = 20;
const LAMBDA: f64 = 0.5;

/// `mmr: {fetch_k, lambda}`
#[derive(Debug)]
pub(super) struct Diversity {
    pub(super) fetch_k: u32,
    pub(super) lambda: f64,
}

/// `fuse: {rrf: {c, weights}}`
#[derive(Debug)]
pub(super) struct Fusion {
    pub(super) c: f64,
    /// Of the queries, in their order; 1 where there is none.
    pub(super) weights: Vec<f64>,
}

impl Default for Fusion {
    fn default() -> Self {
        Self {
            c: fuse::DEFAULT_C,
            weights: Vec::new(),
        }
    }
}

impl Queries {
    pub(super) fn read(fields: &Fields<'_>) -> Option<Self> {
        let problems = fields.problems;
        let fusion = fields.get("fuse").map(|node| (node, Fusion::read(node, problems)));
        match (fields.get("query"), fields.get("queries")) {
            (Some(_), Some(queries)) => {
                let help = "put all of them into `queries`";
                problems.add(queries.position, "there are both `query` and `queries`", help);
                None
            }
            (None, Some(queries)) => {
                let fusion = fusion.map_or(Some(Fusion::default()), |(_, fusion)| fusion)?;
                Some(Self::Several(Templated::read(queries, problems), fusion))
            }
            (_, None) => {
                if let Some((node, _)) = fusion {
                    let help = "ask several `queries`, or remove `fuse`";
                    problems.add(node.position, "there is one ranking, and nothing to fuse it with", help);
                }
                let query = fields.require_text("query", "\"{{ input.question }}\"")?;
                Some(Self::One(Template::parse(query, problems)))
            }
        }
    }

    pub(super) fn check(&self, check: &Check<'_>) {
        match self {
            Self::One(query) => {
                typing::infer(query, check.scope, None, check.problems);
            }
            Self::Several(queries, _) => match queries.infer(check.scope, None, check.problems) {
                Type::Any { .. } => {}
                Type::List(of) if matches!(*of, Type::Any { .. } | Type::Text { .. } | Type::Choice(_)) => {}
                other => {
                    let message = format!("`queries` must be a list of texts, and this is {}", other.describe());
                    check.problems.add_plain(queries.position, message);
                }
            },
        }
    }

    /// One or more.
    pub(super) fn questions(&self, scope: &minijinja::Value) -> Result<Vec<String>, StepError> {
        let wrong = |message: &str| StepError::Option {
            message: message.to_owned(),
        };
        let queries = match self {
            Self::One(query) => return Ok(vec![query.render(scope)?]),
            Self::Several(queries, _) => queries.value(scope)?,
        };
        let Value::Array(queries) = queries else {
            return Err(wrong("`queries` must be a list of texts"));
        };
        if queries.is_empty() {
            return Err(wrong("`queries` is empty"));
        }
        if queries.len() > MAX_EMBED_INPUTS {
            let message = format!("`queries` has {} texts, {MAX_EMBED_INPUTS} are the most", queries.len());
            return Err(StepError::TooMany { message });
        }
        let text = |query| match query {
            Value::String(text) => Ok(text),
            _ => Err(wrong("`queries` must be a list of texts")),
        };
        queries.into_iter().map(text).collect()
    }
}

impl Diversity {
    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "`mmr`", &["fetch_k", "lambda"], &[], problems)?;
        let fetch_k = fields.scalar("fetch_k", |written| match yaml::count(written) {
            Ok(fetch_k) if f64::from(fetch_k) <= MAX_TOP_K => Ok(fetch_k),
            _ => Err(format!("must be a whole number from 1 to {MAX_TOP_K}, not `{written}`")),
        });
        let lambda = fields.scalar("lambda", share);
        Some(Self {
            fetch_k: fetch_k.map_or(FETCH_K, |fetch_k| fetch_k.value),
            lambda: lambda.map_or(LAMBDA, |lambda| lambda.value),
        })
    }
}

impl Fusion {
    fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "`fuse`", &["rrf"], &[], problems)?;
        let rrf = fields.require("rrf", "{c: 60}")?;
        let rrf = Fields::of(rrf, "`rrf`", &["c", "weights"], &[], problems)?;
        let c = rrf.get("c").map(|_| rrf.scalar("c", positive));
        let weights = rrf.get("weights").map(|node| weights(node, problems));
        Some(Self {
            c: c.map_or(Some(fuse::DEFAULT_C), |c| Some(c?.value))?,
            weights: weights.unwrap_or(Some(Vec::new()))?,
        })
    }
}

/// `parents: {field: parent_id}`
pub(super) fn parent_field(node: &Node, problems: &Problems) -> Option<String> {
    let fields = Fields::of(node, "`parents`", &["field"], &[], problems)?;
    Some(fields.require_text("field", "parent_id")?.value.clone())
}

fn weights(node: &Node, problems: &Problems) -> Option<Vec<f64>> {
    let weight = |item: &Node| match &item.content {
        Content::Scalar(scalar) => scalar.value.as_f64().filter(|weight| *weight >= 0.0),
        Content::Text(_) | Content::List(_) | Content::Map(_) => None,
    };
    let weights = match &node.content {
        Content::List(items) => items.iter().map(weight).collect(),
        Content::Text(_) | Content::Scalar(_) | Content::Map(_) => None,
    };
    if weights.is_none() {
        let help = "for example weights: [2, 1]: the first query counts twice";
        problems.add(
            node.position,
            "`weights` must be a list of numbers that are not negative",
            help,
        );
    }
    weights
}

fn share(written: &str) -> Result<f64, String> {
    let share = written.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("must be a number from 0 to 1, not `{written}`"))
}

fn positive(written: &str) -> Result<f64, String> {
    let number: Option<f64> = written.parse().ok();
    number
        .filter(|number| *number > 0.0 && number.is_finite())
        .ok_or_else(|| format!("must be a number above 0, not `{written}`"))
}
