//! JSON scalars → what Avro writes of them. None: it does not fit.

use std::str::FromStr;

use base64::{Engine, prelude::BASE64_STANDARD};
use bigdecimal::{BigDecimal, num_bigint::Sign};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use serde_json::Value as Json;

pub(super) fn int(value: &Json) -> Option<i32> {
    value.as_i64()?.try_into().ok()
}

pub(super) fn float(value: &Json) -> Option<f64> {
    match value.as_str() {
        None => value.as_f64(),
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
    }
}

pub(super) fn bytes(value: &Json) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(value.as_str()?).ok()
}

pub(super) fn time<T>(
    value: &Json,
    number: impl Fn(&Json) -> Option<T>,
    text: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    value.as_str().map_or_else(|| number(value), text)
}

/// Days since 1970-01-01.
pub(super) fn date(text: &str) -> Option<i32> {
    let date = NaiveDate::from_str(text).ok()?;
    date.signed_duration_since(NaiveDate::default())
        .num_days()
        .try_into()
        .ok()
}

pub(super) fn instant(text: &str) -> Option<DateTime<chrono::FixedOffset>> {
    DateTime::parse_from_rfc3339(text).ok()
}

pub(super) fn local(text: &str) -> Option<DateTime<chrono::Utc>> {
    NaiveDateTime::from_str(text).ok().map(|local| local.and_utc())
}

/// Nanoseconds since midnight.
pub(super) fn of_day(text: &str) -> Option<i64> {
    NaiveTime::from_str(text)
        .ok()?
        .signed_duration_since(NaiveTime::MIN)
        .num_nanoseconds()
}

pub(super) fn number_text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

/// The big-endian digits of a decimal at this scale; none when it has more digits than the schema allows.
pub(super) fn unscaled(value: &Json, precision: usize, scale: usize, size: Option<usize>) -> Option<Vec<u8>> {
    let value = number_text(value)?.parse::<BigDecimal>().ok()?.normalized();
    // Before anything is computed: `1e999999999` is short, its digits are not.
    let zeros = i64::try_from(scale).ok()?.checked_sub(value.fractional_digit_count())?;
    let digits = value.digits().checked_add(u64::try_from(zeros).ok()?)?;
    if digits > u64::try_from(precision).ok()? {
        return None;
    }
    let (unscaled, _) = value.with_scale(i64::try_from(scale).ok()?).into_bigint_and_exponent();
    let mut bytes = unscaled.to_signed_bytes_be();
    if let Some(size) = size {
        let fill = if unscaled.sign() == Sign::Minus { 0xff } else { 0 };
        let missing = size.checked_sub(bytes.len())?;
        bytes.splice(0..0, std::iter::repeat_n(fill, missing));
    }
    Some(bytes)
}
