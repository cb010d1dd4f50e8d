//! A value of somebody else's schema → a record of ours, by the names of its fields.
//!
//! Avro's own resolution is stricter and laxer than what producers need: it refuses a record for the name that its owner
//! gave it, and takes milliseconds for microseconds, because both are a `long`. Here names of types mean nothing, times are
//! read by their logical type, and a number without one is no time: nobody could say which unit it has.

use std::collections::HashMap;

use apache_avro::{
    Schema,
    schema::{NamesRef, RecordSchema},
    types::Value,
};

use crate::plain::default_value;

/// Whether it can be meant for one of ours. Names mean nothing, but those of Millrace's own: an audit row has fields of a
/// request and is none. Nor is what has nothing in common with it: all fields of a request have defaults.
///
/// # Errors
/// What it is instead.
pub(super) fn resembles(theirs: &Schema, ours: &Schema) -> Result<(), String> {
    let (Schema::Record(theirs), Schema::Record(ours)) = (theirs, ours) else {
        return Ok(());
    };
    if theirs.name == ours.name {
        return Ok(());
    }
    let known = |name: &String| theirs.fields.iter().any(|their| their.name == *name);
    if theirs.name.namespace() == ours.name.namespace() || !ours.fields.iter().any(|field| known(&field.name)) {
        return Err(format!("it is a record {}, and {} is wanted", theirs.name, ours.name));
    }
    Ok(())
}

/// Why data of one schema can never be a record of another: the field, and what it is.
///
/// # Errors
/// The first field that cannot be read.
pub(super) fn check(theirs: &Schema, ours: &Schema, names: &NamesRef<'_>) -> Result<(), String> {
    match (resolved(theirs, names), ours) {
        (Schema::Record(theirs), Schema::Record(ours)) => check_fields(theirs, ours, names),
        // At least one of them must be readable; which one it is is known of each value only.
        (Schema::Union(theirs), ours) => any(theirs.variants(), |theirs| check(theirs, ours, names)),
        (Schema::Null, Schema::Union(ours)) if ours.variants().contains(&Schema::Null) => Ok(()),
        (theirs, Schema::Union(ours)) => any(ours.variants(), |ours| check(theirs, ours, names)),
        (Schema::Array(theirs), Schema::Array(ours)) => check(&theirs.items, &ours.items, names),
        (Schema::Map(theirs), Schema::Map(ours)) => check(&theirs.types, &ours.types, names),
        (theirs, ours) if scalar_fits(theirs, ours) => Ok(()),
        (theirs, ours) => Err(format!("it is {}, and must be {}", kind(theirs), kind(ours))),
    }
}

fn check_fields(theirs: &RecordSchema, ours: &RecordSchema, names: &NamesRef<'_>) -> Result<(), String> {
    for field in &ours.fields {
        match theirs.fields.iter().find(|their| their.name == field.name) {
            Some(their) => {
                check(&their.schema, &field.schema, names).map_err(|why| within(&field.name, &why))?;
            }
            None if field.default.is_some() => {}
            None => return Err(within(&field.name, "it is not there")),
        }
    }
    Ok(())
}

fn within(field: &str, why: &str) -> String {
    let between = if why.starts_with('/') { "" } else { ": " };
    format!("/{field}{between}{why}")
}

/// That null fits, or does not, says nothing of the values.
fn any<'s>(variants: &'s [Schema], check: impl Fn(&'s Schema) -> Result<(), String>) -> Result<(), String> {
    let mut why = None;
    for variant in variants.iter().filter(|variant| !matches!(variant, Schema::Null)) {
        match check(variant) {
            Ok(()) => return Ok(()),
            Err(told) => why = why.or(Some(told)),
        }
    }
    Err(why.unwrap_or_else(|| "it is always null".to_owned()))
}

fn scalar_fits(theirs: &Schema, ours: &Schema) -> bool {
    match ours {
        Schema::Null => matches!(theirs, Schema::Null),
        Schema::Boolean => matches!(theirs, Schema::Boolean),
        Schema::Int => matches!(theirs, Schema::Int),
        Schema::Long => matches!(theirs, Schema::Int | Schema::Long),
        Schema::Double => matches!(theirs, Schema::Int | Schema::Long | Schema::Float | Schema::Double),
        Schema::String => matches!(
            theirs,
            Schema::String | Schema::Bytes | Schema::Enum(_) | Schema::Uuid(_)
        ),
        Schema::Bytes => matches!(theirs, Schema::Bytes | Schema::String),
        Schema::TimestampMicros => matches!(
            theirs,
            Schema::TimestampMillis
                | Schema::TimestampMicros
                | Schema::TimestampNanos
                | Schema::LocalTimestampMillis
                | Schema::LocalTimestampMicros
                | Schema::LocalTimestampNanos
        ),
        _ => false,
    }
}

