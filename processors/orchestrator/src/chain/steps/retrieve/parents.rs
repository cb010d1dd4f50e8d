use std::collections::{HashMap, HashSet};

use retrieval::{IndexSpec, Match, RetrievalError, Vector};
use serde_json::Value;

use crate::chain::resources::Services;

/// Each passage replaced by the vector whose id its metadata name, once, where its first part was, with the score of that part.
/// A passage that names none, or one that is gone, stays; a whole that was found itself is there once, too.
pub(super) async fn of(
    found: Vec<Match>,
    field: &str,
    services: &Services,
    spec: &IndexSpec,
    namespace: &str,
) -> Result<Vec<Match>, RetrievalError> {
    let parent = |found: &Match| found.metadata.get(field).and_then(Value::as_str).map(str::to_owned);
    let mut ids: Vec<String> = found.iter().filter_map(parent).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(found);
    }
    let wholes = services.fetch(spec, namespace, &ids).await?;
    let mut wholes: HashMap<String, Vector> = wholes.into_iter().map(|whole| (whole.id.clone(), whole)).collect();
    let gone = |id: &String| !wholes.contains_key(id);
    let missing: Vec<String> = ids.into_iter().filter(gone).collect();
    let mut ranked = Vec::new();
    let mut given = HashSet::new();
    for part in found {
        let Some(id) = parent(&part).filter(|id| !missing.contains(id)) else {
            if given.insert(part.id.clone()) {
                ranked.push(part);
            }
            continue;
        };
        if let Some(whole) = wholes.remove(&id)
            && given.insert(id.clone())
        {
            ranked.push(Match {
                id,
                score: part.score,
                values: Vec::new(),
                metadata: whole.metadata,
            });
        }
    }
    Ok(ranked)
}
