//! Whether a metadata filter is one that Pinecone takes, and asks of each field what the index declares of it.

use retrieval::{FieldType, IndexSpec};

use crate::chain::{steps::Check, templated::Templated, types::Type};

/// What one operator does, and so what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Order,
    OneOf,
    Exists,
    /// Between filters.
    Join,
}

const OPERATORS: [(&str, Operator); 11] = [
    ("$eq", Operator::Equal),
    ("$ne", Operator::Equal),
    ("$gt", Operator::Order),
    ("$gte", Operator::Order),
    ("$lt", Operator::Order),
    ("$lte", Operator::Order),
    ("$in", Operator::OneOf),
    ("$nin", Operator::OneOf),
    ("$exists", Operator::Exists),
    ("$and", Operator::Join),
    ("$or", Operator::Join),
];

/// An index that declares no fields is asked by any.
pub(super) fn check(filter: &Templated, spec: Option<&IndexSpec>, check: &Check<'_>) {
    // Every name in it once, whatever its form is.
    filter.infer(check.scope, None, check.problems);
    let spec = spec.filter(|spec| !spec.fields.is_empty());
    Filtering { spec, check }.filter(filter);
}

struct Filtering<'c> {
    spec: Option<&'c IndexSpec>,
    check: &'c Check<'c>,
}

