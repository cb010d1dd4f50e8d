use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};
use yaml::{Content, Fields, Node, Problems};

use super::{Check, is_name, map::OnError};
use crate::chain::{
    bill::Bill, block::Block, context::Surroundings, error::StepError, frame::Frame, types::Field, types::Type,
};

/// `parallel: {branches: {a: […], b: […]}, max_concurrency, on_error}`: its output has that of each branch under its name.
///
/// With `on_error: collect` a branch that fails is left out, and `errors` says why by its name.
#[derive(Debug)]
pub(crate) struct Parallel {
    branches: Vec<(String, Block)>,
    max_concurrency: usize,
    on_error: OnError,
}

impl Parallel {
    pub(super) const KEYS: [&str; 3] = ["branches", "max_concurrency", "on_error"];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "a parallel step", &Self::KEYS, &[], problems)?;
        let max_concurrency = fields.scalar("max_concurrency", yaml::count::<u32>);
        let on_error = fields.scalar("on_error", OnError::read);
        let branches = fields.require("branches", "{a: [{id: one, …}], b: [{id: other, …}]}")?;
        let Content::Map(entries) = &branches.content else {
            let message = format!("`branches` must be a mapping, and this is {}", branches.kind());
            problems.add(
                branches.position,
                message,
                "for example {a: [{id: one, …}], b: [{id: other, …}]}",
            );
            return None;
        };
        for entry in entries {
            if !is_name(&entry.key) || entry.key == "errors" {
                let message = format!("`{}` cannot be the name of a branch", entry.key);
                let help = "use lower-case letters, digits and `_`, a letter first, and not `errors`";
                problems.add(entry.position, message, help);
            }
        }
        let branch = |(name, node): (&String, &Node)| {
            let block = Block::read(node, &format!("branch `{name}`"), problems);
            (name.clone(), block)
        };
        Some(Self {
            branches: entries.iter().map(|entry| branch((&entry.key, &entry.value))).collect(),
            max_concurrency: max_concurrency.map_or(usize::MAX, |most| most.value as usize),
            on_error: on_error.map_or(OnError::Fail, |on_error| on_error.value),
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        for (_, block) in &self.branches {
            block.reads(steps);
        }
    }

    pub(super) fn blocks(&self) -> Vec<(&str, &Block)> {
        self.branches
            .iter()
            .map(|(name, block)| (name.as_str(), block))
            .collect()
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        let optional = self.on_error == OnError::Collect;
        let mut fields: Vec<(String, Field)> = Vec::new();
        for (name, block) in &self.branches {
            let of = block.check(check).1;
            fields.push((name.clone(), Field { of, optional }));
        }
        if optional {
            fields.push(("errors".to_owned(), Field::always(Type::Any { untrusted: true })));
        }
        Type::Object {
            fields: fields.into_iter().collect(),
            open: false,
        }
    }

    pub(super) async fn run<'c>(
        &'c self,
        step: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        let around = &around.stopped_apart();
        let branch = |(name, block): &'c (String, Block)| async move {
            let mut spent = Bill::default();
            let inside = around.inside(step, format_args!(".{name}"));
            let result = block.output(frame, &inside, &mut spent).await;
            (name, result, spent)
        };
        let branches: Vec<_> = self.branches.iter().map(branch).collect();
        let mut running = stream::iter(branches).buffer_unordered(self.max_concurrency);
        let (mut outputs, mut errors, mut failure) = (Map::new(), Map::new(), None);
        while let Some((name, result, spent)) = running.next().await {
            bill.merge(spent);
            match result {
                Ok(output) => {
                    outputs.insert(name.clone(), output);
                }
                Err(error) if self.on_error == OnError::Collect && around.go_on().is_ok() => {
                    let error = json!({"class": error.class(), "message": error.message()});
                    errors.insert(name.clone(), error);
                }
                Err(error) => {
                    around.stop.cancel();
                    failure.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        if self.on_error == OnError::Collect {
            outputs.insert("errors".to_owned(), Value::Object(errors));
        }
        Ok(Value::Object(outputs))
    }
}
