//! What a scalar is taken for.

use std::{str::FromStr, time::Duration};

use serde_json::Value;

/// A plain scalar that is not text.
#[derive(Debug, Clone)]
pub struct Scalar {
    /// Null, a boolean or a number.
    pub value: Value,
    /// As it stands in the file.
    pub written: String,
}

impl Scalar {
    /// By the core schema of YAML 1.2.2 §10.3.2; `None` for what is text.
    pub(crate) fn resolve(plain: &str) -> Option<Self> {
        let value = resolve(plain)?;
        Some(Self {
            value,
            written: plain.to_owned(),
        })
    }
}

fn resolve(plain: &str) -> Option<Value> {
    let digits = plain.strip_prefix(['-', '+']).unwrap_or(plain);
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "true" | "True" | "TRUE" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => Some(Value::Bool(false)),
        _ if digits.starts_with("0x") => i64::from_str_radix(&plain[2..], 16).ok().map(Value::from),
        _ if digits.starts_with("0o") => i64::from_str_radix(&plain[2..], 8).ok().map(Value::from),
        // `inf` and `nan` begin with a letter: JSON has neither, they stay text.
        _ if digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
            let integer = plain.parse::<i64>().map(Value::from).ok();
            let integer = integer.or_else(|| plain.parse::<u64>().map(Value::from).ok());
            integer.or_else(|| {
                plain
                    .parse::<f64>()
                    .ok()
                    .filter(|number| number.is_finite())
                    .map(Value::from)
            })
        }
        _ => None,
    }
}

/// Anything that is written, as it is.
///
/// # Errors
/// What it must be.
pub fn word(text: &str) -> Result<&str, String> {
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(text)
    }
}

/// A whole number of at least 1.
///
/// # Errors
/// What it must be.
pub fn count<N: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<N, String> {
    match text.parse::<N>() {
        Ok(number) if number >= N::from(1) => Ok(number),
        Ok(_) | Err(_) => Err(format!("must be a whole number of at least 1, not `{text}`")),
    }
}

/// A whole number and a unit: `500ms`, `20s`, `5m`, `12h`, `7d`. Never none, at most ten years.
///
/// # Errors
/// What it must be.
pub fn duration(text: &str) -> Result<Duration, String> {
    const MOST: u64 = 10 * 365 * 86_400_000;
    let (amount, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let milliseconds = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    milliseconds
        .zip(amount.parse::<u64>().ok())
        .and_then(|(unit, amount)| amount.checked_mul(unit))
        .filter(|milliseconds| (1..=MOST).contains(milliseconds))
        .map(Duration::from_millis)
        .ok_or_else(|| format!("must be a length of time such as `500ms`, `20s`, `5m`, `12h` or `7d`, not `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_text_is_told_by_the_core_schema() {
        for (plain, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("True", json!(true)),
            ("-7", json!(-7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
        ] {
            assert_eq!(resolve(plain), Some(value), "{plain}");
        }
        for text in ["yes", "nan", ".inf", "1MiB", "-0x1é", "2026-01-01", "1.2.3"] {
            assert_eq!(resolve(text), None, "{text}");
        }
    }

    #[test]
    fn a_length_of_time_has_a_unit_and_an_end() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in [
            "",
            "5",
            "0s",
            "s",
            "-1s",
            "1.5s",
            "1 s",
            "99999999999999999999d",
            "3651d",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
