//! The models file: providers, and the aliases under which chains name their models.
//!
//! It is read by hand from a tree with positions, not by serde, because every mistake is to be told at once with its
//! line, and because prices must stay exact. A field for a limit exists only if something enforces it.

mod document;
mod fields;
mod model;
mod price;
mod problem;
mod provider;

pub use model::{Kind, Model};
pub use price::Price;
pub use problem::{Position, Problem};
pub(crate) use provider::{Dialect, Provider};

use document::Node;
use fields::Fields;
use problem::Problems;
use provider::Secrets;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The models file that is used when none is given: `local` models, no key, no network. Its comments show the rest.
pub const DEFAULT_FILE: &str = include_str!("../../models.yaml");

/// What a models file says. Cheap to look into; shared by the caller and by whoever checks chains against it.
#[derive(Debug)]
pub struct Models {
    by_alias: BTreeMap<String, Arc<Model>>,
    pub(crate) redacted: bool,
}

impl Models {
    /// Reads `text`; `path` names it in messages and is where relative key files start. Keys come from the environment
    /// and from files.
    ///
    /// # Errors
    /// Every mistake of the file, in its order.
    pub fn load(text: &str, path: &str) -> Result<Self, Vec<Problem>> {
        Self::read(text, path, &|name| std::env::var(name).ok())
    }

    fn read(text: &str, path: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Problem>> {
        let problems = Problems::of(path);
        let folder = Path::new(path).parent().unwrap_or(Path::new("."));
        let models = match document::parse(text) {
            Ok(Some(root)) => file(&root, &problems, &Secrets { environment, folder }),
            Ok(None) => {
                let start = Position { line: 1, column: 1 };
                problems.add(
                    start,
                    "the file is empty",
                    "start from the one that ships: `providers:` and `models:`",
                );
                None
            }
            Err(e) => {
                problems.add(
                    e.position,
                    e.message,
                    "mend the line; check indentation and quotes above it",
                );
                None
            }
        };
        let empty = Self {
            by_alias: BTreeMap::new(),
            redacted: false,
        };
        problems.none_or(models.unwrap_or(empty))
    }

    pub fn get(&self, alias: &str) -> Option<&Arc<Model>> {
        self.by_alias.get(alias)
    }

    /// In alphabetical order.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.by_alias.keys().map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.by_alias.values()
    }
}

fn file(root: &Node, problems: &Problems, secrets: &Secrets<'_>) -> Option<Models> {
    let fields = Fields::of(root, "the models file", problems)?;
    let redacted = match fields.optional_text("audit", "write `full` or `hashes`") {
        None | Some(("full", _)) => false,
        Some(("hashes", _)) => true,
        Some((other, position)) => {
            fields.wrong(
                position,
                format!("`audit: {other}` is neither `full` nor `hashes`"),
                "write one of them",
            );
            false
        }
    };
    let listed = fields
        .required("providers", "")
        .and_then(|node| fields.nested(node, "providers"));
    let aliased = fields
        .required("models", "")
        .and_then(|node| fields.nested(node, "models"));
    fields.finish();
    let (listed, aliased) = (listed?, aliased?);

    let known: Vec<&str> = listed.entries().iter().map(|(key, _)| key.name.as_str()).collect();
    let providers: Vec<Arc<Provider>> = listed
        .entries()
        .iter()
        .filter_map(|(key, node)| {
            let fields = Fields::of(node, format!("provider `{}`", key.name), problems)?;
            provider::read(&key.name, &fields, secrets).map(Arc::new)
        })
        .collect();
    let by_alias = aliased
        .entries()
        .iter()
        .filter_map(|(key, node)| {
            let fields = Fields::of(node, format!("model `{}`", key.name), problems)?;
            let model = model::read(&key.name, &fields, &providers, &known)?;
            Some((key.name.clone(), Arc::new(model)))
        })
        .collect();
    Some(Models { by_alias, redacted })
}
