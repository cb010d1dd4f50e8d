//! The models file: providers, and the aliases under which chains name their models.
//!
//! A field for a limit exists only if something enforces it.

mod feature;
mod model;
mod price;
mod provider;

pub use feature::Feature;
pub use model::{Kind, Model};
pub use price::Price;
pub(crate) use price::nano_dollars;
pub(crate) use provider::{Dialect, Provider};
pub use yaml::{Position, Problem};

use provider::Secrets;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use yaml::{Content, Entry, Fields, Node, Problems};

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
        let secrets = Secrets { environment, folder };
        let models = Node::read(text, &problems).and_then(|root| file(&root, &problems, &secrets));
        problems.unless_any(models)
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
    let fields = Fields::of(
        root,
        "the models file",
        &["audit", "providers", "models"],
        &[],
        problems,
    )?;
    let redacted = fields.scalar("audit", |text| match text {
        "full" => Ok(false),
        "hashes" => Ok(true),
        other => Err(format!("must be `full` or `hashes`, not `{other}`")),
    });
    let listed = entries(&fields, "providers", "{local: {dialect: local}}");
    let aliased = entries(&fields, "models", "{answer: {provider: local, model: extractive}}");
    let (listed, aliased) = (listed?, aliased?);

    let known: Vec<&str> = listed.iter().map(|entry| entry.key.as_str()).collect();
    let providers: Vec<Arc<Provider>> = listed
        .iter()
        .filter_map(|entry| provider::read(&entry.key, &entry.value, problems, secrets).map(Arc::new))
        .collect();
    let by_alias = aliased
        .iter()
        .filter_map(|entry| {
            let model = model::read(&entry.key, &entry.value, problems, &providers, &known)?;
            Some((entry.key.clone(), Arc::new(model)))
        })
        .collect();
    Some(Models {
        by_alias,
        redacted: redacted.is_some_and(|redacted| redacted.value),
    })
}

/// A mapping whose keys are names that the file gives.
fn entries<'a>(fields: &Fields<'a>, key: &str, example: &str) -> Option<&'a [Entry]> {
    let node = fields.require(key, example)?;
    if let Content::Map(entries) = &node.content {
        return Some(entries);
    }
    fields.problems.add(
        node.position,
        format!("`{key}` must be a mapping, and this is {}", node.kind()),
        format!("for example `{key}: {example}`"),
    );
    None
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
                "5:15 `base_url` of provider `openai` must be an http or https URL without a password, such as \
                 `https://api.openai.com/v1` or `http://localhost:11434/v1`",
                "6:19 `grpc` is not a dialect this version speaks",
                "7:27 `tokens_per_minute` in provider `local` is not supported yet",
                "9:17 model `a` names the provider `opnai`, which is not in `providers`",
                "10:43 unknown key `tiemout` in model `b`",
                "13:12 `gpt` does not fit a local model as model `c` has it",
                "14:22 `initial` of `retry` of model `c` must be a length of time such as `500ms`, `20s`, `5m`, `12h` or \
                 `7d`, not `soon`",
                "15:31 `ngram` does not fit a local model as model `d` has it",
                "16:3 `b` is given twice",
            ]
        );
    }

    #[test]
    fn a_mistake_says_where_and_how_to_mend_it() {
        let problems = read("providers: {}\nmodels:\n  a: {provider: x, model: m, price: {input: 0,15}}").unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "models.yaml:3:17: model `a` names the provider `x`, which is not in `providers`\n  help: there is none"
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
        assert_eq!(found, ["2:44 `price` of model `m` needs `output`"]);
    }

    #[test]
    fn what_is_not_this_yaml_is_one_mistake() {
        assert_eq!(mistakes(""), ["1:1 the file is empty"]);
        assert_eq!(
            mistakes("- a"),
            ["1:1 the models file must be a mapping, and this is a list"]
        );
        assert_eq!(
            mistakes("providers: &x {}\nmodels: {}"),
            ["1:12 anchors are not supported"]
        );
        assert_eq!(mistakes("a: \"b").len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_models_or_mistakes(text in "(providers|models|: |\\{|\\}|\\[|\\]|- |\n  |\n|\"|'|price|free|dialect|local|.){0,40}") {
            let _ = read(&text);
        }
    }
}
