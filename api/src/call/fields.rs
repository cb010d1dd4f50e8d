//! A JSON object that is read member by member, with every mistake at once.

use serde_json::{Map, Value};

use crate::problem::{Mistake, Problem};

/// The members of an object that are not looked at yet, and the mistakes found in the others. A null member is an
/// absent one, as LangServe has it; only `input` may be null.
pub(super) struct Fields {
    at: Vec<String>,
    left: Map<String, Value>,
    pub mistakes: Vec<Mistake>,
}

impl Fields {
    pub fn of(value: Value, at: &[&str]) -> Result<Self, Problem> {
        let at: Vec<String> = at.iter().map(|&part| part.to_owned()).collect();
        match value {
            Value::Object(left) => Ok(Self {
                at,
                left,
                mistakes: Vec::new(),
            }),
            _ => Err(Problem::invalid(vec![Mistake {
                loc: at,
                msg: "Input should be an object".to_owned(),
                kind: "dict_type".into(),
            }])),
        }
    }

    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.left.shift_remove(name).filter(|value| !value.is_null())
    }

    pub fn required(&mut self, name: &str) -> Option<Value> {
        let value = self.left.shift_remove(name);
        if value.is_none() {
            self.mistake(name, "Field required", "missing");
        }
        value
    }

    pub fn string(&mut self, name: &str, value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            _ => {
                self.mistake(name, "Input should be a string", "string_type");
                None
            }
        }
    }

    /// Empty when it is absent.
    pub fn object(&mut self, name: &str) -> Map<String, Value> {
        match self.take(name) {
            None => Map::new(),
            Some(Value::Object(members)) => members,
            Some(_) => {
                self.mistake(name, "Input should be an object", "dict_type");
                Map::new()
            }
        }
    }

    pub fn nested(&mut self, name: &str) -> Self {
        let at = self.at.iter().cloned().chain([name.to_owned()]).collect();
        Self {
            at,
            left: self.object(name),
            mistakes: Vec::new(),
        }
    }

    pub fn mistake(&mut self, name: &str, msg: &str, kind: &'static str) {
        let loc = self.at.iter().cloned().chain([name.to_owned()]).collect();
        self.mistakes.push(Mistake {
            loc,
            msg: msg.to_owned(),
            kind: kind.into(),
        });
    }

    /// Everything that nobody took.
    pub fn rest(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.left)
    }

    /// All mistakes; what nobody took is one each.
    pub fn finish(mut self) -> Vec<Mistake> {
        for (name, value) in std::mem::take(&mut self.left) {
            if !value.is_null() {
                self.mistake(&name, "there is no such option", "extra_forbidden");
            }
        }
        self.mistakes
    }
}
