//! Texts in the order in which a model that Pinecone hosts finds them relevant to a question.

use reqwest::Method;
use serde::{Deserialize, Serialize, de::Error as _};
use serde_json::{Map, Value, json};

use crate::{
    Pinecone, RetrievalError,
    transport::{Answer, Call},
};

/// Texts in one call, by our own bound. A model may take fewer and then refuses: `bge-reranker-v2-m3` takes 100.
pub const MAX_RERANKED: usize = 200;

/// The path at the control plane's host, where Pinecone has its models.
pub(crate) const PATH: &str = "rerank";

#[derive(Debug, Clone, PartialEq)]
pub struct Rerank {
    /// Of those that Pinecone hosts: `bge-reranker-v2-m3`.
    pub model: String,
    pub query: String,
    /// At most [`MAX_RERANKED`].
    pub texts: Vec<String>,
    /// All of them if it is `None` or more than there are.
    pub top_n: Option<usize>,
    /// What the model takes besides: `{"truncate": "END"}`.
    pub parameters: Map<String, Value>,
}

/// A text, by its place in [`Rerank::texts`].
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Ranked {
    pub index: usize,
    /// From 0 to 1, higher is more relevant.
    pub score: f64,
}

impl Rerank {
    /// The body of the request. The answer has no texts: whoever asks has them.
    #[must_use]
    pub fn body(&self) -> Value {
        #[derive(Serialize)]
        struct Document<'t> {
            text: &'t str,
        }
        let documents: Vec<_> = self.texts.iter().map(|text| Document { text }).collect();
        let mut body = json!({
            "model": self.model,
            "query": self.query,
            "documents": documents,
            "rank_fields": ["text"],
            "return_documents": false,
        });
        if let Some(top_n) = self.top_n {
            body["top_n"] = json!(top_n.min(self.texts.len()));
        }
        if !self.parameters.is_empty() {
            body["parameters"] = Value::Object(self.parameters.clone());
        }
        body
    }
}

impl Pinecone {
    /// The texts that are most relevant to the query, best first. Of no texts it is none, without a call.
    ///
    /// An answer that is lost is asked for again, and Pinecone bills each one that it gave.
    pub async fn rerank(&self, rerank: &Rerank) -> Result<Vec<Ranked>, RetrievalError> {
        let count = rerank.texts.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        if count > MAX_RERANKED {
            return Err(RetrievalError::TooManyTexts {
                count,
                limit: MAX_RERANKED,
            });
        }
        let call = Call::new("rerank", Method::POST, self.control_url(), &[PATH])?.with_json(&rerank.body())?;
        ranked(&self.send(call).await?, count)
    }
}

/// Each text once at most.
fn ranked(answer: &Answer, count: usize) -> Result<Vec<Ranked>, RetrievalError> {
    #[derive(Deserialize)]
    struct Reranked {
        data: Vec<Ranked>,
    }
    let Reranked { data } = answer.json()?;
    let mut left = vec![true; count];
    for ranked in &data {
        if !left.get_mut(ranked.index).is_some_and(std::mem::take) {
            let message = format!("there is no text {} to rank, or it is ranked twice", ranked.index);
            return Err(answer.unreadable(serde_json::Error::custom(message)));
        }
    }
    Ok(data)
}
