use serde::{Deserialize, Serialize};

use crate::{Shape, Timestamp};

/// A version of a chain, as an orchestrator loaded it. The record key is `name@version`; the same key with another
/// digest is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename = "Chain")]
pub struct ChainRecord {
    pub name: String,
    pub version: i32,
    /// SHA-256, lower-case hex.
    pub digest: String,
    /// The file, verbatim.
    pub source: String,
    /// The steps and what each waits for: JSON text.
    pub graph: String,
    /// JSON Schema text.
    pub input_schema: String,
    /// JSON Schema text.
    pub output_schema: String,
    pub published_at: Timestamp,
}

/// What a request names: a version of a chain, or the highest one. Both doors read it here, so that they agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainReference<'t> {
    pub name: &'t str,
    pub version: Option<i32>,
}

impl<'t> ChainReference<'t> {
    /// `name` or `name@version`; a version is written in one way only: `echo@01` and `echo@+1` are no chains.
    #[must_use]
    pub fn parse(text: &'t str) -> Option<Self> {
        let (name, version) = match text.split_once('@') {
            None => (text, None),
            Some((name, version)) => {
                let number: i32 = version.parse().ok().filter(|number| *number >= 1)?;
                (number.to_string() == version).then_some((name, Some(number)))?
            }
        };
        is_name(name).then_some(Self { name, version })
    }
}

/// Whether a chain can be called that: 1 to 64 lower-case letters, digits and `-`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}

impl ChainRecord {
    /// Whether an orchestrator can have written this, under this key: whoever may write to the topic may write anything.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub fn check(&self, key: Option<&[u8]>) -> Result<(), &'static str> {
        // `true` is the schema of anything.
        let is_schema = |text: &str| {
            let json = serde_json::from_str(text);
            matches!(json, Ok(serde_json::Value::Object(_) | serde_json::Value::Bool(_)))
        };
        if !is_name(&self.name) {
            Err("its name is none: 1 to 64 lower-case letters, digits and `-`")
        } else if self.version < 1 {
            Err("its version is less than 1")
        } else if key != Some(format!("{}@{}", self.name, self.version).as_bytes()) {
            Err("its key is not `name@version`")
        } else if self.digest.len() != 64
            || !self
                .digest
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            Err("its digest is not a SHA-256 in lower-case hex")
        } else if serde_json::from_str::<serde_json::Value>(&self.graph).is_err() {
            Err("its graph is not JSON")
        } else if !is_schema(&self.input_schema) || !is_schema(&self.output_schema) {
            Err("its schemas are no JSON Schemas")
        } else {
            Ok(())
        }
    }
}

impl Shape for ChainRecord {
    const NAME: &'static str = "Chain";
    const SCHEMA: &'static str = include_str!("../avro/chain.avsc");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_written_in_one_way() {
        let read = |text| ChainReference::parse(text).map(|found| (found.name, found.version));
        assert_eq!(read("echo"), Some(("echo", None)));
        assert_eq!(read("echo@12"), Some(("echo", Some(12))));
        for odd in [
            "",
            "@1",
            "echo@",
            "echo@01",
            "echo@+1",
            "echo@-1",
            "echo@0",
            "echo@x",
            "echo@1@1",
            "echo@2147483648",
            "Echo",
            "a/b",
            "a\0",
            " echo",
        ] {
            assert_eq!(read(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn only_what_an_orchestrator_writes_is_a_chain() {
        let good = ChainRecord {
            name: "echo".to_owned(),
            version: 1,
            digest: "0a".repeat(32),
            graph: "[]".to_owned(),
            input_schema: "{}".to_owned(),
            output_schema: "true".to_owned(),
            ..ChainRecord::default()
        };
        assert_eq!(good.check(Some(b"echo@1")), Ok(()));
        let odd = |change: fn(&mut ChainRecord)| {
            let mut odd = good.clone();
            change(&mut odd);
            odd.check(Some(format!("{}@{}", odd.name, odd.version).as_bytes()))
                .is_err()
        };
        assert!(good.check(Some(b"echo@2")).is_err() && good.check(None).is_err());
        assert!(odd(|chain| chain.name = "a/b".to_owned()) && odd(|chain| chain.name.clear()));
        assert!(odd(|chain| chain.name = "<img src=x>".to_owned()) && odd(|chain| chain.name = "a\0".to_owned()));
        assert!(odd(|chain| chain.version = -1) && odd(|chain| chain.digest = "0A".repeat(32)));
        assert!(odd(|chain| chain.graph.clear()) && odd(|chain| chain.input_schema = "7".to_owned()));
    }
}
