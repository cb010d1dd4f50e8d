use std::collections::BTreeSet;

use serde_json::{Map, Value};
use yaml::{Content, Fields, Node, Problems};

use super::{
    Check,
    at_once::{self, OnError},
    is_name,
};
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

    pub(super) fn blocks_mut(&mut self) -> Vec<&mut Block> {
        self.branches.iter_mut().map(|(_, block)| block).collect()
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
        let branch = |number: usize| async move {
            let (name, block) = &self.branches[number];
            let mut spent = Bill::default();
            let inside = around.inside(step, format_args!(".{name}"));
            let result = block.output(frame, &inside, &mut spent).await;
            (number, result, spent)
        };
        let parts = (0..self.branches.len()).map(branch);
        let ended = at_once::run(parts, self.max_concurrency, self.on_error, around, bill).await?;
        let (mut outputs, mut errors) = (Map::new(), Map::new());
        for (number, result) in ended {
            let name = self.branches[number].0.clone();
            match result {
                Ok(output) => outputs.insert(name, output),
                Err(error) => errors.insert(name, at_once::told(&error)),
            };
        }
        if self.on_error == OnError::Collect {
            outputs.insert("errors".to_owned(), Value::Object(errors));
        }
        Ok(Value::Object(outputs))
    }
}
