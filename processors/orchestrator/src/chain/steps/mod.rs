//! The steps of a chain. A kind of step is one file here and one arm of [`Kind`].

mod alias;
mod chat;
mod embed;
mod number;
mod retrieve;
mod transform;

use std::collections::BTreeSet;

use serde_json::Value;

use self::{chat::Chat, embed::Embed, retrieve::Retrieve, transform::Transform};
use yaml::{Fields, Node, Position, Problems};

use super::{bill::Bill, context::Surroundings, error::StepError, resources::Resources, types::Type, typing::Scope};

/// What a step of this version can be.
const KINDS: [&str; 4] = ["chat", "embed", "retrieve", "transform"];

/// What belongs to the language and not to this version: kinds of steps, and options of any step.
const LATER: [&str; 17] = [
    "rerank", "switch", "parallel", "map", "loop", "parse", "redact", "http", "chain", "approve", "when", "retry",
    "fallback", "timeout", "on_error", "budget", "journal",
];

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) position: Position,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Chat(Box<Chat>),
    Embed(Embed),
    Retrieve(Box<Retrieve>),
    Transform(Transform),
}

/// What a pass over the steps has at hand.
pub(crate) struct Check<'c> {
    pub(crate) scope: &'c Scope,
    pub(crate) resources: &'c Resources,
    pub(crate) problems: &'c Problems,
}

impl Step {
    pub(crate) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let known: Vec<&str> = ["id"].into_iter().chain(KINDS).collect();
        let fields = Fields::of(node, "a step", &known, &LATER, problems)?;
        let id = fields.require_text("id", "answer").and_then(|text| {
            let valid = text.value.starts_with(|first: char| first.is_ascii_lowercase())
                && text
                    .value
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if !valid {
                let help = "use lower-case letters, digits and `_`, a letter first: templates say steps.<id>";
                problems.add(
                    text.position_of(0, 0),
                    format!("`{}` cannot be the id of a step", text.value),
                    help,
                );
            }
            valid.then(|| text.value.clone())
        });
        let kinds: Vec<(&str, &Node)> = KINDS
            .into_iter()
            .filter_map(|kind| Some((kind, fields.get(kind)?)))
            .collect();
        let kind = match kinds.as_slice() {
            [(kind, node)] => Kind::read(kind, node, problems),
            [] => {
                if LATER.iter().all(|later| fields.get(later).is_none()) {
                    problems.add(
                        node.position,
                        "the step does nothing",
                        format!("give it one of: {}", KINDS.join(", ")),
                    );
                }
                None
            }
            [(first, _), (second, second_node), ..] => {
                let message = format!("the step is both `{first}` and `{second}`");
                problems.add(second_node.position, message, "make two steps of it");
                None
            }
        };
        Some(Self {
            id: id?,
            position: node.position,
            kind: kind?,
        })
    }

    /// The ids of the steps it reads, and so waits for.
    pub(crate) fn reads(&self) -> BTreeSet<String> {
        let mut steps = BTreeSet::new();
        match &self.kind {
            Kind::Chat(chat) => chat.reads(&mut steps),
            Kind::Embed(embed) => embed.reads(&mut steps),
            Kind::Retrieve(retrieve) => retrieve.reads(&mut steps),
            Kind::Transform(transform) => transform.reads(&mut steps),
        }
        steps
    }

    /// Checks it against what there is, and tells the type of its output.
    pub(crate) fn check(&self, check: &mut Check<'_>) -> Type {
        match &self.kind {
            Kind::Chat(chat) => chat.check(check),
            Kind::Embed(embed) => embed.check(check),
            Kind::Retrieve(retrieve) => retrieve.check(check),
            Kind::Transform(transform) => transform.check(check),
        }
    }

    /// Runs it to its output. What it paid is in `bill`, however it ends.
    pub(crate) async fn run(
        &self,
        scope: &minijinja::Value,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        match &self.kind {
            Kind::Chat(chat) => chat.run(&self.id, scope, around, bill).await,
            Kind::Embed(embed) => embed.run(&self.id, scope, around, bill).await,
            Kind::Retrieve(retrieve) => retrieve.run(&self.id, scope, around, bill).await,
            Kind::Transform(transform) => transform.run(scope),
        }
    }

    /// Its kind, as it is written in the file.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.kind {
            Kind::Chat(_) => "chat",
            Kind::Embed(_) => "embed",
            Kind::Retrieve(_) => "retrieve",
            Kind::Transform(_) => "transform",
        }
    }
}

impl Kind {
    fn read(kind: &str, node: &Node, problems: &Problems) -> Option<Self> {
        match kind {
            "chat" => Chat::read(node, problems).map(|chat| Self::Chat(Box::new(chat))),
            "embed" => Embed::read(node, problems).map(Self::Embed),
            "retrieve" => Retrieve::read(node, problems).map(|retrieve| Self::Retrieve(Box::new(retrieve))),
            "transform" => Some(Self::Transform(Transform::read(node, problems))),
            _ => None,
        }
    }
}
