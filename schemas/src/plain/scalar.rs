//! JSON scalars → what Avro writes of them. None: it does not fit.

use std::str::FromStr;

use base64::{Engine, prelude::BASE64_STANDARD};
use bigdecimal::{BigDecimal, num_bigint::Sign};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use serde_json::Value as Json;

pub(super) fn int(value: &Json) -> Option<i32> {
    value.as_i64()?.try_into().ok()
}

/// A whole number that has no `f64` of its own is none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "what is lost is found by the way back"
)]
pub(super) fn double(value: &Json) -> Option<f64> {
    let whole = value.as_i64().map(i128::from).or(value.as_u64().map(i128::from));
    match value.as_str() {
        None => match whole {
            Some(whole) => Some(whole as f64).filter(|double| *double as i128 == whole),
            None => value.as_f64(),
        },
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
    }
}

/// That with the same digits: 0.1 has one, 0.123456789 has none.
pub(super) fn float(value: f64) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "what is lost is found in the next lines")]
    let float = value as f32;
    let has_its_digits = || float.to_string().parse() == Ok(value);
    (value.is_nan() || f64::from(float) == value || has_its_digits()).then_some(float)
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

/// `unit`: how many nanoseconds the schema counts in; what is finer would be lost.
pub(super) fn instant(text: &str, unit: u32) -> Option<DateTime<chrono::FixedOffset>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    (at.timestamp_subsec_nanos() % unit == 0).then_some(at)
}

pub(super) fn local(text: &str, unit: u32) -> Option<DateTime<chrono::Utc>> {
    let at = NaiveDateTime::from_str(text).ok()?.and_utc();
    (at.timestamp_subsec_nanos() % unit == 0).then_some(at)
}

/// Nanoseconds in another unit, if nothing is left over.
pub(super) fn whole(nanos: i64, unit: i64) -> Option<i64> {
    (nanos % unit == 0).then_some(nanos / unit)
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
