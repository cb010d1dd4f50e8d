use std::collections::BTreeSet;

use models::Worst;
use serde_json::{Value, json};
use yaml::{Fields, Node, Problems};

use super::{
    Check,
    at_once::{self, OnError},
    is_name,
};
use crate::chain::{
    bill::Bill,
    block::Block,
    context::Surroundings,
    error::StepError,
    frame::Frame,
    resources::Resources,
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

    pub(super) fn worst(&self, resources: &Resources) -> Worst {
        let each = self.steps.worst(resources);
        each.at_once(self.max_items as u64, self.max_concurrency as u64)
    }

    pub(super) fn body(&self) -> &Block {
        &self.steps
    }

    pub(super) fn body_mut(&mut self) -> &mut Block {
        &mut self.steps
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        let item = match self.over.infer(check.scope, None, check.problems) {
            Type::List(item) => *item,
            Type::Any { untrusted } => Type::Any { untrusted },
            other => {
                let message = format!("`over` must be a list, and this is {}", other.describe());
                let help = "text becomes a list with `| lines` or `| split('\\n\\n')`; a fixed one is written [a, b]";
                check.problems.add(self.over.position, message, help);
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
            let names = [(self.item.as_str(), item)].into_iter();
            let frame = frame.with_names(names.chain(self.index.as_deref().map(|name| (name, json!(index)))));
            let inside = around.inside(step, format_args!("[{index}]"));
            let result = self.steps.output(&frame, &inside, &mut spent).await;
            (index, result, spent)
        };
        let parts = items.into_iter().enumerate().map(each);
        let ended = at_once::run(parts, self.max_concurrency, self.on_error, around, bill).await?;
        let (mut outputs, mut errors) = (Vec::with_capacity(ended.len()), Vec::new());
        for (index, result) in ended {
            match result {
                Ok(output) => outputs.push(output),
                Err(error) => {
                    let mut error = at_once::told(&error);
                    error["index"] = json!(index);
                    errors.push(error);
                }
            }
        }
        let mut output = json!({"items": outputs});
        if self.on_error == OnError::Collect {
            output["errors"] = Value::Array(errors);
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
