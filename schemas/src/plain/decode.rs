//! Any Avro record → JSON: unions unwrapped (one of several records says its name), times as RFC 3339, decimals as strings, bytes as base64.

use std::sync::Arc;

use apache_avro::{Schema, schema::NamesRef, types::Value as Avro};
use base64::{Engine, prelude::BASE64_STANDARD};
use bigdecimal::{BigDecimal, num_bigint::BigInt};
use chrono::{DateTime, NaiveTime, SecondsFormat, TimeDelta};
use serde_json::{Map, Value as Json};

use super::union::{self, TYPE};
use crate::{DecodeError, Registry, Timestamp, codecs::Codecs, decoder::corrupt, wire};

/// Decodes values of any Avro schema of the registry. Clones share what is known about schema ids.
#[derive(Clone)]
pub struct PlainDecoder {
    codecs: Arc<Codecs>,
}

/// A decoded value.
#[derive(Debug, Clone, PartialEq)]
pub struct Plain {
    /// The full name of the schema that wrote it; none when its type has no name.
    pub schema: Option<String>,
    pub value: Json,
}

impl PlainDecoder {
    pub(crate) fn new(registry: Registry) -> Self {
        Self {
            codecs: Arc::new(Codecs::new(registry, None)),
        }
    }

    /// Asks the registry once per schema id, and not at all when it is known.
    ///
    /// # Errors
    /// Any [`DecodeError`]; see [`DecodeError::may_pass`].
    pub async fn decode(&self, bytes: &[u8]) -> Result<Json, DecodeError> {
        Ok(self.decode_named(bytes).await?.value)
    }

    /// As [`Self::decode`], but an id that the registry may not know yet is waited for.
    ///
    /// # Errors
    /// Any [`DecodeError`]; only [`DecodeError::Unavailable`] may pass.
    pub async fn decode_in_time(&self, bytes: &[u8], appended_at: Option<Timestamp>) -> Result<Json, DecodeError> {
        loop {
            match self.decode(bytes).await {
                Err(error) if error.passed_a_moment(appended_at).await => {}
                decoded => return decoded,
            }
        }
    }

    /// As [`Self::decode`], with the name of what it is.
    ///
    /// # Errors
    /// Those of [`Self::decode`].
    pub async fn decode_named(&self, bytes: &[u8]) -> Result<Plain, DecodeError> {
        let (id, datum) = wire::unframe(bytes)?;
        let codec = self.codecs.get(id).await?;
        let value = codec.read_value(datum).map_err(|corruption| corrupt(id, corruption))?;
        Ok(Plain {
            schema: codec.schema.name().map(|name| name.fullname(None)),
            value: json(value, codec.schema, codec.names.get_names()),
        })
    }
}

