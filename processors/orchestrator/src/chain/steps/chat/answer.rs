use models::{Message, Role};
use serde_json::Value;
use yaml::{Fields, Node, Problems};

use crate::chain::{schema::Schema, steps::json_text, types::Type};

/// A model that has not managed by then will not.
const MAX_REPAIRS: u32 = 5;

/// `output: {schema, repair}` of a chat: its answer is JSON that fits a schema.
#[derive(Debug)]
pub(super) struct Answer {
    schema: Schema,
    repair: u32,
}

impl Answer {
    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let later = ["schema_ref", "strict", "method"];
        let output = Fields::of(node, "`output` of a chat step", &["schema", "repair"], &later, problems)?;
        let schema = output.require("schema", "{type: object}");
        let schema = schema.and_then(|schema| Schema::read(schema, "`output.schema`", problems));
        let repair = output.get("repair").map(|_| output.scalar("repair", repairs));
        Some(Self {
            schema: schema?,
            repair: repair.map_or(Some(0), |repair| Some(repair?.value))?,
        })
    }

    pub(super) fn type_of(&self) -> Type {
        self.schema.type_of()
    }

    /// How often a model is told what is wrong with its answer, and asked again. Each time is a paid call.
    pub(super) fn repairs(&self) -> u32 {
        self.repair
    }

    /// The value in an answer.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub(super) fn json(&self, text: &str) -> Result<Value, String> {
        let json = json_text::read(text)?;
        self.schema.check(&json).map(|()| json)
    }
}

/// What follows an answer that does not fit. These are the only words that a model gets which are not in the chain's file.
pub(super) fn objection(answer: String, mistake: &str) -> [Message; 2] {
    let content = format!("That answer cannot be used: {mistake}. Answer again, with nothing but the JSON.");
    [Message::new(Role::Assistant, answer), Message::new(Role::User, content)]
}

fn repairs(written: &str) -> Result<u32, String> {
    match written.parse() {
        Ok(repairs) if repairs <= MAX_REPAIRS => Ok(repairs),
        Ok(_) | Err(_) => Err(format!(
            "must be a whole number from 0 to {MAX_REPAIRS}, not `{written}`"
        )),
    }
}
