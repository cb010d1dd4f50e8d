//! JSON in what a model has written.

use serde_json::Value;

/// The value, also where a model has put it into a fenced block or between sentences: what everybody who asks models for
/// JSON ends up doing. Whether it is what was asked for is for a schema to say.
///
/// # Errors
/// Why there is none, without quoting the text.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let whole = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    fenced(text)
        .and_then(|inside| serde_json::from_str(inside).ok())
        .or_else(|| first_object(text))
        .ok_or_else(|| format!("it is not JSON (line {}, column {})", whole.line(), whole.column()))
}

/// What stands between the first fence and the next one.
fn fenced(text: &str) -> Option<&str> {
    let (_, behind) = text.split_once("```")?;
    let (_language, behind) = behind.split_once('\n')?;
    let (inside, _) = behind.split_once("```")?;
    Some(inside.trim())
}

/// The first object or list that begins in the text and is whole.
fn first_object(text: &str) -> Option<Value> {
    let start = text.find(['{', '['])?;
    let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
    values.next()?.ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_found_where_models_put_it() {
        let value = json!({"mood": "good"});
        for text in [
            "{\"mood\": \"good\"}",
            "  {\"mood\": \"good\"}\n",
            "```json\n{\"mood\": \"good\"}\n```",
            "Here it is:\n```\n{\"mood\": \"good\"}\n```\nAnything else?",
            "The answer is {\"mood\": \"good\"}, I think.",
        ] {
            assert_eq!(read(text), Ok(value.clone()), "{text}");
        }
        assert_eq!(read("[1, 2]"), Ok(json!([1, 2])));
        for text in ["", "good", "{\"mood\": \"go", "```json\n```", "{mood: good}"] {
            assert!(read(text).unwrap_err().starts_with("it is not JSON"), "{text}");
        }
    }
}
