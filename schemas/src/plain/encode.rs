//! JSON → a record in its owner's Avro schema: the way back of [`super::PlainDecoder`], and numbers where it has text.

use std::{borrow::Cow, collections::HashMap, fmt, sync::Arc};

use apache_avro::{
    Decimal, Schema, Uuid,
    schema::{InnerDecimalSchema, Name, NamesRef, RecordSchema, ResolvedSchema, UnionSchema},
    types::Value as Avro,
    writer::datum::GenericDatumWriter,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::Value as Json;

use super::{
    json_schema::json_schema,
    scalar::{bytes, date, double, float, instant, int, local, number_text, of_day, time, unscaled, whole},
    union::{self, TYPE},
};
use crate::{EncodeError, RegistryError, codec::foreign, registry::Parsed, wire};

/// How many named types may lie in each other: a type may contain itself.
const MAX_DEPTH: usize = 128;

/// Encodes values of one topic in the schema that its owner registered last. Clones are cheap.
#[derive(Clone)]
pub struct PlainEncoder {
    header: [u8; 5],
    schema: &'static Schema,
    names: Arc<ResolvedSchema<'static>>,
    writer: Arc<GenericDatumWriter<'static>>,
}

impl PlainEncoder {
    pub(crate) fn new(parsed: &Parsed) -> Result<Self, RegistryError> {
        let Parsed { id, schema, referenced } = *parsed;
        let failed = |source| RegistryError::Parse {
            what: format!("schema {id}"),
            source: Box::new(source),
        };
        let names = ResolvedSchema::new_with_schemata(referenced.iter().chain([schema]).collect()).map_err(failed)?;
        let writer = GenericDatumWriter::builder(schema)
            .resolved_schemata(names.clone())
            .build()
            .map_err(failed)?;
        Ok(Self {
            header: wire::header(id),
            schema,
            names: Arc::new(names),
            writer: Arc::new(writer),
        })
    }

    /// What can be encoded, as JSON Schema: whatever it refuses is refused by [`Self::encode`], which knows more.
    #[must_use]
    pub fn json_schema(&self) -> Json {
        json_schema(self.schema)
    }

    /// The value in Confluent's wire format. Fields that are absent take the schema's defaults; of a union, the
    /// record that the value names with `$type` or the first branch that fits is taken.
    ///
    /// # Errors
    /// [`EncodeError::Json`] names the place: a field that the schema does not have, one without a default that is
    /// absent, a value of the wrong type.
    pub fn encode(&self, value: &Json) -> Result<Bytes, EncodeError> {
        let value = fit(value, self.schema, Names::of(&self.names)).map_err(Mismatch::into_error)?;
        let mut bytes = self.header.to_vec();
        self.writer
            .write_value_ref(&mut bytes, &value)
            .map_err(|error| EncodeError::Datum(Box::new(error)))?;
        Ok(bytes.into())
    }
}

impl fmt::Debug for PlainEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainEncoder").finish_non_exhaustive()
    }
}

/// The named types of a schema, and how many of them have been entered.
#[derive(Clone, Copy)]
struct Names<'s> {
    names: &'s NamesRef<'static>,
    depth: usize,
}

impl<'s> Names<'s> {
    fn of(names: &'s ResolvedSchema<'static>) -> Self {
        let names = names.get_names();
        Self { names, depth: 0 }
    }

    fn follow(self, name: &Name) -> Option<(&'s Schema, Self)> {
        let depth = self.depth + 1;
        let schema = self.names.get(name).filter(|_| depth <= MAX_DEPTH)?;
        Some((schema, Self { depth, ..self }))
    }
}

/// What does not fit, and the way to it from the innermost outwards.
struct Mismatch {
    path: Vec<String>,
    problem: String,
}

impl Mismatch {
    fn new(problem: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            problem: problem.into(),
        }
    }

    fn within(mut self, name: impl Into<String>) -> Self {
        self.path.push(name.into());
        self
    }

    fn into_error(self) -> EncodeError {
        let path: String = self.path.iter().rev().map(|name| format!("/{name}")).collect();
        EncodeError::Json {
            path,
            problem: self.problem,
        }
    }
}

