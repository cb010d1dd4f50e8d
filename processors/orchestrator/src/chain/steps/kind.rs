//! What a step can be: every pass over steps as one `match`. A new kind is an arm in each, and a file.

use std::collections::BTreeSet;

use models::Worst;
use serde_json::Value;
use yaml::{Node, Problems};

use super::{
    Check, approve::Approve, chat::Chat, embed::Embed, http::Http, map::Map, nested::Nested, parallel::Parallel,
    parse::Parse, redact::Redact, repeat::Repeat, rerank::Rerank, retrieve::Retrieve, switch::Switch,
    transform::Transform,
};
use crate::chain::{
    bill::Bill, block::Block, context::Surroundings, error::StepError, frame::Frame, render::Rendering,
    resources::Resources, types::Type,
};

#[derive(Debug)]
pub(super) enum Kind {
    Chat(Box<Chat>),
    Embed(Embed),
    Retrieve(Box<Retrieve>),
    Http(Box<Http>),
    Rerank(Box<Rerank>),
    Transform(Transform),
    Parse(Parse),
    Redact(Redact),
    Switch(Switch),
    Parallel(Parallel),
    Map(Box<Map>),
    Loop(Repeat),
    Chain(Box<Nested>),
    Approve(Box<Approve>),
}

impl Kind {
    /// As they are written in a file.
    pub(super) const NAMES: [&str; 14] = [
        "chat",
        "embed",
        "retrieve",
        "http",
        "rerank",
        "transform",
        "parse",
        "redact",
        "switch",
        "parallel",
        "map",
        "loop",
        "chain",
        "approve",
    ];

    pub(super) fn read(kind: &str, node: &Node, problems: &Problems) -> Option<Self> {
        match kind {
            "chat" => Chat::read(node, problems).map(|chat| Self::Chat(Box::new(chat))),
            "embed" => Embed::read(node, problems).map(Self::Embed),
            "retrieve" => Retrieve::read(node, problems).map(|retrieve| Self::Retrieve(Box::new(retrieve))),
            "http" => Http::read(node, problems).map(|http| Self::Http(Box::new(http))),
            "rerank" => Rerank::read(node, problems).map(|rerank| Self::Rerank(Box::new(rerank))),
            "transform" => Some(Self::Transform(Transform::read(node, problems))),
            "parse" => Parse::read(node, problems).map(Self::Parse),
            "redact" => Redact::read(node, problems).map(Self::Redact),
            "switch" => Switch::read(node, problems).map(Self::Switch),
            "parallel" => Parallel::read(node, problems).map(Self::Parallel),
            "map" => Map::read(node, problems).map(|map| Self::Map(Box::new(map))),
            "loop" => Repeat::read(node, problems).map(Self::Loop),
            "chain" => Nested::read(node, problems).map(|nested| Self::Chain(Box::new(nested))),
            "approve" => Approve::read(node, problems).map(|approve| Self::Approve(Box::new(approve))),
            _ => None,
        }
    }