/// The schema says what a value does not: the scale of a decimal.
pub(super) fn json(value: Avro, schema: &Schema, names: &NamesRef<'_>) -> Json {
    let schema = match schema {
        Schema::Ref { name } => names.get(name).copied().unwrap_or(schema),
        _ => schema,
    };
    match value {
        Avro::Null => Json::Null,
        Avro::Boolean(value) => value.into(),
        Avro::Int(value) => value.into(),
        Avro::Long(value) => value.into(),
        // By its digits: 0.1 stays 0.1 instead of 0.10000000149011612.
        Avro::Float(value) => value.to_string().parse().map_or(Json::Null, float),
        Avro::Double(value) => float(value),
        Avro::String(value) | Avro::Enum(_, value) => value.into(),
        Avro::Bytes(value) | Avro::Fixed(_, value) => BASE64_STANDARD.encode(value).into(),
        Avro::Uuid(value) => value.to_string().into(),
        Avro::Decimal(value) => {
            let scale = if let Schema::Decimal(decimal) = schema {
                decimal.scale
            } else {
                0
            };
            let scale = i64::try_from(scale).unwrap_or(i64::MAX);
            decimal(&BigDecimal::new(BigInt::from(value), scale))
        }
        Avro::BigDecimal(value) => decimal(&value),
        Avro::Date(days) => {
            let date = DateTime::from_timestamp(i64::from(days) * 86_400, 0);
            date.map_or(days.into(), |date| date.date_naive().to_string().into())
        }
        Avro::TimeMillis(millis) => time_of_day(i64::from(millis) * 1_000, SecondsFormat::Millis),
        Avro::TimeMicros(micros) => time_of_day(micros, SecondsFormat::Micros),
        Avro::TimestampMillis(at) => instant(at, DateTime::from_timestamp_millis(at), SecondsFormat::Millis),
        Avro::TimestampMicros(at) => instant(at, DateTime::from_timestamp_micros(at), SecondsFormat::Micros),
        Avro::TimestampNanos(at) => instant(at, Some(DateTime::from_timestamp_nanos(at)), SecondsFormat::Nanos),
        Avro::LocalTimestampMillis(at) => local(at, DateTime::from_timestamp_millis(at)),
        Avro::LocalTimestampMicros(at) => local(at, DateTime::from_timestamp_micros(at)),
        Avro::LocalTimestampNanos(at) => local(at, Some(DateTime::from_timestamp_nanos(at))),
        Avro::Duration(value) => {
            let millis = u32::from(value.millis());
            let (months, days) = (u32::from(value.months()), u32::from(value.days()));
            format!("P{months}M{days}DT{}.{:03}S", millis / 1_000, millis % 1_000).into()
        }
        Avro::Union(branch, value) => {
            let Schema::Union(union) = schema else {
                return json(*value, schema, names);
            };
            let variant = union.variants().get(branch as usize).unwrap_or(schema);
            match (json(*value, variant, names), union::record(variant)) {
                (Json::Object(fields), Some(name)) if union::records(union).contains(&name) => {
                    let name = (TYPE.to_owned(), name.fullname(None).into());
                    std::iter::once(name).chain(fields).collect::<Map<_, _>>().into()
                }
                (value, _) => value,
            }
        }
        Avro::Array(items) => {
            let of = if let Schema::Array(array) = schema {
                &array.items
            } else {
                schema
            };
            items.into_iter().map(|item| json(item, of, names)).collect()
        }
        Avro::Map(entries) => {
            let of = if let Schema::Map(map) = schema {
                &map.types
            } else {
                schema
            };
            let mut entries: Vec<_> = entries.into_iter().collect();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            entries
                .into_iter()
                .map(|(name, value)| (name, json(value, of, names)))
                .collect::<Map<_, _>>()
                .into()
        }
        Avro::Record(values) => {
            let fields = if let Schema::Record(record) = schema {
                record.fields.as_slice()
            } else {
                &[]
            };
            let named = values.into_iter().enumerate().map(|(position, (name, value))| {
                let of = fields.get(position).map_or(schema, |field| &field.schema);
                (name, json(value, of, names))
            });
            named.collect::<Map<_, _>>().into()
        }
    }
}

/// All digits, unless the scale makes them nothing but zeros.
fn decimal(value: &BigDecimal) -> Json {
    match value.fractional_digit_count() {
        -100..=100 => value.to_plain_string().into(),
        _ => value.to_string().into(),
    }
}

/// JSON has no word for what is not finite; these are the texts of Avro's own JSON encoding.
fn float(value: f64) -> Json {
    match value {
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        _ if value.is_nan() => "NaN".into(),
        _ => value.into(),
    }
}

/// Absurd times, past what a calendar can say, stay numbers.
fn instant(raw: i64, at: Option<DateTime<chrono::Utc>>, format: SecondsFormat) -> Json {
    at.map_or(raw.into(), |at| at.to_rfc3339_opts(format, true).into())
}

fn local(raw: i64, at: Option<DateTime<chrono::Utc>>) -> Json {
    at.map_or(raw.into(), |at| {
        at.naive_utc().format("%Y-%m-%dT%H:%M:%S%.f").to_string().into()
    })
}

fn time_of_day(micros: i64, format: SecondsFormat) -> Json {
    let at = NaiveTime::MIN.overflowing_add_signed(TimeDelta::microseconds(micros));
    match (at, format) {
        ((time, 0), SecondsFormat::Millis) => time.format("%H:%M:%S%.3f").to_string().into(),
        ((time, 0), _) => time.format("%H:%M:%S%.6f").to_string().into(),
        _ => micros.into(),
    }
}