fn fit(value: &Json, schema: &Schema, names: Names<'_>) -> Result<Avro, Mismatch> {
    let fitted = match schema {
        Schema::Null => value.is_null().then_some(Avro::Null),
        Schema::Boolean => value.as_bool().map(Avro::Boolean),
        Schema::Int => int(value).map(Avro::Int),
        Schema::Long => value.as_i64().map(Avro::Long),
        Schema::Float => double(value).and_then(float).map(Avro::Float),
        Schema::Double => double(value).map(Avro::Double),
        Schema::String => value.as_str().map(|text| Avro::String(text.to_owned())),
        Schema::Bytes => bytes(value).map(Avro::Bytes),
        Schema::Fixed(fixed) => bytes(value)
            .filter(|bytes| bytes.len() == fixed.size)
            .map(|bytes| Avro::Fixed(fixed.size, bytes)),
        Schema::Enum(symbols) => value.as_str().and_then(|text| {
            let position = symbols.symbols.iter().position(|symbol| symbol == text)?;
            Some(Avro::Enum(u32::try_from(position).ok()?, text.to_owned()))
        }),
        Schema::Uuid(_) => value
            .as_str()
            .and_then(|text| Uuid::parse_str(text).ok())
            .map(Avro::Uuid),
        Schema::Decimal(decimal) => {
            let size = match &decimal.inner {
                InnerDecimalSchema::Bytes => None,
                InnerDecimalSchema::Fixed(fixed) => Some(fixed.size),
            };
            unscaled(value, decimal.precision, decimal.scale, size).map(|bytes| Avro::Decimal(Decimal::from(bytes)))
        }
        Schema::BigDecimal => number_text(value)
            .and_then(|text| text.parse().ok())
            .map(Avro::BigDecimal),
        Schema::Date => time(value, int, date).map(Avro::Date),
        Schema::TimeMillis => {
            time(value, int, |text| i32::try_from(whole(of_day(text)?, 1_000_000)?).ok()).map(Avro::TimeMillis)
        }
        Schema::TimeMicros => time(value, Json::as_i64, |text| whole(of_day(text)?, 1_000)).map(Avro::TimeMicros),
        Schema::TimestampMillis => time(value, Json::as_i64, |text| {
            Some(instant(text, 1_000_000)?.timestamp_millis())
        })
        .map(Avro::TimestampMillis),
        Schema::TimestampMicros => time(value, Json::as_i64, |text| {
            Some(instant(text, 1_000)?.timestamp_micros())
        })
        .map(Avro::TimestampMicros),
        Schema::TimestampNanos => {
            time(value, Json::as_i64, |text| instant(text, 1)?.timestamp_nanos_opt()).map(Avro::TimestampNanos)
        }
        Schema::LocalTimestampMillis => time(value, Json::as_i64, |text| {
            Some(local(text, 1_000_000)?.timestamp_millis())
        })
        .map(Avro::LocalTimestampMillis),
        Schema::LocalTimestampMicros => time(value, Json::as_i64, |text| Some(local(text, 1_000)?.timestamp_micros()))
            .map(Avro::LocalTimestampMicros),
        Schema::LocalTimestampNanos => {
            time(value, Json::as_i64, |text| local(text, 1)?.timestamp_nanos_opt()).map(Avro::LocalTimestampNanos)
        }
        Schema::Duration(_) => return Err(Mismatch::new("the logical type duration cannot be written from JSON")),
        Schema::Array(array) => match value {
            Json::Array(items) => {
                let fitted = items.iter().enumerate().map(|(index, item)| {
                    fit(item, &array.items, names).map_err(|mismatch| mismatch.within(index.to_string()))
                });
                return fitted.collect::<Result<_, _>>().map(Avro::Array);
            }
            _ => None,
        },
        Schema::Map(map) => match value {
            Json::Object(entries) => {
                let fitted = entries.iter().map(|(name, value)| {
                    let value = fit(value, &map.types, names).map_err(|mismatch| mismatch.within(name))?;
                    Ok((name.clone(), value))
                });
                return fitted.collect::<Result<HashMap<_, _>, _>>().map(Avro::Map);
            }
            _ => None,
        },
        Schema::Record(record) => match value {
            Json::Object(fields) => return fit_record(fields, record, names),
            _ => None,
        },
        Schema::Union(union) => {
            let mut mismatch = None;
            let (named, value) = unnamed(value, union)?;
            let value = value.as_ref();
            let branches = (0..).zip(union.variants());
            for (branch, schema) in branches.filter(|(_, schema)| named.is_none() || named == union::record(schema)) {
                match fit(value, schema, names) {
                    Ok(value) => return Ok(Avro::Union(branch, Box::new(value))),
                    // The problem of a branch that was entered says more than "none of them fits".
                    Err(problem) if !problem.path.is_empty() => mismatch = Some(problem),
                    Err(_) => {}
                }
            }
            return Err(mismatch.unwrap_or_else(|| expected(schema, value)));
        }
        Schema::Ref { name } => match names.follow(name) {
            Some((schema, names)) => return fit(value, schema, names),
            None => return Err(Mismatch::new(format!("nested deeper than {MAX_DEPTH} named types"))),
        },
    };
    fitted.ok_or_else(|| expected(schema, value))
}