    /// Its name in the file.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Chat(_) => "chat",
            Self::Embed(_) => "embed",
            Self::Retrieve(_) => "retrieve",
            Self::Http(_) => "http",
            Self::Rerank(_) => "rerank",
            Self::Transform(_) => "transform",
            Self::Parse(_) => "parse",
            Self::Redact(_) => "redact",
            Self::Switch(_) => "switch",
            Self::Parallel(_) => "parallel",
            Self::Map(_) => "map",
            Self::Loop(_) => "loop",
            Self::Chain(_) => "chain",
            Self::Approve(_) => "approve",
        }
    }

    /// Adds the ids of the steps it reads.
    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        match self {
            Self::Chat(chat) => chat.reads(steps),
            Self::Embed(embed) => embed.reads(steps),
            Self::Retrieve(retrieve) => retrieve.reads(steps),
            Self::Http(http) => http.reads(steps),
            Self::Rerank(rerank) => rerank.reads(steps),
            Self::Transform(transform) => transform.reads(steps),
            Self::Parse(parse) => parse.reads(steps),
            Self::Redact(redact) => redact.reads(steps),
            Self::Switch(switch) => switch.reads(steps),
            Self::Parallel(parallel) => parallel.reads(steps),
            Self::Map(map) => map.reads(steps),
            Self::Loop(repeat) => repeat.reads(steps),
            Self::Chain(nested) => nested.reads(steps),
            Self::Approve(approve) => approve.reads(steps),
        }
    }

    /// The blocks inside of it, by what leads there.
    pub(super) fn blocks(&self) -> Vec<(&str, &Block)> {
        match self {
            Self::Chat(chat) => chat.blocks(),
            Self::Embed(_)
            | Self::Retrieve(_)
            | Self::Http(_)
            | Self::Rerank(_)
            | Self::Transform(_)
            | Self::Parse(_)
            | Self::Redact(_)
            | Self::Chain(_)
            | Self::Approve(_) => Vec::new(),
            Self::Switch(switch) => switch.blocks(),
            Self::Parallel(parallel) => parallel.blocks(),
            Self::Map(map) => vec![("each", map.body())],
            Self::Loop(repeat) => vec![("round", repeat.body())],
        }
    }

    /// See [`super::Step::rooms`].
    pub(super) fn rooms(&self) -> Option<Vec<(String, &Block)>> {
        let way = |name: &str| match self {
            Self::Map(_) | Self::Loop(_) => "[].".to_owned(),
            Self::Chat(_) => format!(".{name}[]."),
            _ => format!(".{name}."),
        };
        match self {
            Self::Chain(nested) => Some(vec![(".".to_owned(), nested.steps()?)]),
            _ => Some(
                self.blocks()
                    .into_iter()
                    .map(|(name, block)| (way(name), block))
                    .collect(),
            ),
        }
    }

    pub(super) fn blocks_mut(&mut self) -> Vec<&mut Block> {
        match self {
            Self::Chat(chat) => chat.blocks_mut(),
            Self::Embed(_)
            | Self::Retrieve(_)
            | Self::Rerank(_)
            | Self::Http(_)
            | Self::Transform(_)
            | Self::Parse(_)
            | Self::Redact(_)
            | Self::Chain(_)
            | Self::Approve(_) => Vec::new(),
            Self::Switch(switch) => switch.blocks_mut(),
            Self::Parallel(parallel) => parallel.blocks_mut(),
            Self::Map(map) => vec![map.body_mut()],
            Self::Loop(repeat) => vec![repeat.body_mut()],
        }
    }

    /// Whether it calls a model or an index by itself, so that `defaults` are for it.
    pub(super) fn is_outside(&self) -> bool {
        match self {
            Self::Chat(_) | Self::Embed(_) | Self::Retrieve(_) | Self::Rerank(_) => true,
            Self::Http(_)
            | Self::Transform(_)
            | Self::Parse(_)
            | Self::Redact(_)
            | Self::Switch(_)
            | Self::Parallel(_)
            | Self::Map(_)
            | Self::Loop(_)
            | Self::Chain(_)
            | Self::Approve(_) => false,
        }
    }

    /// Adds the chain that it runs, by `name@version`.
    pub(super) fn chains(&self, chains: &mut BTreeSet<String>) {
        if let Self::Chain(nested) = self {
            chains.insert(nested.name().to_owned());
        }
    }

    /// Whether it waits for a person by itself, or by the chain that it runs.
    pub(super) fn waits(&self) -> bool {
        match self {
            Self::Approve(_) => true,
            Self::Chain(nested) => nested.waits(),
            Self::Chat(_)
            | Self::Embed(_)
            | Self::Retrieve(_)
            | Self::Http(_)
            | Self::Rerank(_)
            | Self::Transform(_)
            | Self::Parse(_)
            | Self::Redact(_)
            | Self::Switch(_)
            | Self::Parallel(_)
            | Self::Map(_)
            | Self::Loop(_) => false,
        }
    }

    /// Checks it against what there is, and tells the type of its output.
    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        match self {
            Self::Chat(chat) => chat.check(check),
            Self::Embed(embed) => embed.check(check),
            Self::Retrieve(retrieve) => retrieve.check(check),
            Self::Http(http) => http.check(check),
            Self::Rerank(rerank) => rerank.check(check),
            Self::Transform(transform) => transform.check(check),
            Self::Parse(parse) => parse.check(check),
            Self::Redact(redact) => redact.check(check),
            Self::Switch(switch) => switch.check(check),
            Self::Parallel(parallel) => parallel.check(check),
            Self::Map(map) => map.check(check),
            Self::Loop(repeat) => repeat.check(check),
            Self::Chain(nested) => nested.check(check),
            Self::Approve(approve) => approve.check(check),
        }
    }

    /// Of one attempt; `once` where the step tries again by itself.
    pub(super) fn worst(&self, resources: &Resources, once: bool) -> Worst {
        match self {
            Self::Chat(chat) => chat.worst(resources, once),
            Self::Embed(embed) => embed.worst(&resources.models, once),
            Self::Retrieve(retrieve) => retrieve.worst(resources, once),
            // What Pinecone bills, a rerank or the reads of a retrieval, is not in the books.
            Self::Rerank(_) => Worst::taking(Some(resources.pinecone_timeout)),
            Self::Http(_) => Worst::taking(None),
            Self::Transform(_) | Self::Parse(_) | Self::Redact(_) | Self::Approve(_) => Worst::NOTHING,
            Self::Switch(switch) => {
                let each = switch.blocks().into_iter().map(|(_, block)| block.worst(resources));
                each.fold(Worst::NOTHING, Worst::or)
            }
            Self::Parallel(parallel) => {
                let each = parallel.blocks().into_iter().map(|(_, block)| block.worst(resources));
                each.fold(Worst::NOTHING, Worst::beside)
            }
            Self::Map(map) => map.worst(resources),
            Self::Loop(repeat) => repeat.body().worst(resources) * repeat.max(),
            Self::Chain(nested) => nested.worst(resources),
        }
    }

    /// Shows what it would send.
    pub(super) fn render(
        &self,
        name: &str,
        frame: &Frame<'_>,
        around: &Surroundings<'_>,
        rendering: &Rendering<'_>,
    ) -> Result<(), StepError> {
        match self {
            Self::Chat(chat) => chat.render(name, frame.scope(), around.leaving(), rendering),
            Self::Embed(embed) => embed.render(name, frame.scope(), around.leaving(), rendering),
            Self::Rerank(rerank) => rerank.render(name, frame.scope(), around.leaving(), rendering),
            Self::Http(http) => http.render(name, frame.scope(), around, rendering),
            Self::Retrieve(_)
            | Self::Transform(_)
            | Self::Parse(_)
            | Self::Redact(_)
            | Self::Switch(_)
            | Self::Parallel(_)
            | Self::Map(_)
            | Self::Loop(_)
            | Self::Chain(_)
            | Self::Approve(_) => Ok(()),
        }
    }

    /// Whether it does nothing but reach outside of the run. A chat says by itself when it does: its tools are steps too.
    fn calls(&self) -> bool {
        matches!(
            self,
            Self::Embed(_) | Self::Retrieve(_) | Self::Http(_) | Self::Rerank(_)
        )
    }

    pub(super) async fn run<'c>(
        &'c self,
        name: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        // A block waits for a limit when what is in it does.
        let _under_way = self.calls().then(|| around.idle.step());
        // What waits for others is boxed: each step has the room that its kind needs, not that of the largest.
        match self {
            Self::Chat(chat) => Box::pin(chat.run(name, frame, around, bill)).await,
            Self::Embed(embed) => Box::pin(embed.run(name, frame.scope(), around, bill)).await,
            Self::Retrieve(retrieve) => Box::pin(retrieve.run(name, frame.scope(), around, bill)).await,
            Self::Http(http) => Box::pin(http.run(name, frame.scope(), around)).await,
            Self::Rerank(rerank) => Box::pin(rerank.run(name, frame.scope(), around)).await,
            Self::Transform(transform) => transform.run(frame.scope()),
            Self::Parse(parse) => parse.run(frame.scope(), around),
            Self::Redact(redact) => redact.run(frame.scope()),
            Self::Switch(switch) => switch.run(name, frame, around, bill).await,
            Self::Parallel(parallel) => parallel.run(name, frame, around, bill).await,
            Self::Map(map) => map.run(name, frame, around, bill).await,
            Self::Loop(repeat) => repeat.run(name, frame, around, bill).await,
            Self::Chain(nested) => nested.run(name, frame, around, bill).await,
            Self::Approve(approve) => approve.run(name, frame.scope(), around),
        }
    }
}

/// The keys of each kind that has any, and of every step: what the schema for editors must know.
#[cfg(test)]
pub(crate) fn vocabulary() -> Vec<(&'static str, Vec<&'static str>)> {
    let step = ["id"].into_iter().chain(Kind::NAMES).chain(super::options::KEYS);
    vec![
        ("chat", Chat::KEYS.into()),
        ("embed", Embed::KEYS.into()),
        ("retrieve", Retrieve::KEYS.into()),
        ("http", Http::KEYS.into()),
        ("rerank", Rerank::KEYS.into()),
        ("parse", Parse::KEYS.into()),
        ("redact", Redact::KEYS.into()),
        ("switch", Switch::KEYS.into()),
        ("parallel", Parallel::KEYS.into()),
        ("map", Map::KEYS.into()),
        ("loop", Repeat::KEYS.into()),
        ("chain", Nested::KEYS.into()),
        ("approve", Approve::KEYS.into()),
        ("step", step.collect()),
    ]
}
