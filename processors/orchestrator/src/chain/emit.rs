//! `emit: {topic: acme.refunds, value: avro}` of a chain: the output of each run that completed goes to a topic of an
//! owner's as well, in the owner's Avro schema or as JSON. A chain that runs as a step of another emits nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use schemas::PlainEncoder;
use serde_json::Value;
use yaml::{Fields, Node, Position, Problems};

use super::{
    Chain, Ending, Failure,
    error::StepError,
    fits::{misfit, surplus},
    types::Type,
};

/// What Kafka lets a topic's name be.
const LONGEST_NAME: usize = 249;

#[derive(Debug)]
pub(crate) struct Emit {
    pub(crate) target: Target,
    position: Position,
    /// None where nobody asked what the topic takes, as when files are linted.
    writer: Option<Writer>,
}

/// Where it goes: an owner's topic, by its full name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) topic: String,
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    Avro,
    Json,
}

#[derive(Debug, Clone)]
pub(crate) enum Writer {
    Avro(PlainEncoder),
    Json,
}

/// Why a topic takes nothing.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) why: String,
    pub(crate) help: String,
}

/// What is known of the topics that chains emit to. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Targets(Arc<RwLock<BTreeMap<Target, Result<Writer, Refused>>>>);

/// The value of a record to be.
pub(crate) struct Emitted {
    pub(crate) topic: String,
    pub(crate) value: Bytes,
}

impl Emit {
    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "`emit`", &["topic", "value"], &[], problems)?;
        let topic = fields.require_scalar("topic", "acme.refunds", topic_name);
        let format = fields.require_scalar("value", "avro", |value| match value {
            "avro" => Ok(Format::Avro),
            "json" => Ok(Format::Json),
            _ => Err("must be avro, in the schema that the topic's owner registered, or json".to_owned()),
        });
        Some(Self {
            target: Target {
                topic: topic?.value,
                format: format?.value,
            },
            position: node.position,
            writer: None,
        })
    }

    /// Binds it to what its topic takes, if that is known.
    pub(super) fn bind(&mut self, output: &Type, targets: &Targets, problems: &Problems) {
        let Target { topic, .. } = &self.target;
        let writer = match targets.get(&self.target) {
            None => return,
            Some(Ok(writer)) => writer,
            Some(Err(Refused { why, help })) => return problems.add(self.position, why, help),
        };
        let wanted = writer.wanted();
        if let Some(why) = misfit(output, &wanted).or_else(|| surplus(output, &wanted)) {
            let message = format!("the output does not fit the Avro schema of `{topic}`: {why}");
            let help =
                format!("change `output`, or let the owner of the topic change the schema under `{topic}-value`");
            problems.add(self.position, message, help);
        }
        self.writer = Some(writer);
    }

    fn value_of(&self, output: &Value) -> Result<Bytes, StepError> {
        let topic = &self.target.topic;
        match &self.writer {
            Some(Writer::Avro(encoder)) => encoder.encode(output).map_err(|error| StepError::Emit {
                message: format!("the output cannot be emitted to `{topic}`: {error}"),
            }),
            Some(Writer::Json) => Ok(output.to_string().into()),
            None => Err(StepError::Emit {
                message: format!("nobody asked what `{topic}` takes before the chain was checked"),
            }),
        }
    }
}

impl Chain {
    /// Where it emits to.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.emit.as_ref().map(|emit| &emit.target)
    }

    /// What its topic gets when a run ends like that. An output that the topic does not take is a failure of the run.
    pub(crate) fn emitted(&self, ending: Ending) -> (Ending, Option<Emitted>) {
        let (Some(emit), Ending::Completed(output)) = (&self.emit, &ending) else {
            return (ending, None);
        };
        match emit.value_of(output) {
            Ok(value) => {
                let topic = emit.target.topic.clone();
                (ending, Some(Emitted { topic, value }))
            }
            Err(error) => {
                let failure = Failure {
                    class: error.class().to_owned(),
                    message: error.message(),
                    step: None,
                };
                (Ending::Failed(failure), None)
            }
        }
    }
}

impl Targets {
    pub(crate) fn set(&self, target: Target, known: Result<Writer, Refused>) {
        let mut targets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        targets.insert(target, known);
    }

    fn get(&self, target: &Target) -> Option<Result<Writer, Refused>> {
        let targets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        targets.get(target).cloned()
    }
}

impl Writer {
    fn wanted(&self) -> Type {
        match self {
            Self::Avro(encoder) => Type::of_schema(&encoder.json_schema()),
            Self::Json => Type::ANY,
        }
    }
}

fn topic_name(name: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_plain) || matches!(name, "." | "..") {
        return Err(format!(
            "must be the full name of a topic: 1 to {LONGEST_NAME} letters, digits, `.`, `_` and `-`"
        ));
    }
    Ok(name.to_owned())
}