/// The record of a union that a value says it is, and the value without that word.
fn unnamed<'v, 's>(value: &'v Json, union: &'s UnionSchema) -> Result<(Option<&'s Name>, Cow<'v, Json>), Mismatch> {
    let records = union::records(union);
    let (Json::Object(fields), false) = (value, records.is_empty()) else {
        return Ok((None, Cow::Borrowed(value)));
    };
    let Some(said) = fields.get(TYPE) else {
        return Ok((None, Cow::Borrowed(value)));
    };
    let named = records
        .into_iter()
        .find(|name| said.as_str() == Some(&name.fullname(None)));
    let named = named.ok_or_else(|| Mismatch::new("the union has no record of this name").within(TYPE))?;
    let mut fields = fields.clone();
    fields.remove(TYPE);
    Ok((Some(named), Cow::Owned(fields.into())))
}

fn fit_record(
    given: &serde_json::Map<String, Json>,
    record: &RecordSchema,
    names: Names<'_>,
) -> Result<Avro, Mismatch> {
    if let Some(name) = given.keys().find(|name| !record.lookup.contains_key(*name)) {
        return Err(Mismatch::new("the schema has no such field").within(name));
    }
    let fields = record.fields.iter().map(|field| {
        let value = match (given.get(&field.name), &field.default) {
            (Some(value), _) => fit(value, &field.schema, names),
            (None, Some(default)) => fit_default(default, &field.schema, names),
            (None, None) => Err(Mismatch::new("absent, and the schema has no default")),
        };
        Ok((
            field.name.clone(),
            value.map_err(|mismatch| mismatch.within(&field.name))?,
        ))
    });
    fields.collect::<Result<_, _>>().map(Avro::Record)
}

/// What a field of a schema that refers to nothing has where it is left out.
pub(crate) fn default_value(default: &Json, schema: &Schema) -> Option<Avro> {
    let names = HashMap::new();
    let names = Names {
        names: &names,
        depth: 0,
    };
    fit_default(default, schema, names).ok()
}

/// A schema writes the bytes of a default as the characters U+0000 to U+00FF.
fn fit_default(default: &Json, schema: &Schema, names: Names<'_>) -> Result<Avro, Mismatch> {
    match (schema, default) {
        (Schema::Bytes | Schema::Fixed(_), Json::String(text)) => {
            let bytes: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(char).ok()).collect();
            let encoded = bytes.map(|bytes| BASE64_STANDARD.encode(bytes)).unwrap_or_default();
            fit(&encoded.into(), schema, names)
        }
        _ => fit(default, schema, names),
    }
}

