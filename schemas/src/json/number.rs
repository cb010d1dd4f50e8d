//! Whether what is written is what 64 bits hold.

use serde_json::Number;

/// Any decimal of as many digits is the only one of as many that its `f64` stands for.
const SURE_DIGITS: usize = 15;

/// The numbers of a text, as they are written.
pub(super) struct Written {
    /// Those that `serde_json` takes for floats, in their order.
    pub(super) decimals: Vec<f64>,
    /// Where the first one stands that cannot be held; those behind it are left out.
    pub(super) inexact: Option<usize>,
}

enum Held {
    Whole,
    Decimal(f64),
}

/// The `f64` of a number as JSON writes it, or YAML; none if it would stand for another number.
#[must_use]
pub fn exact(token: &str) -> Option<f64> {
    let number: f64 = token.parse().ok().filter(|number: &f64| number.is_finite())?;
    let given = Digits::of(token)?;
    if given.significant.len() <= SURE_DIGITS && (-290..=290).contains(&given.exponent) {
        return Some(number);
    }
    // What it is written as again. Other writers may choose another last digit where two are as near; ours is the one that
    // comes out.
    let written = Number::from_f64(number)?.to_string();
    (Digits::of(&written)? == given).then_some(number)
}

/// Reads all numbers outside of strings, whether the text is JSON or not.
pub(super) fn written(text: &str) -> Written {
    let bytes = text.as_bytes();
    let mut decimals = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = after_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..].iter().take_while(|byte| is_of_number(**byte)).count();
                match held(&text[at..at + length]) {
                    Some(Held::Whole) => {}
                    Some(Held::Decimal(number)) => decimals.push(number),
                    None => {
                        return Written {
                            decimals,
                            inexact: Some(at),
                        };
                    }
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    Written {
        decimals,
        inexact: None,
    }
}

/// Behind the string that begins at `start`.
pub(super) fn after_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

fn held(token: &str) -> Option<Held> {
    // Without a sign that an integer cannot keep.
    let is_whole = token != "-0" && (token.parse::<u64>().is_ok() || token.parse::<i64>().is_ok());
    if is_whole {
        return Some(Held::Whole);
    }
    exact(token).map(Held::Decimal)
}

/// A decimal number without its sign: `0.significant × 10^exponent`, without zeros at the ends.
#[derive(PartialEq)]
struct Digits {
    significant: Vec<u8>,
    exponent: i64,
}

impl Digits {
    fn of(token: &str) -> Option<Self> {
        let token = token.strip_prefix(['-', '+']).unwrap_or(token);
        let (digits, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = all.iter().take_while(|digit| **digit == b'0').count();
        let trailing = all.iter().rev().take_while(|digit| **digit == b'0').count();
        if leading == all.len() {
            // Whatever its exponent.
            return Some(Self {
                significant: Vec::new(),
                exponent: 0,
            });
        }
        let point = i64::try_from(whole.len())
            .ok()?
            .checked_sub(i64::try_from(leading).ok()?)?;
        Some(Self {
            significant: all[leading..all.len() - trailing].to_vec(),
            exponent: exponent.parse::<i64>().ok()?.checked_add(point)?,
        })
    }
}
