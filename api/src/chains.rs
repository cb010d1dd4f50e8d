//! The chains that orchestrators have published: what can be called, and with which input.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jsonschema::Validator;
use schemas::{ChainRecord, ChainReference, Decoder, Timestamp};
use serde_json::Value;
use topics::Record;

use crate::{
    problem::Mistake,
    tail::{Followed, Following},
};

/// Between two attempts to decode a chain while the registry is away.
const AGAIN: Duration = Duration::from_secs(1);
const MISTAKES: usize = 50;

/// All published versions, by name.
#[derive(Default)]
pub(crate) struct Chains {
    by_name: RwLock<HashMap<String, BTreeMap<i32, Arc<Published>>>>,
}

/// A version of a chain.
pub(crate) struct Published {
    pub record: ChainRecord,
    /// `None` when the schema is not one: then only the orchestrator checks.
    input: Option<Validator>,
}

impl Chains {
    /// Takes in what is published. A record whose schema cannot be asked for holds back those after it; one that cannot
    /// be read is left out. Runs until it is dropped.
    pub async fn keep_up(&self, mut published: Following, decoder: &Decoder<ChainRecord>) {
        loop {
            let Followed::Record(record) = published.next().await else {
                continue;
            };
            match &record.value {
                Some(value) => {
                    let chain = decode(decoder, &record, value).await;
                    let checked = chain.map(|chain| chain.check(record.key.as_deref()).map(|()| chain));
                    match checked {
                        Some(Ok(chain)) => self.publish(chain),
                        Some(Err(mistake)) => {
                            tracing::error!(src = record.src(), "this is no chain, and is left out: {mistake}");
                        }
                        None => {}
                    }
                }
                None => self.withdraw(&String::from_utf8_lossy(record.key.as_deref().unwrap_or_default())),
            }
        }
    }

    pub fn publish(&self, record: ChainRecord) {
        let input = serde_json::from_str(&record.input_schema).ok().and_then(|schema| {
            jsonschema::validator_for(&schema)
                .inspect_err(|error| tracing::warn!(chain = record.name, %error, "unusable input schema"))
                .ok()
        });
        let (name, version) = (record.name.clone(), record.version);
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name
            .entry(name)
            .or_default()
            .insert(version, Arc::new(Published { record, input }));
    }

    /// A tombstone: `key` is `name@version`.
    fn withdraw(&self, key: &str) {
        let Some(ChainReference { name, version }) = ChainReference::parse(key) else {
            return;
        };
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if let (Some(versions), Some(version)) = (by_name.get_mut(name), version) {
            versions.remove(&version);
            if versions.is_empty() {
                by_name.remove(name);
            }
        }
    }

    /// `name@version`, or `name` for the highest version.
    pub fn get(&self, reference: &str) -> Option<Arc<Published>> {
        let ChainReference { name, version } = ChainReference::parse(reference)?;
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let versions = by_name.get(name)?;
        match version {
            Some(version) => versions.get(&version).cloned(),
            None => versions.last_key_value().map(|(_, chain)| Arc::clone(chain)),
        }
    }

    /// Of a name, the highest first.
    pub fn versions(&self, name: &str) -> Vec<Arc<Published>> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let versions = by_name.get(name).into_iter().flat_map(BTreeMap::values);
        versions.rev().cloned().collect()
    }

    /// Every version, by name and version.
    pub fn all(&self) -> Vec<Arc<Published>> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = by_name
            .values()
            .flat_map(|versions| versions.values().cloned())
            .collect();
        all.sort_by(|a, b| (&a.record.name, a.record.version).cmp(&(&b.record.name, b.record.version)));
        all
    }
}

impl Published {
    /// What in `input` does not match the chain's schema: all of it, as far as anybody will read. Values are not quoted,
    /// they may be large.
    pub fn mistakes(&self, input: &Value) -> Vec<Mistake> {
        let Some(validator) = &self.input else {
            return Vec::new();
        };
        let mistake = |error: jsonschema::ValidationError<'_>| Mistake {
            loc: ["body".to_owned(), "input".to_owned()]
                .into_iter()
                .chain(error.instance_path().as_str().split('/').skip(1).map(str::to_owned))
                .collect(),
            msg: error.masked_with("it").to_string(),
            kind: error.kind().keyword().to_owned().into(),
        };
        validator.iter_errors(input).take(MISTAKES).map(mistake).collect()
    }
}

async fn decode(decoder: &Decoder<ChainRecord>, record: &Record, value: &[u8]) -> Option<ChainRecord> {
    let mut is_told = false;
    loop {
        let error = match decoder.decode(value).await {
            Ok(chain) => return Some(chain),
            Err(error) => error,
        };
        if !error.may_pass(record.appended_ms().map(Timestamp::from_millis)) {
            tracing::error!(
                src = record.src(),
                error = &error as &dyn std::error::Error,
                "a chain cannot be read"
            );
            return None;
        }
        if !std::mem::replace(&mut is_told, true) {
            tracing::warn!(
                src = record.src(),
                error = &error as &dyn std::error::Error,
                "the chains wait for the schema registry"
            );
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn publish(chains: &Chains, name: &str, version: i32, schema: &Value) {
        chains.publish(ChainRecord {
            name: name.to_owned(),
            version,
            input_schema: schema.to_string(),
            ..Default::default()
        });
    }

    #[test]
    fn without_a_version_the_highest_is_meant() {
        let chains = Chains::default();
        for version in [2, 10, 9] {
            publish(&chains, "answer", version, &json!({}));
        }
        let version = |reference: &str| chains.get(reference).map(|chain| chain.record.version);
        let found = ["answer", "answer@9", "answer@09", "answer@3", "answer@x", "other"].map(version);
        assert_eq!(found, [Some(10), Some(9), None, None, None, None]);
        chains.withdraw("answer@10");
        assert_eq!(version("answer"), Some(9));
        let all: Vec<i32> = chains.all().iter().map(|chain| chain.record.version).collect();
        assert_eq!(all, [2, 9]);
    }

    #[test]
    fn input_that_does_not_match_is_told_where() {
        let chains = Chains::default();
        let schema = json!({
            "type": "object", "required": ["question"],
            "properties": {"question": {"type": "string"}, "tags": {"items": {"type": "string"}}}
        });
        publish(&chains, "answer", 1, &schema);
        let chain = chains.get("answer").unwrap();
        assert_eq!(chain.mistakes(&json!({"question": "why?"})), []);
        let found: Vec<String> = chain
            .mistakes(&json!({"tags": ["a", 7]}))
            .iter()
            .map(|it| format!("{} {}", it.loc.join("."), it.kind))
            .collect();
        assert_eq!(found, ["body.input required", "body.input.tags.1 type"]);
    }

    #[test]
    fn a_schema_that_is_none_leaves_the_check_to_the_orchestrator() {
        let chains = Chains::default();
        publish(&chains, "odd", 1, &json!({"type": 7}));
        assert_eq!(chains.get("odd").unwrap().mistakes(&json!("anything")), []);
    }
}