/// Names the kind of value, not the value: it may be what nobody should read in a log.
fn expected(schema: &Schema, value: &Json) -> Mismatch {
    let found = match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    };
    let hint = match (value, schema) {
        (Json::Number(_), Schema::Int | Schema::Long) => ": it has a fraction, or is out of range",
        (Json::Number(_), Schema::Float | Schema::Double) => ": it would be rounded",
        (Json::Number(_) | Json::String(_), Schema::Decimal(_)) => ": it has more digits, or is no number",
        _ => "",
    };
    let kind = foreign::kind(schema);
    Mismatch::new(format!("{found} that does not fit the Avro type {kind}{hint}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{codec::Codec, plain::decode::json as json_of};

    fn parsed(schema: &Json) -> Parsed {
        let schema = Schema::parse_str(&schema.to_string()).unwrap();
        Parsed {
            id: 1,
            schema: Box::leak(Box::new(schema)),
            referenced: &[],
        }
    }

    fn encoder(schema: &Json) -> PlainEncoder {
        PlainEncoder::new(&parsed(schema)).unwrap()
    }

    #[test]
    fn what_it_takes_is_told_as_json_schema() {
        let encoder = encoder(&json!({"type": "record", "name": "Refund", "fields": [
            {"name": "order", "type": "string"},
            {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "lines", "type": {"type": "array", "items": "int"}, "default": []},
            {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["OPEN", "SHUT"]}},
            {"name": "before", "type": ["null", "State"], "default": null}]}));

        assert_eq!(
            encoder.json_schema(),
            json!({"type": "object", "additionalProperties": false, "required": ["order", "amount", "state"], "properties": {
                "order": {"type": "string"},
                "amount": {"type": ["number", "string"]},
                "lines": {"type": "array", "items": {"type": "integer"}},
                "state": {"enum": ["OPEN", "SHUT"]},
                "before": {"anyOf": [{"type": "null"}, {}]}}})
        );
    }

    #[test]
    fn what_would_be_rounded_or_cut_does_not_fit() {
        let time = |unit: &str| json!({"type": "long", "logicalType": unit});
        for (kind, fits, does_not) in [
            (
                json!("int"),
                vec![json!(i32::MIN), json!(0)],
                vec![json!(2_147_483_648_i64), json!(1.5), json!(1e300)],
            ),
            (
                json!("long"),
                vec![json!(i64::MIN), json!(i64::MAX)],
                vec![json!(u64::MAX), json!(0.5), json!("1")],
            ),
            (
                json!("double"),
                vec![
                    json!(0.1),
                    json!(-0.0),
                    json!(9_007_199_254_740_992_i64),
                    json!(1_u64 << 63),
                    json!(f64::MAX),
                    json!("NaN"),
                ],
                vec![json!(9_007_199_254_740_993_i64), json!(u64::MAX)],
            ),
            (
                json!("float"),
                vec![
                    json!(0.1),
                    json!(16_777_216),
                    json!(0.100_000_001_490_116_12),
                    json!("-Infinity"),
                ],
                vec![json!(16_777_217), json!(0.123_456_789), json!(1e39), json!(1e-50)],
            ),
            (
                time("timestamp-millis"),
                vec![json!("2026-11-23T08:53:38.123Z")],
                vec![json!("2026-11-23T08:53:38.123456Z"), json!(u64::MAX), json!(1.5)],
            ),
            (
                time("timestamp-micros"),
                vec![json!("2026-11-23T08:53:38.123456Z")],
                vec![json!("2026-11-23T08:53:38.123456789Z")],
            ),
            (
                time("time-micros"),
                vec![json!("08:53:38.123456")],
                vec![json!("08:53:38.1234567")],
            ),
        ] {
            let encoder = encoder(&json!({"type": "record", "name": "R", "fields": [{"name": "field", "type": kind}]}));
            for value in fits {
                let encoded = encoder.encode(&json!({"field": value}));
                assert!(encoded.is_ok(), "{kind}: {encoded:?}");
            }
            for value in does_not {
                let error = encoder.encode(&json!({"field": value})).unwrap_err().to_string();
                assert!(
                    error.contains("\"/field\"") && error.contains("does not fit the Avro type"),
                    "{value}: {error}"
                );
            }
        }
    }

    #[test]
    fn one_of_several_records_says_which_it_is() {
        let event = |name: &str| json!({"type": "record", "name": name, "fields": [{"name": "id", "type": "int"}]});
        let union = json!([event("acme.Placed"), "null", event("acme.Cancelled")]);
        let schema = json!({"type": "record", "name": "E", "fields": [
            {"name": "one", "type": union}, {"name": "more", "type": {"type": "array", "items": ["acme.Placed", "acme.Cancelled"]}}]});
        let encoder = encoder(&schema);
        let codec = Codec::new(&parsed(&schema), None).unwrap();
        let back = |value: &Json| {
            let bytes = encoder.encode(value).unwrap();
            json_of(
                codec.read_value(&bytes[5..]).unwrap(),
                codec.schema,
                codec.names.get_names(),
            )
        };

        let cancelled = json!({"$type": "acme.Cancelled", "id": 7});
        let placed = json!({"$type": "acme.Placed", "id": 7});
        let event = json!({"one": cancelled, "more": [placed, cancelled]});
        assert_eq!(back(&event), event);
        let unsaid = json!({"one": {"id": 7}, "more": []});
        assert_eq!(back(&unsaid), json!({"one": placed, "more": []}), "the first that fits");
        assert_eq!(
            back(&json!({"one": null, "more": []})),
            json!({"one": null, "more": []})
        );
        let error = encoder
            .encode(&json!({"one": {"$type": "acme.Lost", "id": 7}, "more": []}))
            .unwrap_err();
        assert!(error.to_string().contains("/one/$type"), "{error}");
        assert_eq!(
            encoder.json_schema()["properties"]["one"]["anyOf"][2]["properties"]["$type"],
            json!({"enum": ["acme.Cancelled"]})
        );
    }

    #[test]
    fn a_type_in_itself_ends() {
        let encoder = encoder(&json!({"type": "record", "name": "Node", "fields": [
            {"name": "next", "type": ["null", "Node"]}]}));
        let nested = |depth| (0..depth).fold(Json::Null, |inner, _| json!({"next": inner}));

        assert!(encoder.encode(&nested(MAX_DEPTH)).is_ok());
        assert!(encoder.encode(&nested(MAX_DEPTH + 2)).is_err());
    }
}
