use std::collections::BTreeSet;

use models::{Kind, MAX_EMBED_INPUTS, Models, Worst};
use serde_json::{Value, json};
use yaml::{Fields, Node, Problems};

use super::{Check, alias::Alias};
use crate::chain::{
    bill::Bill, context::Surroundings, error::StepError, leaving::Leaving, render::Rendering, templated::Templated,
    types::Type,
};

/// `embed: {model, texts}`: one vector per text, in `vectors`. A text alone is a list of one.
#[derive(Debug)]
pub(crate) struct Embed {
    model: Alias,
    texts: Templated,
}

impl Embed {
    pub(super) const KEYS: [&str; 2] = ["model", "texts"];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "an embed step", &Self::KEYS, &["cache"], problems)?;
        let model = fields
            .require("model", "embedding")
            .and_then(|node| Alias::read(node, problems));
        let texts = fields
            .require("texts", "\"{{ input.text }}\"")
            .map(|node| Templated::read(node, problems));
        Some(Self {
            model: model?,
            texts: texts?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.texts.steps(steps);
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        check_embeds(&self.model, check);
        match self.texts.infer(check.scope, None, check.problems) {
            Type::Any { .. } | Type::Text { .. } | Type::Choice(_) => {}
            Type::List(of) if matches!(*of, Type::Any { .. } | Type::Text { .. } | Type::Choice(_)) => {}
            other => {
                let message = format!(
                    "`texts` must be text or a list of texts, and this is {}",
                    other.describe()
                );
                check.problems.add_plain(self.texts.position, message);
            }
        }
        Type::object([("vectors", Type::list(Type::list(Type::Number)))])
    }

    pub(super) async fn run(
        &self,
        step: &str,
        scope: &minijinja::Value,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        let texts = around.leaving().texts(self.texts(scope)?)?;
        let caller = &around.services(step)?.caller;
        let called = caller.embed(&self.model.name, &texts, &around.call(step)).await;
        Ok(json!({"vectors": bill.take(called, around.leaving())?.vectors}))
    }
}

impl Embed {
    fn texts(&self, scope: &minijinja::Value) -> Result<Vec<String>, StepError> {
        match self.texts.value(scope)? {
            Value::String(text) => Ok(vec![text]),
            Value::Array(items) if items.len() > MAX_EMBED_INPUTS => Err(StepError::TooMany {
                message: format!(
                    "`texts` has {} texts, {MAX_EMBED_INPUTS} are the most of one call: use a `map`",
                    items.len()
                ),
            }),
            Value::Array(items) => items.into_iter().map(text).collect(),
            _ => Err(not_texts()),
        }
    }

    /// Of its one request; how many texts are in it is not known.
    pub(super) fn worst(&self, models: &Models, once: bool) -> Worst {
        models.worst_call(std::slice::from_ref(&self.model.name), None, None, once)
    }

    /// Its request.
    pub(super) fn render(
        &self,
        step: &str,
        scope: &minijinja::Value,
        leaving: &Leaving,
        rendering: &Rendering<'_>,
    ) -> Result<(), StepError> {
        let texts = leaving.texts(self.texts(scope)?)?;
        rendering.embed(step, &self.model.name, &texts);
        Ok(())
    }
}

/// That the alias is an embedding model; its dimension.
pub(super) fn check_embeds(model: &Alias, check: &mut Check<'_>) -> Option<u32> {
    match model.resolve(check)?.kind {
        Kind::Embed { dimension } => Some(dimension),
        Kind::Chat { .. } => {
            let help = "an embedding model has a `dimension` in the models file";
            check.problems.add(
                model.position,
                format!("`{}` is a chat model and cannot embed", model.name),
                help,
            );
            None
        }
    }
}

fn text(value: Value) -> Result<String, StepError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(not_texts()),
    }
}

fn not_texts() -> StepError {
    StepError::Option {
        message: "`texts` must be text or a list of texts".to_owned(),
    }
}
