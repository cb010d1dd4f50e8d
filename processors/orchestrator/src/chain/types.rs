//! What is known of a value before there is one: its type, and whether its text may come from a stranger.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Schemas that refer to themselves are followed this far, then anything goes.
const MAX_DEPTH: usize = 16;

/// The type of a value in a template. `untrusted` marks text that an attacker may have written: a field that its schema
/// marks `x-trust: untrusted`, retrieved text, and whatever is made of them. Numbers and booleans carry no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    /// Not known: nothing about it is checked before the run.
    Any {
        untrusted: bool,
    },
    Null,
    Text {
        untrusted: bool,
    },
    /// One of these texts. They stand in a schema, so they say nothing that its author did not write down.
    Choice(BTreeSet<String>),
    Number,
    Boolean,
    List(Box<Type>),
    Object {
        fields: BTreeMap<String, Field>,
        /// Whether there may be other fields than these.
        open: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) of: Type,
    /// It may be absent at run time.
    pub(crate) optional: bool,
}

impl Field {
    pub(crate) fn always(of: Type) -> Self {
        Self { of, optional: false }
    }

    /// Its type where null stands for its absence.
    pub(crate) fn or_null(&self) -> Type {
        if self.optional {
            self.of.clone().or(&Type::Null)
        } else {
            self.of.clone()
        }
    }
}

impl Type {
    pub(crate) const ANY: Self = Self::Any { untrusted: false };
    pub(crate) const TEXT: Self = Self::Text { untrusted: false };

    pub(crate) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    /// An object that always has exactly these fields.
    pub(crate) fn object<'f>(fields: impl IntoIterator<Item = (&'f str, Self)>) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, of)| (name.to_owned(), Field { of, optional: false }));
        Self::Object {
            fields: fields.collect(),
            open: false,
        }
    }

    /// What a JSON Schema says about a value, as far as it says it plainly: combinations (`anyOf`, several types) are
    /// [`Type::Any`]. The schema must be valid.
    pub(crate) fn of_schema(schema: &Value) -> Self {
        Reader { root: schema }.read(schema, false, 0)
    }

    /// Whether any text in it may come from a stranger.
    pub(crate) fn is_untrusted(&self) -> bool {
        match self {
            Self::Any { untrusted } | Self::Text { untrusted } => *untrusted,
            Self::Null | Self::Choice(_) | Self::Number | Self::Boolean => false,
            Self::List(of) => of.is_untrusted(),
            Self::Object { fields, .. } => fields.values().any(|field| field.of.is_untrusted()),
        }
    }

    /// The same type, made of something untrusted as well.
    pub(crate) fn tainted(self, untrusted: bool) -> Self {
        if !untrusted {
            return self;
        }
        match self {
            Self::Any { .. } => Self::Any { untrusted: true },
            Self::Text { .. } => Self::Text { untrusted: true },
            Self::Null | Self::Choice(_) | Self::Number | Self::Boolean => self,
            Self::List(of) => Self::list(of.tainted(true)),
            Self::Object { fields, .. } if fields.is_empty() => Self::Any { untrusted: true },
            Self::Object { fields, open } => {
                let taint = |(name, field): (String, Field)| {
                    (
                        name,
                        Field {
                            of: field.of.tainted(true),
                            ..field
                        },
                    )
                };
                Self::Object {
                    fields: fields.into_iter().map(taint).collect(),
                    open,
                }
            }
        }
    }

    /// What holds for a value that is of one type or of the other.
    pub(crate) fn or(self, other: &Self) -> Self {
        let untrusted = self.is_untrusted() || other.is_untrusted();
        match (&self, other) {
            _ if self == *other => self,
            (Self::Choice(one), Self::Choice(other)) => Self::Choice(one | other),
            (Self::Text { .. } | Self::Choice(_), Self::Text { .. } | Self::Choice(_)) => Self::Text { untrusted },
            (Self::List(one), Self::List(other)) => Self::list(one.as_ref().clone().or(other)),
            (
                Self::Object { fields: one, open },
                Self::Object {
                    fields: other,
                    open: other_open,
                },
            ) => Self::Object {
                fields: either(one, other),
                open: *open || *other_open,
            },
            _ => Self::Any { untrusted },
        }
    }

    /// "text", "a list": for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Any { .. } => "anything",
            Self::Null => "null",
            Self::Text { .. } | Self::Choice(_) => "text",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::List(_) => "a list",
            Self::Object { .. } => "an object",
        }
    }
}

