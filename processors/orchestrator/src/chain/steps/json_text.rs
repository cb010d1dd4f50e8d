//! JSON in what a model has written.

use schemas::json;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The value, also where a model has put it into a fenced block or between sentences: what everybody who asks models for
/// JSON ends up doing. Whether it is what was asked for is for a schema to say.
///
/// # Errors
/// Why there is none, without quoting the text.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let mut mistake = match json::read(text.as_bytes()) {
        Ok(value) => return Ok(value),
        Err(mistake) => mistake,
    };
    for inside in [fenced(text), first_object(text)].into_iter().flatten() {
        match json::read(inside.as_bytes()) {
            Ok(value) => return Ok(value),
            Err(inside) => mistake = inside,
        }
    }
    Err(format!("it cannot be taken as JSON: {mistake}"))
}

/// What stands between the first fence and the next one.
fn fenced(text: &str) -> Option<&str> {
    let (_, behind) = text.split_once("```")?;
    let (_language, behind) = behind.split_once('\n')?;
    let (inside, _) = behind.split_once("```")?;
    Some(inside.trim())
}

/// The first object or list that begins in the text and is whole.
fn first_object(text: &str) -> Option<&str> {
    let text = &text[text.find(['{', '['])?..];
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(&text[..values.byte_offset()])
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
            assert!(
                read(text).unwrap_err().starts_with("it cannot be taken as JSON"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_number_is_never_rounded_wherever_it_stands() {
        for text in [
            "{\"id\": 12345678901234567890123}",
            "Here: {\"id\": 1e400}.",
            "```\n{\"id\": 1e-400}\n```",
        ] {
            let mistake = read(text).unwrap_err();
            assert!(
                mistake.contains("in /id") && mistake.contains("as a string"),
                "{mistake}"
            );
        }
    }
}
