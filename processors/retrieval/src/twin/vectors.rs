//! The calls on the vectors of one index: what a request must be, what it does, what it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    answer::Answer,
    call::Params,
    entry::Entry,
    filter::Filter,
    index::{Contents, Index},
    namespace::{Namespace, Search},
    new_vector::{NewVector, check_values},
    refusal::{Reason, Refusal},
};
use crate::{Match, Vector};

const MOST_UPSERTED: usize = 1_000;
const MOST_IDS: usize = 1_000;
const MOST_MATCHES: usize = 10_000;
const LARGEST_RESULT: usize = 4 << 20;
const LIST_PAGE: usize = 100;

/// The namespace of requests that name none has two names.
fn namespace(name: Option<String>) -> String {
    match name {
        Some(name) if name != "__default__" => name,
        _ => String::new(),
    }
}

#[derive(Deserialize)]
struct Upsert {
    #[serde(default)]
    vectors: Vec<NewVector>,
    namespace: Option<String>,
}

pub(super) fn upsert(index: &Index, body: &[u8]) -> Result<Answer, Refusal> {
    let Upsert {
        vectors,
        namespace: name,
    } = parse(body)?;
    if vectors.is_empty() || vectors.len() > MOST_UPSERTED {
        return Err(Refusal::invalid(format!(
            "an upsert takes 1 to {MOST_UPSERTED} vectors, not {}",
            vectors.len()
        )));
    }
    let count = vectors.len();
    let vectors = vectors
        .into_iter()
        .map(|vector| vector.checked(&index.definition))
        .collect::<Result<Vec<_>, _>>()?;
    let lsn = index.write(Entry::Upsert {
        namespace: namespace(name),
        vectors,
    })?;
    Ok(Answer::of(&json!({"upsertedCount": count}))?.written(lsn))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    namespace: Option<String>,
    top_k: Option<usize>,
    #[serde(default)]
    vector: Vec<f32>,
    id: Option<String>,
    sparse_vector: Option<Value>,
    filter: Option<Value>,
    #[serde(default)]
    include_values: bool,
    #[serde(default)]
    include_metadata: bool,
}

pub(super) fn query(index: &Index, body: &[u8]) -> Result<Answer, Refusal> {
    #[derive(Serialize)]
    struct Found<'a> {
        matches: Vec<Match>,
        namespace: &'a str,
        usage: Usage,
    }
    let query: Query = parse(body)?;
    let top_k = query.top_k.filter(|top_k| (1..=MOST_MATCHES).contains(top_k));
    let Some(top_k) = top_k else {
        return Err(Refusal::invalid(format!("topK must be 1 to {MOST_MATCHES}")));
    };
    if query.sparse_vector.is_some_and(|sparse| !sparse.is_null()) {
        return Err(Refusal::unimplemented("sparse vectors"));
    }
    let filter = query
        .filter
        .filter(|filter| !filter.is_null())
        .map(|filter| Filter::parse(&filter));
    let filter = filter.transpose()?;

    let name = namespace(query.namespace);
    let contents = index.contents();
    let vectors = contents.namespaces.get(&name);
    let vector = match (query.id, query.vector) {
        (None, vector) => {
            check_values(&index.definition, &vector)?;
            Some(vector)
        }
        (Some(id), vector) if vector.is_empty() => vectors.and_then(|vectors| vectors.get(&id)).map(|v| v.values),
        (Some(_), _) => return Err(Refusal::invalid("a query takes either `id` or `vector`, not both")),
    };
    let matches = match (vectors, &vector) {
        (Some(vectors), Some(vector)) => vectors.search(&Search {
            vector,
            metric: index.definition.metric,
            top_k,
            filter: filter.as_ref(),
            include_values: query.include_values,
            include_metadata: query.include_metadata,
        }),
        _ => Vec::new(),
    };
    let answer = Answer::of(&Found {
        matches,
        namespace: &name,
        usage: Usage::default(),
    })?;
    if answer.body.len() > LARGEST_RESULT {
        return Err(Refusal::new(
            Reason::TooLarge,
            format!(
                "the result is {} bytes, the limit is {LARGEST_RESULT}: ask for a smaller topK",
                answer.body.len()
            ),
        ));
    }
    Ok(answer.read_at(contents.lsn))
}

pub(super) fn fetch(index: &Index, params: &Params) -> Result<Answer, Refusal> {
    #[derive(Serialize)]
    struct Fetched<'a> {
        vectors: BTreeMap<&'a str, Vector>,
        namespace: &'a str,
        usage: Usage,
    }
    let ids: Vec<&str> = params.all("ids").collect();
    if ids.is_empty() || ids.len() > MOST_IDS {
        return Err(Refusal::invalid(format!(
            "a fetch takes 1 to {MOST_IDS} `ids`, not {}",
            ids.len()
        )));
    }
    let name = namespace(params.first("namespace").map(str::to_owned));
    let contents = index.contents();
    let vectors = contents.namespaces.get(&name);
    let found = ids.into_iter().filter_map(|id| Some((id, vectors?.get(id)?)));
    let answer = Answer::of(&Fetched {
        vectors: found.collect(),
        namespace: &name,
        usage: Usage::default(),
    })?;
    Ok(answer.read_at(contents.lsn))
}

