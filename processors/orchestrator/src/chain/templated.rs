//! A value of a chain file with templates at its leaves: `{text: "{{ input.question }}", limit: 5}`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use yaml::{Content, Entry, Node, Position, Problems};

use super::{
    template::{Template, TemplateError},
    types::{Field, Type},
    typing::{self, Scope, Sink},
};

#[derive(Debug)]
pub(crate) struct Templated {
    pub(crate) position: Position,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Literal(Value),
    Template(Template),
    List(Vec<Templated>),
    Map(Vec<(String, Templated)>),
}

impl Templated {
    pub(crate) fn read(node: &Node, problems: &Problems) -> Self {
        let form = match &node.content {
            Content::Scalar(scalar) => Form::Literal(scalar.value.clone()),
            Content::Text(text) => Form::Template(Template::parse(text, problems)),
            Content::List(items) => Form::List(items.iter().map(|item| Self::read(item, problems)).collect()),
            Content::Map(entries) => {
                let read = |entry: &Entry| (entry.key.clone(), Self::read(&entry.value, problems));
                Form::Map(entries.iter().map(read).collect())
            }
        };
        Self {
            position: node.position,
            form,
        }
    }

    /// Adds the ids of the steps it reads.
    pub(crate) fn steps(&self, into: &mut BTreeSet<String>) {
        match &self.form {
            Form::Literal(_) => {}
            Form::Template(template) => into.extend(template.steps().iter().cloned()),
            Form::List(items) => items.iter().for_each(|item| item.steps(into)),
            Form::Map(entries) => entries.iter().for_each(|(_, value)| value.steps(into)),
        }
    }

    /// See [`typing::infer`].
    pub(crate) fn infer(&self, scope: &Scope, sink: Option<Sink>, problems: &Problems) -> Type {
        match &self.form {
            Form::Literal(Value::Null) => Type::Null,
            Form::Literal(Value::Bool(_)) => Type::Boolean,
            Form::Literal(Value::Number(_)) => Type::Number,
            Form::Literal(_) => Type::ANY,
            Form::Template(template) => match template.constant() {
                Some(text) => Type::Choice([text.to_owned()].into()),
                None => typing::infer(template, scope, sink, problems),
            },
            Form::List(items) => {
                let items = items
                    .iter()
                    .map(|item| item.infer(scope, sink, problems))
                    .reduce(|one, other| one.or(&other));
                Type::list(items.unwrap_or(Type::ANY))
            }
            Form::Map(entries) => {
                let field = |(name, value): &(String, Self)| {
                    (
                        name.clone(),
                        Field {
                            of: value.infer(scope, sink, problems),
                            optional: false,
                        },
                    )
                };
                Type::Object {
                    fields: entries.iter().map(field).collect(),
                    open: false,
                }
            }
        }
    }

    /// The value, with the values of this run in it.
    pub(crate) fn value(&self, scope: &minijinja::Value) -> Result<Value, TemplateError> {
        match &self.form {
            Form::Literal(value) => Ok(value.clone()),
            Form::Template(template) => template.value(scope),
            Form::List(items) => items.iter().map(|item| item.value(scope)).collect(),
            Form::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), value.value(scope)?)));
                Ok(Value::Object(entries.collect::<Result<Map<_, _>, _>>()?))
            }
        }
    }

    /// Checks one that is only asked whether it is true.
    pub(crate) fn condition(&self, scope: &Scope, problems: &Problems) {
        match &self.form {
            Form::Literal(Value::Bool(_)) => {}
            Form::Template(template) if template.is_expression() => typing::condition(template, scope, problems),
            Form::Literal(_) | Form::Template(_) | Form::List(_) | Form::Map(_) => {
                let help = "write one expression, as in \"{{ steps.docs.items | length > 0 }}\"";
                problems.add(self.position, "this is no condition", help);
            }
        }
    }

    /// Adds the paths that exist, and are not null, where a condition is true.
    pub(crate) fn vouch(&self, paths: &mut Vec<String>) {
        if let Form::Template(template) = &self.form {
            typing::vouch(template, paths);
        }
    }

    /// Whether a condition holds: as in a template, what is empty, zero or null is not true.
    pub(crate) fn is_true(&self, scope: &minijinja::Value) -> Result<bool, TemplateError> {
        Ok(minijinja::Value::from_serialize(self.value(scope)?).is_true())
    }

    /// What is written in the file, if that is no list, no mapping and no template.
    pub(crate) fn constant(&self) -> Option<Value> {
        match &self.form {
            Form::Literal(value) => Some(value.clone()),
            Form::Template(template) => template.constant().map(Value::from),
            Form::List(_) | Form::Map(_) => None,
        }
    }

    /// The number that is written in the file; `None` if a template gives it.
    pub(crate) fn literal_number(&self) -> Option<f64> {
        match &self.form {
            Form::Literal(value) => value.as_f64(),
            Form::Template(_) | Form::List(_) | Form::Map(_) => None,
        }
    }

    /// The entries, where the file has a mapping.
    pub(crate) fn entries(&self) -> Option<&[(String, Self)]> {
        match &self.form {
            Form::Map(entries) => Some(entries),
            Form::Literal(_) | Form::Template(_) | Form::List(_) => None,
        }
    }

    /// The items, where the file has a list.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        match &self.form {
            Form::List(items) => Some(items),
            Form::Literal(_) | Form::Template(_) | Form::Map(_) => None,
        }
    }
}
