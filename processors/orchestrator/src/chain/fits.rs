//! Whether a value of one type can be what a schema wants, as far as types know.

use super::types::{Field, Type};

/// Why no value of type `given` is what `wanted` says, with the way to it: "`.score` is text, a number is wanted".
/// What is not known fits: it is checked in the run.
pub(crate) fn misfit(given: &Type, wanted: &Type) -> Option<String> {
    misfit_at("", given, wanted)
}

fn misfit_at(path: &str, given: &Type, wanted: &Type) -> Option<String> {
    let named = if path.is_empty() {
        "it".to_owned()
    } else {
        format!("`{path}`")
    };
    match (given, wanted) {
        (Type::Any { .. }, _)
        | (_, Type::Any { .. })
        | (Type::Null, Type::Null)
        | (Type::Number, Type::Number)
        | (Type::Boolean, Type::Boolean)
        | (Type::Text { .. }, Type::Text { .. } | Type::Choice(_))
        | (Type::Choice(_), Type::Text { .. }) => None,
        (Type::Choice(given), Type::Choice(wanted)) => {
            let other = given.difference(wanted).next()?;
            Some(format!(
                "{named} may be `{other}`, which is none of the texts that are wanted"
            ))
        }
        (Type::List(given), Type::List(wanted)) => misfit_at(&format!("{path}[]"), given, wanted),
        (Type::Object { fields: given, open }, Type::Object { fields: wanted, .. }) => {
            wanted.iter().find_map(|(name, wanted)| {
                let path = format!("{path}.{name}");
                match given.get(name) {
                    Some(Field { optional: true, .. }) if !wanted.optional => {
                        Some(format!("`{path}` may be absent, and it is required"))
                    }
                    Some(field) => misfit_at(&path, &field.of, &wanted.of),
                    None if !open && !wanted.optional => Some(format!("`{path}` is missing, and it is required")),
                    None => None,
                }
            })
        }
        (given, wanted) => Some(format!(
            "{named} is {}, {} is wanted",
            given.describe(),
            wanted.describe()
        )),
    }
}

/// A field that `wanted` does not know and takes no more: the way to it.
pub(crate) fn surplus(given: &Type, wanted: &Type) -> Option<String> {
    surplus_at("", given, wanted)
}

fn surplus_at(path: &str, given: &Type, wanted: &Type) -> Option<String> {
    match (given, wanted) {
        (Type::List(given), Type::List(wanted)) => surplus_at(&format!("{path}[]"), given, wanted),
        (Type::Object { fields: given, .. }, Type::Object { fields: wanted, open }) => {
            given.iter().find_map(|(name, field)| {
                let path = format!("{path}.{name}");
                match wanted.get(name) {
                    Some(wanted) => surplus_at(&path, &field.of, &wanted.of),
                    None => (!open).then(|| format!("`{path}` is a field that it does not have")),
                }
            })
        }
        _ => None,
    }
}

/// A field that takes untrusted text although its schema trusts it: the way to it.
pub(crate) fn trusted_in_vain(given: &Type, wanted: &Type) -> Option<String> {
    trusted_at("", given, wanted)
}

fn trusted_at(path: &str, given: &Type, wanted: &Type) -> Option<String> {
    match (given, wanted) {
        (Type::Object { fields: given, .. }, Type::Object { fields: wanted, .. }) => {
            given.iter().find_map(|(name, field)| {
                let wanted = wanted.get(name)?;
                trusted_at(&format!("{path}.{name}"), &field.of, &wanted.of)
            })
        }
        (Type::List(given), Type::List(wanted)) => trusted_at(&format!("{path}[]"), given, wanted),
        // Numbers and closed sets carry nothing.
        (_, Type::Null | Type::Number | Type::Boolean | Type::Choice(_)) => None,
        (given, wanted) => (given.is_untrusted() && !wanted.is_untrusted()).then(|| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(properties: &Value, required: &Value) -> Type {
        Type::of_schema(&json!({"type": "object", "properties": properties, "required": required}))
    }

    #[test]
    fn what_cannot_fit_is_told_with_the_way_to_it() {
        let number = json!({"type": "number"});
        let word = json!({"enum": ["yes", "no", "maybe"]});
        let wanted = object(
            &json!({"n": number, "list": {"type": "array", "items": number}, "word": {"enum": ["yes", "no"]}}),
            &json!(["n"]),
        );
        for (given, why) in [
            (object(&json!({"n": number}), &json!(["n"])), None),
            (Type::ANY, None),
            (Type::TEXT, Some("it is text, an object is wanted")),
            (
                object(&json!({}), &json!([])),
                Some("`.n` is missing, and it is required"),
            ),
            (
                object(&json!({"n": number}), &json!([])),
                Some("`.n` may be absent, and it is required"),
            ),
            (
                object(
                    &json!({"n": number, "list": {"type": "array", "items": {"type": "boolean"}}}),
                    &json!(["n"]),
                ),
                Some("`.list[]` is a boolean, a number is wanted"),
            ),
            (
                object(&json!({"n": number, "word": word}), &json!(["n"])),
                Some("`.word` may be `maybe`, which is none of the texts that are wanted"),
            ),
        ] {
            assert_eq!(misfit(&given, &wanted).as_deref(), why);
        }
    }

    #[test]
    fn untrusted_text_is_followed_into_what_takes_it() {
        let stranger = json!({"type": "string", "x-trust": "untrusted"});
        let given = object(&json!({"a": {"type": "string"}, "b": stranger}), &json!(["a", "b"]));
        let trusting = object(&json!({"a": {"type": "string"}, "b": {"type": "string"}}), &json!([]));
        let wary = object(&json!({"a": {"type": "string"}, "b": stranger}), &json!([]));

        assert_eq!(trusted_in_vain(&given, &trusting).as_deref(), Some(".b"));
        assert_eq!(trusted_in_vain(&given, &wary), None);
    }
}
