//! Reranking without a model: by the words that a document shares with the query.
//!
//! A document's score is the share of the query's words that it has, each word weighted by how few of the documents have it.
//! It is the same for the same request, in any language that puts something between its words, and knows nothing of what
//! words mean. So the answer does not name the model that was asked for.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{answer::Answer, refusal::Refusal, vectors::parse};
use crate::MAX_RERANKED;

const MODEL: &str = "twin-by-words";

#[derive(Deserialize)]
struct Request {
    model: String,
    query: String,
    documents: Vec<Map<String, Value>>,
    rank_fields: Option<Vec<String>>,
    top_n: Option<usize>,
    return_documents: Option<bool>,
    /// Of the model that is not there.
    #[serde(rename = "parameters")]
    _parameters: Option<Map<String, Value>>,
}

pub(super) fn rerank(body: &[u8]) -> Result<Answer, Refusal> {
    let request: Request = parse(body)?;
    if request.model.is_empty() {
        return Err(Refusal::invalid("a rerank needs the name of a `model`"));
    }
    let count = request.documents.len();
    if !(1..=MAX_RERANKED).contains(&count) {
        let message = format!("a rerank takes 1 to {MAX_RERANKED} documents, not {count}");
        return Err(Refusal::invalid(message));
    }
    if request.top_n == Some(0) {
        return Err(Refusal::invalid("top_n must be at least 1"));
    }
    let fields = request.rank_fields.unwrap_or_else(|| vec!["text".to_owned()]);
    let documents = request.documents.iter().map(|document| words_of(document, &fields));
    let scores = scores(&words(&request.query), &documents.collect::<Result<Vec<_>, _>>()?);

    let mut ranked: Vec<(usize, f64)> = scores.into_iter().enumerate().collect();
    // Stable: of equals the one that came first stays first.
    ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    ranked.truncate(request.top_n.unwrap_or(count));
    let data = ranked.into_iter().map(|(index, score)| {
        let mut ranked = json!({"index": index, "score": score});
        if request.return_documents.unwrap_or(true) {
            ranked["document"] = Value::Object(request.documents[index].clone());
        }
        ranked
    });
    let data: Vec<Value> = data.collect();
    // Nobody pays for this.
    Answer::of(&json!({"model": MODEL, "data": data, "usage": {"rerank_units": 0}}))
}

fn words_of(document: &Map<String, Value>, fields: &[String]) -> Result<BTreeSet<String>, Refusal> {
    let text = |field: &String| {
        let text = document.get(field).and_then(Value::as_str);
        text.ok_or_else(|| Refusal::invalid(format!("a document has no text `{field}`, which is in `rank_fields`")))
    };
    let mut of = BTreeSet::new();
    for field in fields {
        of.append(&mut words(text(field)?));
    }
    Ok(of)
}

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// From 0, no word, to 1, every word.
#[expect(clippy::cast_precision_loss, reason = "some hundred documents")]
fn scores(query: &BTreeSet<String>, documents: &[BTreeSet<String>]) -> Vec<f64> {
    let weights: Vec<(&String, f64)> = query
        .iter()
        .map(|word| {
            let having = documents.iter().filter(|document| document.contains(word)).count();
            (word, (1.0 + documents.len() as f64 / (having.max(1)) as f64).ln())
        })
        .collect();
    let all: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let score = |document: &BTreeSet<String>| {
        let had = weights.iter().filter(|(word, _)| document.contains(*word));
        let had: f64 = had.map(|(_, weight)| weight).sum();
        if all == 0.0 { 0.0 } else { had / all }
    };
    documents.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_word_counts_more_than_a_common_one() {
        let documents = ["the cat", "the dog", "the bird", "nothing"].map(words);

        let scores = scores(&words("The dog?"), &documents);

        assert!(scores[1] > scores[0] && scores[0] > scores[3], "{scores:?}");
        assert!((scores[1] - 1.0).abs() < 1e-9 && scores[3] == 0.0, "{scores:?}");
    }
}
