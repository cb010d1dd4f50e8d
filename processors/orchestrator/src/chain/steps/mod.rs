//! The steps of a chain. A kind of step is one file here and one arm of [`Kind`].

mod alias;
mod approve;
mod at_once;
mod chat;
mod classes;
mod defaults;
mod embed;
mod http;
mod json_text;
mod kind;
mod map;
mod nested;
mod number;
mod options;
mod parallel;
mod parse;
mod redact;
mod repeat;
mod rerank;
mod retrieve;
mod switch;
mod transform;

use std::collections::BTreeSet;

use models::Worst;
use serde_json::Value;
use tokio::time::Instant;
use yaml::{Fields, Node, Position, Problems};

pub(crate) use self::defaults::Defaults;
#[cfg(test)]
pub(crate) use self::kind::vocabulary;
use self::{kind::Kind, options::Options};

use super::{
    bill::Bill,
    block::Block,
    context::Surroundings,
    error::{Failed, StepError},
    frame::Frame,
    resources::Resources,
    trail::Way,
    types::Field,
    typing::Scope,
};

/// What belongs to the language and not to this version: kinds of steps, and options of any step.
const LATER: [&str; 1] = ["journal"];

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) position: Position,
    options: Options,
    kind: Kind,
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
        let known: Vec<&str> = ["id"].into_iter().chain(Kind::NAMES).chain(options::KEYS).collect();
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
        let kinds: Vec<(&str, &Node)> = Kind::NAMES
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
                        format!("give it one of: {}", Kind::NAMES.join(", ")),
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

    /// It and what is inside of it take over what they do not say themselves.
    pub(crate) fn default_to(&mut self, defaults: &Defaults) {
        if self.kind.is_outside() {
            self.options.default_to(defaults);
        }
        for block in self.kind.blocks_mut().into_iter().chain(self.options.fallback_mut()) {
            block.default_to(defaults);
        }
    }

    /// The ids of the steps it reads, and so waits for.
    pub(crate) fn reads(&self) -> BTreeSet<String> {
        let mut steps = BTreeSet::new();
        self.options.reads(&mut steps);
        self.kind.reads(&mut steps);
        steps
    }

    /// Checks it against what there is, and tells the type of its output.
    pub(crate) fn check(&self, check: &mut Check<'_>) -> Field {
        let scope = self.options.scope(check.scope);
        let of = self.kind.check(&mut check.within(&scope));
        self.options.check(of, check)
    }

    /// Runs it to its output. What it paid is in `bill`, however it ends.
    pub(crate) async fn run<'c>(
        &'c self,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, Failed> {
        let name = around.name(&self.id);
        let (began, kind) = (Instant::now(), self.kind.name());
        if let Some(output) = around.turn.given(&name) {
            around.trail.ended(&name, kind, began, 0, Ok(Way::Kept));
            return Ok(output);
        }
        let mut attempts = 0;
        let ran = self
            .options
            .run(&self.kind, &name, frame, around, &mut attempts, bill)
            .await;
        let outcome = ran.as_ref().map(|(way, _)| *way).map_err(StepError::class);
        around.trail.ended(&name, kind, began, attempts, outcome);
        match ran {
            Ok((_, output)) => {
                around.turn.keep(&name, &output);
                Ok(output)
            }
            Err(error) => Err(Failed::of(&name, error)),
        }
    }

    /// Whether it may wait for a person, or a step inside of it.
    pub(crate) fn interrupts(&self) -> bool {
        self.kind.waits() || self.blocks().into_iter().any(|(_, block)| block.interrupts())
    }

    /// Its kind, as it is written in the file.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind.name()
    }

    /// The blocks inside of it, by what leads there: `refund`, `default`, `fallback`.
    pub(crate) fn blocks(&self) -> Vec<(&str, &Block)> {
        let mut blocks = self.kind.blocks();
        blocks.extend(self.options.fallback().map(|block| ("fallback", block)));
        blocks
    }

    /// The blocks inside of it and of the chain that it runs, each with what stands between its name and theirs on the way:
    /// `.refund.`, `[].`; none if that chain is not known.
    pub(crate) fn rooms(&self) -> Option<Vec<(String, &Block)>> {
        let mut rooms = self.kind.rooms()?;
        rooms.extend(self.options.fallback().map(|block| (".fallback.".to_owned(), block)));
        Some(rooms)
    }

    /// Adds the chains that it runs, by `name@version`.
    pub(crate) fn chains(&self, chains: &mut BTreeSet<String>) {
        self.kind.chains(chains);
        for (_, block) in self.blocks() {
            block.chains(chains);
        }
    }

    /// The most that it can cost.
    pub(crate) fn worst(&self, resources: &Resources) -> Worst {
        self.options.worst(|once| self.kind.worst(resources, once), resources)
    }
}

/// Whether templates can name it.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
