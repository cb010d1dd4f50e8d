use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use yaml::{Fields, Node, Problems};

use super::{Check, is_name};
use crate::chain::{
    bill::Bill,
    block::Block,
    context::Surroundings,
    error::StepError,
    frame::Frame,
    templated::Templated,
    types::{Field, Type},
};

/// Items at once, if the file does not say.
const DEFAULT_CONCURRENCY: usize = 8;

/// `map: {over, as, index_as, max_items, max_concurrency, on_error, steps}`: runs the steps for each item of a list; its
/// output is `items`, the outputs in the order of the list.
///
/// With `on_error: collect` an item that fails is left out of `items`, and `errors` says which and why.
#[derive(Debug)]
pub(crate) struct Map {
    over: Templated,
    item: String,
    index: Option<String>,
    max_items: usize,
    max_concurrency: usize,
    on_error: OnError,
    steps: Block,
}

/// What happens to the others when one part fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnError {
    /// They are stopped, and the step fails.
    Fail,
    /// They go on, and the output tells of it.
    Collect,
}

impl OnError {
    pub(super) fn read(written: &str) -> Result<Self, String> {
        match written {
            "fail" => Ok(Self::Fail),
            "collect" => Ok(Self::Collect),
            other => Err(format!("must be `fail` or `collect`, not `{other}`")),
        }
    }
}

impl Map {
    pub(super) const KEYS: [&str; 7] = [
        "over",
        "as",
        "index_as",
        "max_items",
        "max_concurrency",
        "on_error",
        "steps",
    ];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "a map step", &Self::KEYS, &[], problems)?;
        let over = fields.require("over", "\"{{ input.pages }}\"");
        let item = fields.require_scalar("as", "page", bound);
        let index = fields.get("index_as").map(|_| fields.scalar("index_as", bound));
        // Without it nobody could say beforehand what a run may cost.
        let max_items = fields.require_scalar("max_items", "100", yaml::count::<u32>);
        let max_concurrency = fields.scalar("max_concurrency", yaml::count::<u32>);
        let on_error = fields.scalar("on_error", OnError::read);
        let steps = fields.require("steps", "[{id: summary, …}]");
        let steps = steps.map(|node| Block::read(node, "`steps` of a map step", problems));
        // What is missing has been told; the steps can still be checked.
        Some(Self {
            over: Templated::read(over?, problems),
            item: item.map_or("item", |item| item.value).to_owned(),
            index: index.flatten().map(|index| index.value.to_owned()),
            max_items: max_items.map_or(0, |most| most.value as usize),
            max_concurrency: max_concurrency.map_or(DEFAULT_CONCURRENCY, |most| most.value as usize),
            on_error: on_error.map_or(OnError::Fail, |on_error| on_error.value),
            steps: steps?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.over.steps(steps);
        self.steps.reads(steps);
    }

    pub(super) fn max_items(&self) -> u64 {
        self.max_items as u64
    }

    pub(super) fn body(&self) -> &Block {
        &self.steps
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        let item = match self.over.infer(check.scope, None, check.problems) {
            Type::List(item) => *item,
            Type::Any { untrusted } => Type::Any { untrusted },
            other => {
                let message = format!("`over` must be a list, and this is {}", other.describe());
                check.problems.add_plain(self.over.position, message);
                Type::ANY
            }
        };
        let mut scope = check.scope.clone();
        let names = [(Some(&self.item), item), (self.index.as_ref(), Type::Number)];
        for (name, of) in names {
            let Some(name) = name else { continue };
            if scope.names.insert(name.clone(), Field::always(of)).is_some() {
                let message = format!("`{name}` is already a name here");
                check
                    .problems
                    .add(self.over.position, message, "choose another for `as` or `index_as`");
            }
        }
        let (_, output) = self.steps.check(&mut check.within(&scope));
        let mut fields = vec![("items", Type::list(output))];
        if self.on_error == OnError::Collect {
            let error = [
                ("index", Type::Number),
                ("class", Type::TEXT),
                ("message", Type::Text { untrusted: true }),
            ];
            fields.push(("errors", Type::list(Type::object(error))));
        }
        Type::object(fields)
    }

    pub(super) async fn run<'c>(
        &'c self,
        step: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        let items = match self.over.value(frame.scope())? {
            Value::Array(items) => items,
            _ => {
                let message = "`over` must be a list".to_owned();
                return Err(StepError::Option { message });
            }
        };
        if items.len() > self.max_items {
            let message = format!("`over` has {} items, `max_items` is {}", items.len(), self.max_items);
            return Err(StepError::TooMany { message });
        }
        let around = &around.stopped_apart();
        let each = |(index, item): (usize, Value)| async move {
            let mut spent = Bill::default();
            // What was left when another item failed is not begun.
            if let Err(error) = around.go_on() {
                return (index, Err(error), spent);
            }
            let names = [(self.item.as_str(), item)].into_iter();
            let frame = frame.with_names(names.chain(self.index.as_deref().map(|name| (name, json!(index)))));
            let inside = around.inside(step, format_args!("[{index}]"));
            let result = self.steps.output(&frame, &inside, &mut spent).await;
            (index, result, spent)
        };
        let mut outputs: Vec<Option<Value>> = vec![None; items.len()];
        let each: Vec<_> = items.into_iter().enumerate().map(each).collect();
        let mut running = stream::iter(each).buffer_unordered(self.max_concurrency);
        let (mut errors, mut failure) = (Vec::new(), None);
        while let Some((index, result, spent)) = running.next().await {
            bill.merge(spent);
            match result {
                Ok(output) => outputs[index] = Some(output),
                Err(error) if self.on_error == OnError::Collect && around.go_on().is_ok() => {
                    errors.push((index, error));
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
        let outputs: Vec<Value> = outputs.into_iter().flatten().collect();
        let mut output = json!({"items": outputs});
        if self.on_error == OnError::Collect {
            errors.sort_by_key(|(index, _)| *index);
            let told = errors
                .iter()
                .map(|(index, error)| json!({"index": index, "class": error.class(), "message": error.message()}));
            output["errors"] = told.collect();
        }
        Ok(output)
    }
}

/// A name that templates inside may read.
fn bound(written: &str) -> Result<&str, String> {
    match written {
        "input" | "params" | "steps" | "loop" => {
            Err(format!("must not be `{written}`, which has a meaning of its own"))
        }
        name if is_name(name) => Ok(name),
        other => Err(format!(
            "must be lower-case letters, digits and `_`, a letter first, not `{other}`"
        )),
    }
}