pub(super) fn list(index: &Index, params: &Params) -> Result<Answer, Refusal> {
    let name = namespace(params.first("namespace").map(str::to_owned));
    let prefix = params.first("prefix").unwrap_or_default();
    let limit = match params.first("limit").map(str::parse::<usize>) {
        None => LIST_PAGE,
        Some(Ok(limit)) if (1..=LIST_PAGE).contains(&limit) => limit,
        Some(_) => return Err(Refusal::invalid(format!("`limit` must be 1 to {LIST_PAGE}"))),
    };
    // The token is the last id of the page before: pages stay right while vectors come and go.
    let after = params.first("paginationToken").filter(|token| !token.is_empty());
    let contents = index.contents();
    let mut ids = match contents.namespaces.get(&name) {
        Some(vectors) => vectors.ids(prefix, after, limit + 1),
        None => Vec::new(),
    };
    let more = ids.len() > limit;
    ids.truncate(limit);
    let mut body = json!({
        "vectors": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>(),
        "namespace": name,
        "usage": {"readUnits": 1},
    });
    if let (true, Some(last)) = (more, ids.last()) {
        body["pagination"] = json!({"next": last});
    }
    Ok(Answer::of(&body)?.read_at(contents.lsn))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delete {
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    delete_all: bool,
    filter: Option<Value>,
    namespace: Option<String>,
}

pub(super) fn delete(index: &Index, body: &[u8]) -> Result<Answer, Refusal> {
    let Delete {
        ids,
        delete_all,
        filter,
        namespace: name,
    } = parse(body)?;
    let name = namespace(name);
    let filter = filter.filter(|filter| !filter.is_null());
    let lsn = match (ids.is_empty(), delete_all, filter) {
        (false, false, None) if ids.len() > MOST_IDS => {
            return Err(Refusal::invalid(format!(
                "a delete takes at most {MOST_IDS} ids, not {}",
                ids.len()
            )));
        }
        (false, false, None) => index.write(Entry::Delete { namespace: name, ids })?,
        (true, false, Some(filter)) => index.delete_matching(&name, &Filter::parse(&filter)?)?,
        (true, true, None) if !index.contents().namespaces.contains_key(&name) => {
            return Err(Refusal::not_found("Namespace not found"));
        }
        (true, true, None) => index.write(Entry::Clear { namespace: name })?,
        _ => {
            return Err(Refusal::invalid(
                "a delete takes exactly one of `ids`, `filter` and `deleteAll`",
            ));
        }
    };
    Ok(Answer::of(&json!({}))?.written(lsn))
}

pub(super) fn stats(index: &Index, body: &[u8]) -> Result<Answer, Refusal> {
    #[derive(Deserialize)]
    struct Stats {
        filter: Option<Value>,
    }
    let asked: Stats = parse(if body.is_empty() { b"{}" } else { body })?;
    let filter = asked
        .filter
        .filter(|filter| !filter.is_null())
        .map(|filter| Filter::parse(&filter));
    let filter = filter.transpose()?;
    let contents = index.contents();
    let counts = counts(&contents, filter.as_ref());
    let body = json!({
        "namespaces": counts
            .iter()
            .map(|(name, count)| ((*name).to_owned(), json!({"vectorCount": count})))
            .collect::<serde_json::Map<_, _>>(),
        "dimension": index.definition.dimension,
        "indexFullness": 0.0,
        "totalVectorCount": counts.values().sum::<usize>(),
        "metric": index.definition.metric,
        "vectorType": "dense",
    });
    Ok(Answer::of(&body)?.read_at(contents.lsn))
}

fn counts<'c>(contents: &'c Contents, filter: Option<&Filter>) -> BTreeMap<&'c str, usize> {
    let count = |namespace: &Namespace| match filter {
        Some(filter) => namespace.ids_matching(filter).len(),
        None => namespace.len(),
    };
    let named = contents.namespaces.iter().map(|(name, namespace)| {
        let name = if name.is_empty() { "__default__" } else { name };
        (name, count(namespace))
    });
    named.collect()
}

/// What a call would have cost. The twin is free; clients expect the member.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    read_units: u32,
}

impl Default for Usage {
    fn default() -> Self {
        Self { read_units: 1 }
    }
}

pub(super) fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(format!("the body is not what this call takes: {error}")))
}
