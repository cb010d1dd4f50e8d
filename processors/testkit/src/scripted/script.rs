use serde::{Deserialize, Serialize};

use super::{Answer, Latency};

/// What the server does, as YAML or JSON:
///
/// ```yaml
/// seed: 7
/// latency: bimodal:5,3000,0.5
/// rules:
///   - when: { contains: storm, attempts: 2 }
///     answer: "429:1"
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    pub seed: u64,
    pub latency: Latency,
    pub answer: Answer,
    /// Milliseconds between two tokens of a stream.
    pub token_ms: u64,
    /// Length of embeddings when the request does not ask for `dimensions`.
    pub dimension: usize,
    /// False keeps counts but no list of calls, for runs of millions.
    pub list_calls: bool,
    /// The first one that matches decides.
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    pub when: When,
    pub latency: Option<Latency>,
    pub answer: Option<Answer>,
}

/// All that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The header `x-request-id`.
    pub request_id: Option<String>,
    /// Part of a message or of an embedding input.
    pub contains: Option<String>,
    pub model: Option<String>,
    /// Only the first so many attempts of the same body under the same request id.
    pub attempts: Option<u32>,
}

/// What rules and directives look at.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub request_id: &'a str,
    pub model: &'a str,
    pub texts: &'a [String],
    /// 1 for the first.
    pub attempt: u32,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            seed: 0,
            latency: Latency::default(),
            answer: Answer::default(),
            token_ms: 0,
            dimension: 64,
            list_calls: true,
            rules: Vec::new(),
        }
    }
}

impl Script {
    /// Every answer after `latency`.
    #[must_use]
    pub fn after(latency: Latency) -> Self {
        Self {
            latency,
            ..Self::default()
        }
    }

    /// `directive` comes before all rules.
    pub(super) fn decide(&self, directive: Option<&Rule>, asked: Asked<'_>) -> (Latency, Answer) {
        let rule = directive
            .into_iter()
            .chain(&self.rules)
            .find(|rule| rule.when.holds(asked));
        let latency = rule.and_then(|rule| rule.latency).unwrap_or(self.latency);
        let answer = rule
            .and_then(|rule| rule.answer.clone())
            .unwrap_or_else(|| self.answer.clone());
        (latency, answer)
    }
}

impl When {
    fn holds(&self, asked: Asked<'_>) -> bool {
        let is = |wanted: &Option<String>, have: &str| wanted.as_deref().is_none_or(|wanted| wanted == have);
        is(&self.request_id, asked.request_id)
            && is(&self.model, asked.model)
            && self
                .contains
                .as_ref()
                .is_none_or(|part| asked.texts.iter().any(|text| text.contains(part)))
            && self.attempts.is_none_or(|attempts| asked.attempt <= attempts)
    }
}
