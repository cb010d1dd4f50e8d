//! What a chat asks of its models, held against what the models file says that they can. A model of which the file says nothing
//! is refused nothing.

use models::{ChatRequest, Feature, Kind};

use crate::chain::steps::{Check, alias::Alias};

/// Each alias must be able to do it, and have room for what is `said` in every run: any of them may be the one that answers.
pub(super) fn check(models: &[Alias], asked: &[Feature], said: &ChatRequest, check: &mut Check<'_>) {
    for alias in models {
        let found = alias.resolve(check).map(|model| {
            let lacks = asked.iter().copied().filter(|feature| model.lacks(*feature));
            (model.kind, lacks.collect::<Vec<_>>(), model.has_room(said))
        });
        match found {
            None => {}
            Some((Kind::Embed { .. }, ..)) => {
                let message = format!("`{}` is an embedding model and cannot chat", alias.name);
                check
                    .problems
                    .add(alias.position, message, "name a chat model of the models file");
            }
            Some((Kind::Chat { .. }, lacks, room)) => {
                if let Err(why) = room {
                    let message = format!("`{}` has no room for the messages of this file: {why}", alias.name);
                    check.problems.add(
                        alias.position,
                        message,
                        "shorten them, or ask a model with a larger `context`",
                    );
                }
                for feature in lacks {
                    let message = format!("`{}` cannot {}", alias.name, asks(feature));
                    let help = format!(
                        "ask another model, or add `{}` to its `features` in the models file if it can",
                        feature.as_str()
                    );
                    check.problems.add(alias.position, message, help);
                }
            }
        }
    }
}

fn asks(feature: Feature) -> &'static str {
    match feature {
        Feature::Tools => "use `tools`",
        Feature::JsonSchema => "be held to a JSON Schema by its provider, as `output` asks",
        Feature::Images => "see the images in `messages`",
        Feature::Streaming => "stream, as `stream: true` asks",
    }
}
