//! JSON of users, producers and models → values: one reader for every door.
//!
//! The rule: **a number is taken as it is written, or refused with its place**. It is taken if it is a whole number of 64
//! bits, or if its decimal digits are those that the `f64` it becomes is written with again (0.1 and 1e22 are, 0.10000000000000000001, 2^64 and
//! 1e-400 are not); `-0` stays what it is. Who needs more digits sends a text. A key that an object has twice is a mistake as
//! well: the one or the other of the values would be lost.
//!
//! `serde_json` parses, and two things are put right on the way. It cannot tell what a number was rounded from, and without
//! `float_roundtrip` it is off in the last digit at times: so the numbers are read here, by their text, and put in where it
//! meets one. Its `arbitrary_precision` would keep all digits, but hands each number to serde as a map with a key of its
//! own: MiniJinja, JSON Schema and every struct behind a `from_value` would get that map, not a number.

mod number;
mod place;

use std::{cell::RefCell, fmt, vec};

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

pub use number::exact;
pub use place::MAX_PATH;

use number::Written;

/// What a mistake says of a number. The number itself may be somebody's secret.
const INEXACT: &str = "this number has more digits than 64 bits hold; send it as a string, or round it yourself";

/// Why a text is no JSON that can be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub line: usize,
    pub column: usize,
    /// A JSON pointer (RFC 6901) to where it stands; empty for the whole.
    pub path: String,
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, .. } = self;
        write!(f, "line {line}, column {column}")?;
        if !self.path.is_empty() {
            write!(f, ", in {}", self.path)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for Mistake {}

/// The value of a JSON text (RFC 8259).
///
/// # Errors
/// The first mistake, without quoting the text but for the names on the way.
pub fn read(bytes: &[u8]) -> Result<Value, Mistake> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => {
            return Err(at_start(
                "the text begins with a byte order mark: send UTF-8 without one",
            ));
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Err(at_start("the text is UTF-16: send UTF-8")),
        _ => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        // Up to there it is.
        let text = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        mistake(text, text.len(), "this byte is no UTF-8".to_owned())
    })?;
    let Written { decimals, inexact } = number::written(text);
    let error = match (value(text, decimals), inexact) {
        (Ok(value), None) => return Ok(value),
        (Ok(_), Some(at)) => return Err(mistake(text, at, INEXACT.to_owned())),
        (Err(error), _) => error,
    };
    let end = place::offset(text, error.line(), error.column());
    if let Some(at) = inexact.filter(|at| *at < end) {
        return Err(mistake(text, at, INEXACT.to_owned()));
    }
    Err(Mistake {
        line: error.line(),
        column: error.column(),
        path: place::path(&text[..end]),
        problem: words(&error),
    })
}

/// [`read`], and what its value says. The place of what does not fit is then that of the whole.
///
/// # Errors
/// Those of [`read`], and a value of another form.
pub fn read_as<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Mistake> {
    serde_json::from_value(read(bytes)?).map_err(|error| at_start(&error.to_string()))
}

fn at_start(problem: &str) -> Mistake {
    Mistake {
        line: 1,
        column: 1,
        path: String::new(),
        problem: problem.to_owned(),
    }
}

fn mistake(text: &str, at: usize, problem: String) -> Mistake {
    let (line, column) = place::line_and_column(text, at);
    Mistake {
        line,
        column,
        path: place::path(&text[..at]),
        problem,
    }
}

/// What `serde_json` says, in words that tell how to mend it, without the position that it appends.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let said = text.rsplit_once(" at line ").map_or(text.as_str(), |(said, _)| said);
    match said {
        "EOF while parsing a value" if error.column() == 0 => "there is nothing".to_owned(),
        _ if error.is_eof() => format!("the text ends too early: {said}"),
        "recursion limit exceeded" => "values lie in each other more than 127 levels deep".to_owned(),
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            "this escape is half of a surrogate pair, which is no character".to_owned()
        }
        "trailing characters" => "something follows behind the value".to_owned(),
        "number out of range" => INEXACT.to_owned(),
        said => said.to_owned(),
    }
}

fn value(text: &str, decimals: Vec<f64>) -> Result<Value, serde_json::Error> {
    let decimals = RefCell::new(decimals.into_iter());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Reading(&decimals).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// The numbers with a fraction or an exponent that are still to come, in the order of the text.
#[derive(Clone, Copy)]
struct Reading<'t>(&'t RefCell<vec::IntoIter<f64>>);

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Value, E> {
        let number = self.0.borrow_mut().next().and_then(Number::from_f64);
        number.map(Value::Number).ok_or_else(|| E::custom(INEXACT))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom("the object has this name twice"));
            }
            let value = entries.next_value_seed(self)?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests;
