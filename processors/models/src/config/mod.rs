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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Models, Vec<Problem>> {
        Models::read(text, "models.yaml", &|name| {
            (name == "KEY").then(|| "secret-word".to_owned())
        })
    }

    /// `line:column message` of every mistake.
    fn mistakes(text: &str) -> Vec<String> {
        let problems = read(text).unwrap_err();
        problems
            .iter()
            .map(|problem| format!("{} {}", problem.position, problem.message))
            .collect()
    }

    #[test]
    fn the_file_that_ships_needs_no_key() {
        let models = Models::read(DEFAULT_FILE, "models.yaml", &|_| None).unwrap();
        assert_eq!(models.aliases().collect::<Vec<_>>(), ["answer", "embedding"]);
        assert_eq!(models.get("embedding").unwrap().kind, Kind::Embed { dimension: 384 });
        assert!(models.get("answer").unwrap().price.is_free());
    }

    #[test]
    fn the_example_in_its_comments_is_right() {
        let example = DEFAULT_FILE
            .lines()
            .filter_map(|line| line.strip_prefix("#   "))
            .collect::<Vec<_>>()
            .join("\n");
        let models = read(&example.replace("OPENAI_API_KEY", "KEY")).unwrap();
        let answer = models.get("answer").unwrap();
        assert_eq!(
            answer.price,
            Price {
                input: 150_000_000,
                output: 600_000_000
            }
        );
        assert_eq!(models.get("embedding").unwrap().kind, Kind::Embed { dimension: 1536 });
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_places() {
        let found = mistakes(
            "providers:\n  openai:\n    dialect: openai\n    api_key_env: NOT_SET\n    base_url: localhost\n\
             \x20 mine: {dialect: grpc}\n  local: {dialect: local, tokens_per_minute: 5}\n\
             models:\n  a: {provider: opnai, model: m, price: free}\n  b: {provider: local, model: extractive, tiemout: 1}\n\
             \x20 c:\n    provider: local\n    model: gpt\n    retry: {initial: soon}\n  d: {provider: local, model: ngram, dimension: 9}\n\
             \x20 b: {provider: local, model: extractive, price: {input: 1, output: 1}}\n",
        );
        assert_eq!(
            found,
            [
                "4:18 the environment variable `NOT_SET` of provider `openai` is not set",
                "5:15 `base_url` of provider `openai` is not an http or https URL without a password",
                "6:19 `grpc` is not a dialect this version speaks",
                "7:46 `tokens_per_minute` of provider `local` is not supported yet",
                "9:17 model `a` names the provider `opnai`, which is not in `providers`",
                "10:43 model `b` has no field `tiemout`",
                "13:12 `gpt` does not fit a local model as model `c` has it",
                "14:22 `initial: soon` of `retry` of model `c` is not a duration",
                "15:31 `ngram` does not fit a local model as model `d` has it",
                "16:3 `b` is written twice in `models` of the models file",
                "16:6 model `b` is local and has a price",
            ]
        );
    }

    #[test]
    fn a_mistake_says_where_and_how_to_mend_it() {
        let problems = read("providers: {}\nmodels:\n  a: {provider: x, model: m, price: {input: 0,15}}").unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "models.yaml:3:17: model `a` names the provider `x`, which is not in `providers`\n  help: there is none yet"
        );
    }

    #[test]
    fn secrets_stay_out_of_the_file_and_of_what_is_printed() {
        let provider = |key: &str| format!("providers: {{p: {{dialect: openai, {key}}}}}\nmodels: {{}}");
        let found = mistakes(&provider("api_key: sk-123"));
        assert_eq!(found, ["1:43 provider `p` has its key in the file"]);
        let text =
            provider("api_key_env: KEY").replace("models: {}", "models: {m: {provider: p, model: m, price: free}}");
        assert!(!format!("{:?}", read(&text).unwrap()).contains("secret-word"));
    }

    #[test]
    fn a_price_is_never_forgotten_by_mistake() {
        let found = mistakes("providers: {p: {dialect: openai}}\nmodels: {m: {provider: p, model: m}}");
        assert_eq!(found, ["2:13 model `m` has no `price`"]);
        let found =
            mistakes("providers: {p: {dialect: openai}}\nmodels: {m: {provider: p, model: m, price: {input: 1}}}");
        assert_eq!(found, ["2:44 `price` of model `m` has no `output`"]);
    }

    #[test]
    fn what_is_not_this_yaml_is_one_mistake() {
        assert_eq!(mistakes(""), ["1:1 the file is empty"]);
        assert_eq!(mistakes("- a"), ["1:1 the models file is not a mapping"]);
        assert_eq!(
            mistakes("a: &x 1\nb: *x"),
            ["1:4 anchors, aliases and tags are not supported here"]
        );
        assert_eq!(mistakes(&"[".repeat(99)), ["1:17 nested deeper than 16 levels"]);
        assert_eq!(mistakes("a: \"b").len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_models_or_mistakes(text in "(providers|models|: |\\{|\\}|\\[|\\]|- |\n  |\n|\"|'|price|free|dialect|local|.){0,40}") {
            let _ = read(&text);
        }
    }
}