/// The value as one of our schema; none where its own does not fit, as null does not where we need a value.
pub(super) fn adopt(value: Value, ours: &Schema) -> Option<Value> {
    let value = match value {
        Value::Union(_, value) => *value,
        value => value,
    };
    Some(match (ours, value) {
        (Schema::Union(union), value) => {
            let branches = (0..).zip(union.variants());
            let mut fitting = branches.filter_map(|(number, branch)| {
                let value = adopt(value.clone(), branch)?;
                Some(Value::Union(number, Box::new(value)))
            });
            fitting.next()?
        }
        (Schema::Record(record), Value::Record(fields)) => adopt_fields(record, fields)?,
        (Schema::Array(array), Value::Array(items)) => {
            let items = items.into_iter().map(|item| adopt(item, &array.items));
            Value::Array(items.collect::<Option<_>>()?)
        }
        (Schema::Map(map), Value::Map(entries)) => {
            let entries = entries
                .into_iter()
                .map(|(name, value)| Some((name, adopt(value, &map.types)?)));
            Value::Map(entries.collect::<Option<_>>()?)
        }
        (Schema::Null, Value::Null) => Value::Null,
        (Schema::Boolean, value @ Value::Boolean(_))
        | (Schema::Int, value @ Value::Int(_))
        | (Schema::Long, value @ Value::Long(_))
        | (Schema::Double, value @ Value::Double(_))
        | (Schema::String, value @ Value::String(_))
        | (Schema::Bytes, value @ Value::Bytes(_))
        | (Schema::TimestampMicros, value @ Value::TimestampMicros(_)) => value,
        (Schema::Long, Value::Int(number)) => Value::Long(number.into()),
        (Schema::Double, Value::Float(number)) => Value::Double(number.into()),
        (Schema::Double, Value::Int(number)) => Value::Double(number.into()),
        #[expect(
            clippy::cast_precision_loss,
            reason = "Avro promotes so; no number of ours is a double but scores"
        )]
        (Schema::Double, Value::Long(number)) => Value::Double(number as f64),
        (Schema::String, Value::Enum(_, symbol)) => Value::String(symbol),
        (Schema::String, Value::Uuid(id)) => Value::String(id.to_string()),
        (Schema::String, Value::Bytes(bytes)) => Value::String(String::from_utf8(bytes).ok()?),
        (Schema::Bytes, Value::String(text)) => Value::Bytes(text.into_bytes()),
        // Who has no zone is taken for UTC.
        (Schema::TimestampMicros, Value::TimestampMillis(at) | Value::LocalTimestampMillis(at)) => {
            Value::TimestampMicros(at.saturating_mul(1_000))
        }
        (Schema::TimestampMicros, Value::LocalTimestampMicros(at)) => Value::TimestampMicros(at),
        (Schema::TimestampMicros, Value::TimestampNanos(at) | Value::LocalTimestampNanos(at)) => {
            Value::TimestampMicros(at.div_euclid(1_000))
        }
        _ => return None,
    })
}

fn adopt_fields(record: &RecordSchema, fields: Vec<(String, Value)>) -> Option<Value> {
    let mut fields: HashMap<String, Value> = fields.into_iter().collect();
    let ours = record.fields.iter().map(|field| {
        let value = match (fields.remove(&field.name), &field.default) {
            (Some(value), _) => adopt(value, &field.schema)?,
            (None, Some(default)) => default_value(default, &field.schema)?,
            (None, None) => return None,
        };
        Some((field.name.clone(), value))
    });
    ours.collect::<Option<_>>().map(Value::Record)
}

fn resolved<'s>(schema: &'s Schema, names: &NamesRef<'s>) -> &'s Schema {
    match schema {
        Schema::Ref { name } => names.get(name).copied().unwrap_or(schema),
        _ => schema,
    }
}

/// As whoever writes a schema calls it.
pub(crate) fn kind(schema: &Schema) -> &'static str {
    match schema {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int => "int",
        Schema::Long => "long",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::Bytes => "bytes",
        Schema::String => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        Schema::Union(_) => "a union",
        Schema::Record(_) => "a record",
        Schema::Enum(_) => "an enum",
        Schema::Fixed(_) => "fixed",
        Schema::Decimal(_) | Schema::BigDecimal => "decimal",
        Schema::Uuid(_) => "uuid",
        Schema::Date => "date",
        Schema::TimeMillis => "time-millis",
        Schema::TimeMicros => "time-micros",
        Schema::TimestampMillis => "timestamp-millis",
        Schema::TimestampMicros => "timestamp-micros",
        Schema::TimestampNanos => "timestamp-nanos",
        Schema::LocalTimestampMillis => "local-timestamp-millis",
        Schema::LocalTimestampMicros => "local-timestamp-micros",
        Schema::LocalTimestampNanos => "local-timestamp-nanos",
        Schema::Duration(_) => "duration",
        Schema::Ref { .. } => "a type that the schema does not say",
    }
}
