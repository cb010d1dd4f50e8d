//! The steps of a chain. A kind of step is one file here and one arm of [`Kind`].

mod alias;
mod at_once;
mod chat;
mod classes;
mod embed;
mod json_text;
mod map;
mod nested;
mod number;
mod options;
mod parallel;
mod parse;
mod redact;
mod repeat;
mod retrieve;
mod switch;
mod transform;

use std::{collections::BTreeSet, ops::Add};

use models::Worst;
use serde_json::Value;
use yaml::{Fields, Node, Position, Problems};

use self::{
    chat::Chat, embed::Embed, map::Map, nested::Nested, options::Options, parallel::Parallel, parse::Parse,
    redact::Redact, repeat::Repeat, retrieve::Retrieve, switch::Switch, transform::Transform,
};

use super::{
    bill::Bill,
    block::Block,
    context::Surroundings,
    error::{Failed, StepError},
    frame::Frame,
    render::Rendering,
    resources::Resources,
    types::{Field, Type},
    typing::Scope,
};

/// What a step of this version can be.
const KINDS: [&str; 11] = [
    "chat",
    "embed",
    "retrieve",
    "transform",
    "parse",
    "redact",
    "switch",
    "parallel",
    "map",
    "loop",
    "chain",
];

/// The keys of each kind that has any, and of every step: what the schema for editors must know.
#[cfg(test)]
pub(crate) fn vocabulary() -> Vec<(&'static str, Vec<&'static str>)> {
    let step = ["id"].into_iter().chain(KINDS).chain(options::KEYS);
    vec![
        ("chat", Chat::KEYS.into()),
        ("embed", Embed::KEYS.into()),
        ("retrieve", Retrieve::KEYS.into()),
        ("parse", Parse::KEYS.into()),
        ("redact", Redact::KEYS.into()),
        ("switch", Switch::KEYS.into()),
        ("parallel", Parallel::KEYS.into()),
        ("map", Map::KEYS.into()),
        ("loop", Repeat::KEYS.into()),
        ("chain", Nested::KEYS.into()),
        ("step", step.collect()),
    ]
}

/// What belongs to the language and not to this version: kinds of steps, and options of any step.
const LATER: [&str; 4] = ["rerank", "http", "approve", "journal"];

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) position: Position,
    options: Options,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Chat(Box<Chat>),
    Embed(Embed),
    Retrieve(Box<Retrieve>),
    Transform(Transform),
    Parse(Parse),
    Redact(Redact),
    Switch(Switch),
    Parallel(Parallel),
    Map(Box<Map>),
    Loop(Repeat),
    Chain(Box<Nested>),
}

/// What a pass over the steps has at hand.
pub(crate) struct Check<'c> {
    pub(crate) scope: &'c Scope,
    pub(crate) resources: &'c Resources,
    pub(crate) problems: &'c Problems,
}

impl Check<'_> {
    /// Inside of a step, where other names are known.
    fn within<'s>(&'s self, scope: &'s Scope) -> Check<'s> {
        Check { scope, ..*self }
    }
}

