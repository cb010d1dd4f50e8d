//! Numbers in templates: exact, or a failure of the step.
//!
//! MiniJinja computes whole numbers with 128 bits and says where those overflow. What it would let pass is stopped here: what
//! is not finite (JSON writes it as null), whole numbers that leave a template with more than 64 bits, and texts that become
//! another number by `int` or `float`. Arithmetic with a decimal, and `/`, is that of 64-bit floats, as the language says.

use minijinja::{Environment, Error, ErrorKind, Output, State, Value, filters, value::Kwargs, value::ValueKind};
use schemas::json::exact;
use serde_json::{Map, Number};

const NOT_FINITE: &str = "a number in it is too large, or undefined as 0 / 0 is";
const ROUNDED: &str = "the number has more digits than 64 bits hold";

/// Larger floats have no whole number in the language.
const MOST: f64 = 1e38;

pub(super) fn install(language: &mut Environment<'_>) {
    language.add_filter("int", int);
    language.add_filter("float", float);
    language.add_filter("tojson", tojson);
    language.set_formatter(write);
}

/// The value as JSON.
///
/// # Errors
/// A number in it that JSON, or we, cannot hold.
pub(super) fn json(value: &Value) -> Result<serde_json::Value, Error> {
    Ok(match value.kind() {
        ValueKind::Number => serde_json::Value::Number(number(value)?),
        ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.map(|item| json(&item)).collect::<Result<_, _>>()?,
        ValueKind::Map => {
            let entries = value.try_iter()?.map(|name| {
                let text = match (name.as_str(), name.kind()) {
                    (Some(text), _) => text.to_owned(),
                    (None, ValueKind::Number) => name.to_string(),
                    (None, other) => return Err(failed(format!("a name in an object is {other}"))),
                };
                Ok((text, json(&value.get_item(&name)?)?))
            });
            serde_json::Value::Object(entries.collect::<Result<Map<_, _>, _>>()?)
        }
        _ => serde_json::to_value(value).map_err(|error| failed(error.to_string()))?,
    })
}

fn number(value: &Value) -> Result<Number, Error> {
    if !value.is_integer() {
        return decimal(value).and_then(|number| Number::from_f64(number).ok_or_else(|| failed(NOT_FINITE)));
    }
    let whole = i64::try_from(value.clone()).map(Number::from);
    let whole = whole.or_else(|_| u64::try_from(value.clone()).map(Number::from));
    whole.map_err(|_| failed(ROUNDED))
}

/// A float that is finite.
fn decimal(value: &Value) -> Result<f64, Error> {
    let number = f64::try_from(value.clone())?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err(failed(NOT_FINITE))
    }
}

fn is_decimal(value: &Value) -> bool {
    value.kind() == ValueKind::Number && !value.is_integer()
}

/// In a text: with the digits that JSON has for it.
fn write(out: &mut Output<'_>, state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    if is_decimal(value) {
        let number = decimal(value)?;
        if exact(&value.to_string()).is_none() {
            return out
                .write_str(&serde_json::Value::from(number).to_string())
                .map_err(Error::from);
        }
    }
    minijinja::escape_formatter(out, state, value)
}

fn int(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let whole = |number: f64| {
        if number.abs() < MOST {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "that is what the filter is for, and it fits"
            )]
            Ok(Value::from(number as i128))
        } else {
            Err(failed(NOT_FINITE))
        }
    };
    match value.as_str() {
        Some(text) if text.parse::<i128>().is_err() && text.parse::<f64>().is_ok() => {
            whole(exact(text).ok_or_else(|| failed(ROUNDED))?)
        }
        None if is_decimal(value) => whole(decimal(value)?),
        Some(_) | None => filters::int(state, value),
    }
}

fn float(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let rounded = match value.as_str() {
        Some(text) => text.parse::<f64>().is_ok() && exact(text).is_none(),
        None if value.is_integer() => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "what is lost is found by the way back"
            )]
            let kept = i128::try_from(value.clone()).is_ok_and(|whole| (whole as f64) as i128 == whole);
            !kept
        }
        None => false,
    };
    if rounded {
        return Err(failed(ROUNDED));
    }
    filters::float(state, value)
}

fn tojson(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    json(value)?;
    filters::tojson(value, indent, options)
}

fn failed(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