impl Filtering<'_> {
    fn filter(&self, filter: &Templated) {
        let Some(entries) = filter.entries() else {
            match self.infer(filter) {
                // A template gives it: what is in it is for Pinecone to check.
                Type::Object { .. } | Type::Any { .. } => {}
                other => {
                    let message = format!("a filter must be a mapping, and this is {}", other.describe());
                    self.add(filter, message, "for example filter: {lang: {$eq: en}}");
                }
            }
            return;
        };
        for (name, value) in entries {
            match operator(name) {
                Some(Operator::Join) => self.joined(name, value),
                Some(_) => {
                    let message = format!("`{name}` stands here without a field");
                    self.add(value, message, format!("for example {{lang: {{{name}: …}}}}"));
                }
                None if name.starts_with('$') => self.unknown(name, value),
                None => self.field(name, value),
            }
        }
    }

    fn joined(&self, name: &str, value: &Templated) {
        let message = match value.items() {
            Some([]) => format!("`{name}` joins no filters"),
            Some(filters) => return filters.iter().for_each(|filter| self.filter(filter)),
            None => match self.infer(value) {
                Type::Any { .. } => return,
                Type::List(of) if matches!(*of, Type::Any { .. } | Type::Object { .. }) => return,
                other => format!("`{name}` joins a list of filters, and this is {}", other.describe()),
            },
        };
        self.add(
            value,
            message,
            format!("for example {name}: [{{lang: en}}, {{lang: de}}]"),
        );
    }

    fn field(&self, name: &str, value: &Templated) {
        let of = self.spec.and_then(|spec| spec.fields.get(name)).copied();
        if let Some(spec) = self.spec
            && of.is_none()
        {
            let message = format!("index `{}` declares no field `{name}` to filter by", spec.name);
            let known = spec.fields.keys().map(String::as_str);
            self.check.problems.add_unknown(value.position, message, name, known);
            return;
        }
        match value.entries() {
            Some([]) => self.add(value, format!("nothing is asked of `{name}`"), "for example {$eq: en}"),
            Some(conditions) => {
                for (operator, value) in conditions {
                    self.condition(name, of, operator, value);
                }
            }
            // A template may give the whole condition.
            None => match self.infer(value) {
                Type::Object { .. } => {}
                Type::List(_) => {
                    let message = format!("`{name}` is compared with a list");
                    self.add(value, message, format!("{name}: {{$in: […]}} asks for one of several"));
                }
                given => self.single(name, of, &given, value),
            },
        }
    }

    fn condition(&self, field: &str, of: Option<FieldType>, word: &str, value: &Templated) {
        let Some(operator) = operator(word) else {
            return self.unknown(word, value);
        };
        if let Some(of) = of
            && operator != Operator::Join
            && !takes(of, operator)
        {
            let message = format!("`{word}` cannot be asked of `{field}`, which is {}", named(of));
            let fitting = OPERATORS.iter().filter(|(_, operator)| takes(of, *operator));
            let fitting: Vec<&str> = fitting.map(|(word, _)| *word).collect();
            return self.add(value, message, format!("there is: {}", fitting.join(", ")));
        }
        let given = self.infer(value);
        match (operator, &given) {
            (_, Type::Any { .. }) => {}
            (Operator::Equal, _) => self.single(field, of, &given, value),
            (Operator::Order, Type::Number) | (Operator::Exists, Type::Boolean) => {}
            (Operator::Order, _) => {
                let message = format!("`{word}` compares with a number, and this is {}", given.describe());
                self.check.problems.add_plain(value.position, message);
            }
            (Operator::Exists, _) => {
                let message = format!("`{word}` is true or false, and this is {}", given.describe());
                self.check.problems.add_plain(value.position, message);
            }
            (Operator::OneOf, Type::List(item)) => match value.items() {
                Some([]) => self.add(value, format!("`{word}` has nothing to choose from"), "list a value"),
                Some(items) => {
                    for item in items {
                        self.single(field, of, &self.infer(item), item);
                    }
                }
                None => self.single(field, of, item, value),
            },
            (Operator::OneOf, _) => {
                let message = format!("`{word}` takes a list, and this is {}", given.describe());
                self.check.problems.add_plain(value.position, message);
            }
            (Operator::Join, _) => {
                let message = format!("`{word}` stands inside of a field");
                self.add(value, message, format!("it joins filters: {word}: [{{{field}: …}}, …]"));
            }
        }
    }

    /// One value that a field, or one of its list, is compared with.
    fn single(&self, field: &str, of: Option<FieldType>, given: &Type, value: &Templated) {
        let fits = match (of, given) {
            (_, Type::Any { .. }) => true,
            (None, Type::Text { .. } | Type::Choice(_) | Type::Number | Type::Boolean) => true,
            (Some(FieldType::String | FieldType::List), Type::Text { .. } | Type::Choice(_)) => true,
            (Some(FieldType::Number), Type::Number) | (Some(FieldType::Boolean), Type::Boolean) => true,
            (_, Type::Null | Type::Text { .. } | Type::Choice(_) | Type::Number | Type::Boolean) => false,
            (_, Type::List(_) | Type::Object { .. }) => false,
        };
        if !fits {
            let given = given.describe();
            let message = match of {
                Some(of) => format!("`{field}` is {}, and is compared with {given}", named(of)),
                None => format!("`{field}` is compared with {given}: it takes text, a number or a boolean"),
            };
            self.check.problems.add_plain(value.position, message);
        }
    }

    fn unknown(&self, word: &str, value: &Templated) {
        let message = match word.starts_with('$') {
            true => format!("a filter has no operator `{word}`"),
            false => format!("`{word}` is no operator, and fields have no fields"),
        };
        let known = OPERATORS.iter().map(|(known, _)| *known);
        self.check.problems.add_unknown(value.position, message, word, known);
    }

    fn infer(&self, value: &Templated) -> Type {
        value.infer(self.check.scope, None, self.check.problems)
    }

    fn add(&self, value: &Templated, message: String, help: impl Into<String>) {
        self.check.problems.add(value.position, message, help);
    }
}

fn operator(word: &str) -> Option<Operator> {
    let known = OPERATORS.iter().find(|(known, _)| *known == word);
    known.map(|(_, operator)| *operator)
}

/// What Pinecone can ask of a field.
fn takes(of: FieldType, operator: Operator) -> bool {
    match operator {
        Operator::Equal | Operator::Exists => true,
        Operator::Order => of == FieldType::Number,
        Operator::OneOf => of != FieldType::Boolean,
        Operator::Join => false,
    }
}

fn named(of: FieldType) -> &'static str {
    match of {
        FieldType::String => "text",
        FieldType::Number => "a number",
        FieldType::Boolean => "a boolean",
        FieldType::List => "a list of texts",
    }
}