impl Step {
    pub(crate) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let known: Vec<&str> = ["id"].into_iter().chain(KINDS).chain(options::KEYS).collect();
        let fields = Fields::of(node, "a step", &known, &LATER, problems)?;
        let id = fields.require_text("id", "answer").and_then(|text| {
            let valid = is_name(&text.value);
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
        let options = Options::read(&fields);
        Some(Self {
            id: id?,
            position: node.position,
            options: options?,
            kind: kind?,
        })
    }

    /// The ids of the steps it reads, and so waits for.
    pub(crate) fn reads(&self) -> BTreeSet<String> {
        let mut steps = BTreeSet::new();
        self.options.reads(&mut steps);
        match &self.kind {
            Kind::Chat(chat) => chat.reads(&mut steps),
            Kind::Embed(embed) => embed.reads(&mut steps),
            Kind::Retrieve(retrieve) => retrieve.reads(&mut steps),
            Kind::Transform(transform) => transform.reads(&mut steps),
            Kind::Parse(parse) => parse.reads(&mut steps),
            Kind::Redact(redact) => redact.reads(&mut steps),
            Kind::Switch(switch) => switch.reads(&mut steps),
            Kind::Parallel(parallel) => parallel.reads(&mut steps),
            Kind::Map(map) => map.reads(&mut steps),
            Kind::Loop(repeat) => repeat.reads(&mut steps),
            Kind::Chain(nested) => nested.reads(&mut steps),
        }
        steps
    }

    /// Checks it against what there is, and tells the type of its output.
    pub(crate) fn check(&self, check: &mut Check<'_>) -> Field {
        let scope = self.options.scope(check.scope);
        let of = self.kind.check(&mut check.within(&scope));
        self.options.check(of, check)
    }
}

impl Kind {
    fn check(&self, check: &mut Check<'_>) -> Type {
        match self {
            Self::Chat(chat) => chat.check(check),
            Self::Embed(embed) => embed.check(check),
            Self::Retrieve(retrieve) => retrieve.check(check),
            Self::Transform(transform) => transform.check(check),
            Self::Parse(parse) => parse.check(check),
            Self::Redact(redact) => redact.check(check),
            Self::Switch(switch) => switch.check(check),
            Self::Parallel(parallel) => parallel.check(check),
            Self::Map(map) => map.check(check),
            Self::Loop(repeat) => repeat.check(check),
            Self::Chain(nested) => nested.check(check),
        }
    }
}

impl Step {
    /// Runs it to its output. What it paid is in `bill`, however it ends.
    pub(crate) async fn run<'c>(
        &'c self,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, Failed> {
        let name = around.name(&self.id);
        let ran = self.options.run(&self.kind, &name, frame, around, bill).await;
        ran.map_err(|error| Failed::of(&name, error))
    }

    /// Its kind, as it is written in the file.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.kind {
            Kind::Chat(_) => "chat",
            Kind::Embed(_) => "embed",
            Kind::Retrieve(_) => "retrieve",
            Kind::Transform(_) => "transform",
            Kind::Parse(_) => "parse",
            Kind::Redact(_) => "redact",
            Kind::Switch(_) => "switch",
            Kind::Parallel(_) => "parallel",
            Kind::Map(_) => "map",
            Kind::Loop(_) => "loop",
            Kind::Chain(_) => "chain",
        }
    }

    /// The blocks inside of it, by what leads there: `refund`, `default`, `fallback`.
    pub(crate) fn blocks(&self) -> Vec<(&str, &Block)> {
        let mut blocks = match &self.kind {
            Kind::Chat(chat) => chat.blocks(),
            Kind::Embed(_)
            | Kind::Retrieve(_)
            | Kind::Transform(_)
            | Kind::Parse(_)
            | Kind::Redact(_)
            | Kind::Chain(_) => Vec::new(),
            Kind::Switch(switch) => switch.blocks(),
            Kind::Parallel(parallel) => parallel.blocks(),
            Kind::Map(map) => vec![("each", map.body())],
            Kind::Loop(repeat) => vec![("round", repeat.body())],
        };
        blocks.extend(self.options.fallback().map(|block| ("fallback", block)));
        blocks
    }
}

impl Step {
    /// Adds the chains that it runs, by `name@version`.
    pub(crate) fn chains(&self, chains: &mut BTreeSet<String>) {
        if let Kind::Chain(nested) = &self.kind {
            chains.insert(nested.name().to_owned());
        }
        for (_, block) in self.blocks() {
            block.chains(chains);
        }
    }
}

impl Step {
    /// The most that it can cost.
    pub(crate) fn worst(&self, resources: &Resources) -> Worst {
        self.options.worst(|once| self.kind.worst(resources, once), resources)
    }
}

