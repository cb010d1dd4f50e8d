//! What templates see at one place of a run.

use std::{collections::BTreeMap, sync::Arc};

use minijinja::Value as Scoped;
use serde_json::Value;

use super::Accepted;

/// `input`, `params`, the outputs of the steps that are done, and the names that the steps around this place bind (`as` of a
/// `map`, say). Values are shared, not copied, and so are the maps: a run keeps a frame for each step under way.
#[derive(Debug, Clone)]
pub(crate) struct Frame<'c> {
    names: Arc<Names<'c>>,
    steps: Arc<Names<'c>>,
    scope: Scoped,
}

type Names<'c> = BTreeMap<&'c str, Scoped>;

impl<'c> Frame<'c> {
    pub(crate) fn new(accepted: &Accepted) -> Self {
        let names = [("input", &accepted.input), ("params", &accepted.params)];
        let names = names.map(|(name, value)| (name, Scoped::from_serialize(value)));
        Self::of(Arc::new(names.into()), Arc::default())
    }

    fn of(names: Arc<Names<'c>>, steps: Arc<Names<'c>>) -> Self {
        let outputs: Scoped = steps.iter().map(|(id, output)| (*id, output.clone())).collect();
        let scope = names.iter().map(|(name, value)| (*name, value.clone()));
        let scope = scope.chain([("steps", outputs)]).collect();
        Self { names, steps, scope }
    }

    /// For templates to render with.
    pub(crate) fn scope(&self) -> &Scoped {
        &self.scope
    }

    pub(crate) fn is_done(&self, step: &str) -> bool {
        self.steps.contains_key(step)
    }

    pub(crate) fn output(&self, step: &str) -> Option<&Scoped> {
        self.steps.get(step)
    }

    /// With the output of a step that is done now.
    pub(crate) fn with_output(&self, id: &'c str, output: &Value) -> Self {
        let mut steps = Names::clone(&self.steps);
        steps.insert(id, Scoped::from_serialize(output));
        Self::of(Arc::clone(&self.names), Arc::new(steps))
    }

    /// With names for what stands inside of a step.
    pub(crate) fn with_names(&self, bound: impl IntoIterator<Item = (&'c str, Value)>) -> Self {
        let mut names = Names::clone(&self.names);
        names.extend(
            bound
                .into_iter()
                .map(|(name, value)| (name, Scoped::from_serialize(&value))),
        );
        Self::of(Arc::new(names), Arc::clone(&self.steps))
    }
}
