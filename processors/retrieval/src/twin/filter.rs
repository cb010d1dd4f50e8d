//! Pinecone's metadata filters, which follow MongoDB's query operators (docs.pinecone.io, "Filter by metadata").
//!
//! On a list of strings a condition holds if it holds for any element. `$ne` and `$nin` are the negations of `$eq` and
//! `$in`: they hold for a list without the value and, as in MongoDB, for a record without the field. Values of different
//! types are never equal.

use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::Metadata;

/// A filter of this depth is an attack, not a question: parsing recurses.
const DEEPEST: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Field { name: String, condition: Condition },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    In(Vec<Value>),
    NotIn(Vec<Value>),
    Compared { to: f64, how: Comparison },
    Exists(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Filter {
    pub(super) fn parse(filter: &Value) -> Result<Self, Refusal> {
        parse(filter, 0)
    }

    pub(super) fn matches(&self, metadata: &Metadata) -> bool {
        match self {
            Self::And(filters) => filters.iter().all(|filter| filter.matches(metadata)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(metadata)),
            Self::Field { name, condition } => condition.holds(metadata.get(name)),
        }
    }
}

impl Condition {
    fn holds(&self, value: Option<&Value>) -> bool {
        match self {
            Self::In(wanted) => any_element(value, |element| wanted.iter().any(|wanted| equal(element, wanted))),
            Self::NotIn(unwanted) => !any_element(value, |element| {
                unwanted.iter().any(|unwanted| equal(element, unwanted))
            }),
            Self::Compared { to, how } => any_element(value, |element| {
                element.as_f64().is_some_and(|number| match how {
                    Comparison::Greater => number > *to,
                    Comparison::GreaterOrEqual => number >= *to,
                    Comparison::Less => number < *to,
                    Comparison::LessOrEqual => number <= *to,
                })
            }),
            Self::Exists(wanted) => value.is_some() == *wanted,
        }
    }
}

fn any_element(value: Option<&Value>, holds: impl Fn(&Value) -> bool) -> bool {
    match value {
        Some(Value::Array(elements)) => elements.iter().any(holds),
        Some(value) => holds(value),
        None => false,
    }
}

/// Numbers are doubles: 1 equals 1.0.
fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn parse(filter: &Value, depth: usize) -> Result<Filter, Refusal> {
    if depth > DEEPEST {
        return Err(Refusal::invalid(format!(
            "the filter is nested more than {DEEPEST} deep"
        )));
    }
    let Value::Object(members) = filter else {
        return Err(Refusal::invalid(format!("a filter is an object, not {filter}")));
    };
    let mut all = Vec::with_capacity(members.len());
    for (name, value) in members {
        match name.as_str() {
            "$and" => all.push(Filter::And(parse_list("$and", value, depth)?)),
            "$or" => all.push(Filter::Or(parse_list("$or", value, depth)?)),
            operator if operator.starts_with('$') => {
                return Err(Refusal::invalid(format!(
                    "{operator:?} is not an operator between conditions: those are $and and $or"
                )));
            }
            field => parse_field(field, value, &mut all)?,
        }
    }
    Ok(match <[Filter; 1]>::try_from(all) {
        Ok([only]) => only,
        Err(all) => Filter::And(all),
    })
}

fn parse_list(operator: &str, value: &Value, depth: usize) -> Result<Vec<Filter>, Refusal> {
    match value {
        Value::Array(filters) if !filters.is_empty() => filters.iter().map(|filter| parse(filter, depth + 1)).collect(),
        _ => Err(Refusal::invalid(format!(
            "{operator} takes a list of at least one filter"
        ))),
    }
}

fn parse_field(name: &str, value: &Value, into: &mut Vec<Filter>) -> Result<(), Refusal> {
    let conditions = match value {
        Value::Object(operators) => parse_operators(name, operators)?,
        value => vec![Condition::In(vec![scalar(name, "$eq", value)?])],
    };
    into.extend(conditions.into_iter().map(|condition| Filter::Field {
        name: name.to_owned(),
        condition,
    }));
    Ok(())
}

fn parse_operators(name: &str, operators: &Map<String, Value>) -> Result<Vec<Condition>, Refusal> {
    if operators.is_empty() {
        return Err(Refusal::invalid(format!("field {name:?} has no operator")));
    }
    operators
        .iter()
        .map(|(operator, value)| {
            Ok(match operator.as_str() {
                "$eq" => Condition::In(vec![scalar(name, operator, value)?]),
                "$ne" => Condition::NotIn(vec![scalar(name, operator, value)?]),
                "$in" => Condition::In(scalars(name, operator, value)?),
                "$nin" => Condition::NotIn(scalars(name, operator, value)?),
                "$gt" => compared(name, operator, value, Comparison::Greater)?,
                "$gte" => compared(name, operator, value, Comparison::GreaterOrEqual)?,
                "$lt" => compared(name, operator, value, Comparison::Less)?,
                "$lte" => compared(name, operator, value, Comparison::LessOrEqual)?,
                "$exists" => Condition::Exists(
                    value
                        .as_bool()
                        .ok_or_else(|| Refusal::invalid(format!("$exists of {name:?} takes true or false")))?,
                ),
                "$not" | "$match_phrase" | "$match_all" | "$match_any" => {
                    return Err(Refusal::unimplemented(&format!("the filter operator {operator}")));
                }
                unknown => {
                    return Err(Refusal::invalid(format!(
                        "{unknown:?} of field {name:?} is not one of $eq $ne $gt $gte $lt $lte $in $nin $exists"
                    )));
                }
            })
        })
        .collect()
}

fn compared(name: &str, operator: &str, value: &Value, how: Comparison) -> Result<Condition, Refusal> {
    value
        .as_f64()
        .map(|to| Condition::Compared { to, how })
        .ok_or_else(|| Refusal::invalid(format!("{operator} of field {name:?} takes a number, not {value}")))
}

fn scalars(name: &str, operator: &str, value: &Value) -> Result<Vec<Value>, Refusal> {
    match value {
        Value::Array(values) => values.iter().map(|value| scalar(name, operator, value)).collect(),
        _ => Err(Refusal::invalid(format!(
            "{operator} of field {name:?} takes a list, not {value}"
        ))),
    }
}

fn scalar(name: &str, operator: &str, value: &Value) -> Result<Value, Refusal> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(value.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Refusal::invalid(format!(
            "{operator} of field {name:?} takes a string, a number, true or false, not {value}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Which of the films match.
    fn check(filter: &Value, expected: &[&str]) {
        let films = [
            (
                "alien",
                json!({"genre": ["horror", "sf"], "year": 1979.0, "seen": true}),
            ),
            ("brazil", json!({"genre": ["comedy", "sf"], "year": 1985.0})),
            ("casablanca", json!({"genre": "drama", "year": 1942.0, "seen": false})),
            ("unknown", json!({})),
        ];
        let filter = Filter::parse(filter).unwrap();
        let matching: Vec<_> = films
            .iter()
            .filter(|(_, metadata)| filter.matches(metadata.as_object().unwrap()))
            .map(|(title, _)| *title)
            .collect();
        assert_eq!(matching, expected, "{filter:?}");
    }

    #[test]
    fn every_operator() {
        check(&json!({}), &["alien", "brazil", "casablanca", "unknown"]);
        check(&json!({"genre": "drama"}), &["casablanca"]);
        check(&json!({"year": {"$eq": 1979}}), &["alien"]);
        check(&json!({"year": {"$ne": 1979}}), &["brazil", "casablanca", "unknown"]);
        check(&json!({"year": {"$gt": 1979}}), &["brazil"]);
        check(&json!({"year": {"$gte": 1979}}), &["alien", "brazil"]);
        check(&json!({"year": {"$lt": 1979}}), &["casablanca"]);
        check(&json!({"year": {"$lte": 1979}}), &["alien", "casablanca"]);
        check(&json!({"year": {"$gt": 1942, "$lt": 1985}}), &["alien"]);
        check(&json!({"year": {"$in": [1942, 1985]}}), &["brazil", "casablanca"]);
        check(&json!({"year": {"$nin": [1942, 1985]}}), &["alien", "unknown"]);
        check(&json!({"year": {"$in": []}}), &[]);
        check(&json!({"seen": {"$exists": true}}), &["alien", "casablanca"]);
        check(&json!({"seen": {"$exists": false}}), &["brazil", "unknown"]);
        check(&json!({"seen": true}), &["alien"]);
        check(&json!({"genre": "sf", "seen": true}), &["alien"]);
        check(
            &json!({"$or": [{"year": 1942}, {"genre": "comedy"}]}),
            &["brazil", "casablanca"],
        );
        check(
            &json!({"$and": [{"genre": "sf"}, {"$or": [{"seen": true}, {"year": 1985}]}]}),
            &["alien", "brazil"],
        );
    }

    #[test]
    fn lists_match_by_any_element_and_negations_by_none() {
        check(&json!({"genre": {"$eq": "sf"}}), &["alien", "brazil"]);
        check(
            &json!({"genre": {"$in": ["comedy", "drama"]}}),
            &["brazil", "casablanca"],
        );
        check(&json!({"genre": {"$ne": "sf"}}), &["casablanca", "unknown"]);
        check(&json!({"genre": {"$nin": ["comedy", "drama"]}}), &["alien", "unknown"]);
    }

    #[test]
    fn types_are_never_mixed() {
        check(&json!({"year": "1979"}), &[]);
        check(&json!({"seen": 1}), &[]);
        check(&json!({"genre": {"$gt": 0}}), &[]);
    }

    #[test]
    fn mistakes_are_named() {
        for (filter, part) in [
            (json!([]), "a filter is an object"),
            (json!({"$and": []}), "at least one"),
            (json!({"$xor": [{}]}), "$and and $or"),
            (json!({"year": {}}), "no operator"),
            (json!({"year": {"$gt": "1"}}), "takes a number"),
            (json!({"year": {"$in": 1}}), "takes a list"),
            (json!({"year": null}), "takes a string"),
            (json!({"genre": ["sf"]}), "takes a string"),
            (json!({"year": {"$near": 1}}), "is not one of"),
            (json!({"year": {"$not": {"$eq": 1}}}), "does not support"),
        ] {
            let refusal = Filter::parse(&filter).unwrap_err();
            assert!(refusal.message.contains(part), "{filter}: {}", refusal.message);
        }
        let deep = (0..100).fold(json!({}), |inner, _| json!({"$and": [inner]}));
        assert!(Filter::parse(&deep).unwrap_err().message.contains("nested"));
    }

    proptest! {
        #[test]
        fn negations_are_complements(tags in proptest::collection::vec("[ab]", 0..3), wanted in proptest::collection::vec("[abc]", 0..3)) {
            let metadata = json!({"tags": tags});
            let matches = |operator: &str| {
                Filter::parse(&json!({"tags": {operator: wanted}})).unwrap().matches(metadata.as_object().unwrap())
            };
            prop_assert_ne!(matches("$in"), matches("$nin"));
            prop_assert_eq!(matches("$in"), tags.iter().any(|tag| wanted.contains(tag)));
        }
    }
}
