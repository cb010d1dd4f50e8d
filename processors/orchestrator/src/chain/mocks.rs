//! What steps give in the tests of a chain file, instead of what they would call.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::StepError;

/// By the name of a step: `answer`, `compare.a.draft`, `chunks[3].summary`. `chunks[].summary` stands for every item.
#[derive(Debug, Default)]
pub(crate) struct Mocks(BTreeMap<String, Value>);

impl Mocks {
    pub(crate) fn new(outputs: BTreeMap<String, Value>) -> Self {
        Self(outputs)
    }

    /// An output that is `{error: <class>}`, or with a `message` beside it, is a failure.
    pub(crate) fn find(&self, step: &str) -> Option<Result<Value, StepError>> {
        let mock = self.0.get(step).or_else(|| self.0.get(&every(step)))?;
        Some(match failure(mock) {
            Some((class, message)) => Err(StepError::Mocked { class, message }),
            None => Ok(mock.clone()),
        })
    }
}

fn failure(mock: &Value) -> Option<(String, String)> {
    let fields = mock.as_object()?;
    let class = fields.get("error")?.as_str()?;
    let message = match fields.get("message") {
        None if fields.len() == 1 => "the test wants it",
        Some(message) if fields.len() == 2 => message.as_str()?,
        None | Some(_) => return None,
    };
    Some((class.to_owned(), message.to_owned()))
}

/// `chunks[3].summary` → `chunks[].summary`
fn every(step: &str) -> String {
    let mut inside = false;
    let kept = step.chars().filter(|c| {
        if *c == ']' {
            inside = false;
        }
        let keep = !inside;
        if *c == '[' {
            inside = true;
        }
        keep
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mock_is_for_one_item_or_for_each() {
        let outputs = [
            ("chunks[1].summary", json!(1)),
            ("chunks[].summary", json!({"error": "timeout"})),
        ];
        let mocks = Mocks::new(outputs.map(|(step, output)| (step.to_owned(), output)).into());

        assert_eq!(mocks.find("chunks[1].summary").unwrap().unwrap(), json!(1));
        assert_eq!(
            mocks.find("chunks[12].summary").unwrap().unwrap_err().class(),
            "timeout"
        );
        assert!(mocks.find("chunks").is_none());
    }
}