/// The fields of an object that is one or the other: what only one of them has may be absent.
fn either(one: &BTreeMap<String, Field>, other: &BTreeMap<String, Field>) -> BTreeMap<String, Field> {
    let mut fields = one.clone();
    for (name, field) in &mut fields {
        match other.get(name) {
            Some(same) => {
                field.of = field.of.clone().or(&same.of);
                field.optional |= same.optional;
            }
            None => field.optional = true,
        }
    }
    for (name, field) in other {
        fields.entry(name.clone()).or_insert_with(|| Field {
            of: field.of.clone(),
            optional: true,
        });
    }
    fields
}

struct Reader<'s> {
    root: &'s Value,
}

impl Reader<'_> {
    fn read(&self, schema: &Value, untrusted: bool, depth: usize) -> Type {
        let untrusted = untrusted || schema.get("x-trust").and_then(Value::as_str) == Some("untrusted");
        if depth == MAX_DEPTH {
            return Type::Any { untrusted };
        }
        if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
            let target = pointer.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Type::Any { untrusted }, |target| {
                self.read(target, untrusted, depth + 1)
            });
        }
        // One of a closed set of values says nothing that its author did not write down.
        let untrusted = untrusted && schema.get("enum").is_none() && schema.get("const").is_none();
        if let Some(words) = words(schema) {
            return Type::Choice(words);
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => Type::Text { untrusted },
            Some("number" | "integer") => Type::Number,
            Some("boolean") => Type::Boolean,
            Some("null") => Type::Null,
            Some("array") => {
                let items = schema.get("items").filter(|items| items.is_object());
                Type::list(items.map_or(Type::Any { untrusted }, |items| self.read(items, untrusted, depth + 1)))
            }
            Some("object") => self.object(schema, untrusted, depth),
            _ => Type::Any { untrusted },
        }
    }

    fn object(&self, schema: &Value, untrusted: bool, depth: usize) -> Type {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Type::Any { untrusted };
        };
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|other| other == name));
        let field = |(name, schema): (&String, &Value)| {
            let of = self.read(schema, untrusted, depth + 1);
            (
                name.clone(),
                Field {
                    of,
                    optional: !is_required(name),
                },
            )
        };
        // JSON Schema lets unnamed fields in unless it is told otherwise; a template that reads one has more likely
        // mistyped it. Who means it says `additionalProperties: true`.
        let open = schema
            .get("additionalProperties")
            .is_some_and(|more| *more != Value::Bool(false));
        Type::Object {
            fields: properties.iter().map(field).collect(),
            open,
        }
    }
}

/// The texts of an `enum` that holds nothing else, or of a `const`.
fn words(schema: &Value) -> Option<BTreeSet<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match (schema.get("enum").and_then(Value::as_array), schema.get("const")) {
        (Some(values), _) if !values.is_empty() => values.iter().map(text).collect(),
        (None, Some(value)) => text(value).map(|word| BTreeSet::from([word])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_becomes_a_type_with_its_trust() {
        let schema = json!({
            "type": "object", "required": ["question"], "properties": {
                "question": {"type": "string", "x-trust": "untrusted"},
                "language": {"type": "string", "enum": ["en", "de"], "x-trust": "untrusted"},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}}},
            "$defs": {"tag": {"type": "string"}}});

        let Type::Object { fields, open } = Type::of_schema(&schema) else {
            panic!("an object")
        };

        assert!(!open);
        assert_eq!(
            fields["question"],
            Field {
                of: Type::Text { untrusted: true },
                optional: false
            }
        );
        assert_eq!(
            fields["language"],
            Field {
                of: Type::Choice(["de", "en"].map(str::to_owned).into()),
                optional: true
            },
            "a closed set carries no attack"
        );
        assert_eq!(fields["tags"].of, Type::list(Type::TEXT));
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let schema = json!({"type": "array", "items": {"$ref": "#"}});

        assert!(!Type::of_schema(&schema).is_untrusted());
    }
}