impl Kind {
    /// Of one attempt; `once` where the step tries again by itself.
    fn worst(&self, resources: &Resources, once: bool) -> Worst {
        let sum = |blocks: Vec<(&str, &Block)>| {
            let each = blocks.into_iter().map(|(_, block)| block.worst(resources));
            each.fold(Worst::NOTHING, Add::add)
        };
        match self {
            Self::Chat(chat) => chat.worst(resources, once),
            Self::Embed(embed) => embed.worst(&resources.models, once),
            Self::Retrieve(retrieve) => retrieve.worst(resources, once),
            Self::Transform(_) | Self::Parse(_) | Self::Redact(_) => Worst::NOTHING,
            Self::Switch(switch) => {
                let each = switch.blocks().into_iter().map(|(_, block)| block.worst(resources));
                each.fold(Worst::NOTHING, Worst::or)
            }
            Self::Parallel(parallel) => sum(parallel.blocks()),
            Self::Map(map) => map.body().worst(resources) * map.max_items(),
            Self::Loop(repeat) => repeat.body().worst(resources) * repeat.max(),
            Self::Chain(nested) => nested.worst(resources),
        }
    }

    fn read(kind: &str, node: &Node, problems: &Problems) -> Option<Self> {
        match kind {
            "chat" => Chat::read(node, problems).map(|chat| Self::Chat(Box::new(chat))),
            "embed" => Embed::read(node, problems).map(Self::Embed),
            "retrieve" => Retrieve::read(node, problems).map(|retrieve| Self::Retrieve(Box::new(retrieve))),
            "transform" => Some(Self::Transform(Transform::read(node, problems))),
            "parse" => Parse::read(node, problems).map(Self::Parse),
            "redact" => Redact::read(node, problems).map(Self::Redact),
            "switch" => Switch::read(node, problems).map(Self::Switch),
            "parallel" => Parallel::read(node, problems).map(Self::Parallel),
            "map" => Map::read(node, problems).map(|map| Self::Map(Box::new(map))),
            "loop" => Repeat::read(node, problems).map(Self::Loop),
            "chain" => Nested::read(node, problems).map(|nested| Self::Chain(Box::new(nested))),
            _ => None,
        }
    }

    /// Shows what it would send.
    fn render(&self, name: &str, frame: &Frame<'_>, rendering: &Rendering<'_>) -> Result<(), StepError> {
        match self {
            Self::Chat(chat) => chat.render(name, frame.scope(), rendering),
            Self::Embed(embed) => embed.render(name, frame.scope(), rendering),
            Self::Retrieve(_)
            | Self::Transform(_)
            | Self::Parse(_)
            | Self::Redact(_)
            | Self::Switch(_)
            | Self::Parallel(_)
            | Self::Map(_)
            | Self::Loop(_)
            | Self::Chain(_) => Ok(()),
        }
    }

    /// Whether it does nothing but reach outside of the run. A chat says by itself when it does: its tools are steps too.
    fn calls(&self) -> bool {
        matches!(self, Self::Embed(_) | Self::Retrieve(_))
    }

    async fn run<'c>(
        &'c self,
        name: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        // A block waits for a limit when what is in it does.
        let _under_way = self.calls().then(|| around.idle.step());
        match self {
            Self::Chat(chat) => chat.run(name, frame, around, bill).await,
            Self::Embed(embed) => embed.run(name, frame.scope(), around, bill).await,
            Self::Retrieve(retrieve) => retrieve.run(name, frame.scope(), around, bill).await,
            Self::Transform(transform) => transform.run(frame.scope()),
            Self::Parse(parse) => parse.run(frame.scope()),
            Self::Redact(redact) => redact.run(frame.scope()),
            Self::Switch(switch) => switch.run(name, frame, around, bill).await,
            Self::Parallel(parallel) => parallel.run(name, frame, around, bill).await,
            Self::Map(map) => map.run(name, frame, around, bill).await,
            Self::Loop(repeat) => repeat.run(name, frame, around, bill).await,
            Self::Chain(nested) => nested.run(name, frame, around, bill).await,
        }
    }
}

/// Whether templates can name it.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
