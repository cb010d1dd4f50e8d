//! An answerer that only quotes: the sentences of the retrieved text that share the rarest words with the question.
//!
//! The question is the last user message without its documents. Where it may use tools it calls the first one with the question,
//! once, and quotes what that gives.

use super::passages::{self, Part, Sentence, parts};
use super::words::words;
use crate::dialect::openai::chat::Completion;
use crate::dialect::{Failure, Reply, estimate};
use crate::{ChatRequest, ErrorClass, FinishReason, Message, Role, ToolCall};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

const QUOTES: usize = 3;
const INTRODUCTION: &str = "Quoted by a local extractive model, not written by a language model:";
const NOTHING_TO_QUOTE: &str = "This is a local extractive model: it only quotes retrieved text in <doc> blocks, and \
                                the prompt has none. Name a language model in the models file for anything else.";
const NOTHING_MATCHES: &str =
    "This is a local extractive model: no sentence of the retrieved text shares a word with the question.";

pub(crate) fn answer(request: &ChatRequest, max_tokens: u32) -> Reply<Completion> {
    if request.messages.iter().any(|message| message.content.has_images()) {
        let message = "this is a local extractive model, which sees no images: name another in the models file";
        return Reply::failed(Failure::new(ErrorClass::BadRequest, message));
    }
    if let Some(call) = call(request) {
        let audited = serde_json::to_string(&call).ok();
        let completion = Completion {
            text: String::new(),
            tool_calls: vec![call],
            finish_reason: FinishReason::ToolCalls,
            model: "extractive".to_owned(),
        };
        return Reply {
            outcome: Ok(completion),
            tokens: None,
            text: audited,
        };
    }
    let (text, finish_reason) = quote(&request.messages, max_tokens);
    let audited = Some(text.clone());
    let completion = Completion {
        text,
        tool_calls: Vec::new(),
        finish_reason,
        model: "extractive".to_owned(),
    };
    Reply {
        outcome: Ok(completion),
        tokens: None,
        text: audited,
    }
}

/// The question, as the first argument of the first tool, unless a tool has spoken.
fn call(request: &ChatRequest) -> Option<ToolCall> {
    let tool = request.tools.first().filter(|_| !request.no_more_tools)?;
    if request.messages.iter().any(|message| message.role == Role::Tool) {
        return None;
    }
    let question = request
        .messages
        .iter()
        .rev()
        .find(|message| message.role == Role::User)?;
    let mut arguments = Map::new();
    if let Some(first) = tool.parameters["properties"]
        .as_object()
        .and_then(|all| all.keys().next())
    {
        arguments.insert(first.clone(), Value::from(question.content.text().trim()));
    }
    Some(ToolCall {
        id: "call-1".to_owned(),
        name: tool.name.clone(),
        arguments: Value::Object(arguments).to_string(),
    })
}

fn quote(messages: &[Message], max_tokens: u32) -> (String, FinishReason) {
    let mut sentences = Vec::new();
    let mut question = String::new();
    let texts: Vec<_> = messages.iter().map(|message| message.content.text()).collect();
    for (message, text) in messages.iter().zip(&texts) {
        if message.role == Role::Tool {
            sentences.extend(passages::sentences("tool", text));
            continue;
        }
        let mut prose = String::new();
        for part in parts(text) {
            match part {
                Part::Document { id, text } => sentences.extend(passages::sentences(id, text)),
                Part::Prose(text) => prose.push_str(text),
            }
        }
        if message.role == Role::User {
            question = prose;
        }
    }
    if sentences.is_empty() {
        return (NOTHING_TO_QUOTE.to_owned(), FinishReason::Stop);
    }
    let chosen = best(&sentences, &question);
    if chosen.is_empty() {
        return (NOTHING_MATCHES.to_owned(), FinishReason::Stop);
    }
    let mut answer = INTRODUCTION.to_owned();
    for sentence in chosen {
        let line = format!("\n> {} [{}]", sentence.text, sentence.document);
        if estimate(&answer) + estimate(&line) > i64::from(max_tokens) {
            return (answer, FinishReason::Length);
        }
        answer.push_str(&line);
    }
    (answer, FinishReason::Stop)
}

/// The sentences with the highest weight of words they share with the question, in the order of the text. Rare words
/// weigh more; words of the heading above weigh half.
fn best<'a, 'b>(sentences: &'b [Sentence<'a>], question: &str) -> Vec<&'b Sentence<'a>> {
    let asked: HashSet<String> = words(question).collect();
    let shared = |text: &str| -> HashSet<String> { words(text).filter(|word| asked.contains(word)).collect() };
    let shared: Vec<_> = sentences.iter().map(|s| (shared(&s.text), shared(s.heading))).collect();

    let mut in_sentences: HashMap<&str, usize> = HashMap::new();
    for word in shared.iter().flat_map(|(own, above)| own.union(above)) {
        *in_sentences.entry(word).or_default() += 1;
    }
    let rarity = |word: &String| {
        let count = in_sentences.get(word.as_str()).copied().unwrap_or(1);
        (1.0 + sentences.len() as f64 / count as f64).ln()
    };
    let weight = |(own, above): &(HashSet<String>, HashSet<String>)| {
        let own_weight: f64 = sum(own.iter().map(rarity));
        own_weight + sum(above.difference(own).map(rarity)) / 2.0
    };

    let mut ranked: Vec<(f64, usize)> = shared
        .iter()
        .map(weight)
        .zip(0..)
        .filter(|(weight, _)| *weight > 0.0)
        .collect();
    ranked.sort_by(|(a, i), (b, j)| b.total_cmp(a).then(i.cmp(j)));
    let mut seen = HashSet::new();
    ranked.retain(|(_, i)| seen.insert(sentences[*i].text.as_str()));
    ranked.truncate(QUOTES);
    ranked.sort_by_key(|(_, i)| *i);
    ranked.into_iter().map(|(_, i)| &sentences[i]).collect()
}

/// In a fixed order: float addition depends on it, and that of a set is random.
fn sum(weights: impl Iterator<Item = f64>) -> f64 {
    let mut weights: Vec<f64> = weights.collect();
    weights.sort_by(f64::total_cmp);
    weights.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tool;
    use proptest::prelude::*;
    use serde_json::json;

    fn ask(prompt: &str) -> Completion {
        let message = Message::new(Role::User, prompt);
        answer(
            &ChatRequest {
                messages: vec![message],
                ..ChatRequest::default()
            },
            200,
        )
        .outcome
        .unwrap()
    }

    #[test]
    fn it_quotes_the_sentences_that_match_and_says_what_it_is() {
        let answer = ask(
            "<doc id='engine#2'>Chains run on tokio. A transaction spans milliseconds.\n# Transactions\n</doc>\n\
             <doc id=\"web\">The page shows runs.</doc>\nHow long is a transaction?",
        );
        assert_eq!(
            answer.text,
            format!("{INTRODUCTION}\n> A transaction spans milliseconds. [engine#2]")
        );
        assert_eq!(answer.finish_reason, FinishReason::Stop);
    }

    #[test]
    fn it_says_so_when_there_is_nothing_to_quote() {
        assert_eq!(ask("What is a ledger?").text, NOTHING_TO_QUOTE);
        assert_eq!(
            ask("<doc id=a>The page shows runs.</doc> What is a ledger?").text,
            NOTHING_MATCHES
        );
    }

    #[test]
    fn a_heading_speaks_for_what_stands_under_it() {
        let text = "<doc id=a># Ledger\nIt keeps results.\n# Page\nIt shows them.</doc> What does a ledger do?";
        assert_eq!(ask(text).text, format!("{INTRODUCTION}\n> It keeps results. [a]"));
    }

    #[test]
    fn it_asks_the_first_tool_and_quotes_what_that_gives() {
        let mut request = ChatRequest {
            messages: vec![Message::new(Role::User, "What is a ledger?")],
            tools: vec![Tool {
                name: "search".to_owned(),
                description: String::new(),
                parameters: json!({"type": "object", "properties": {"query": {"type": "string"}}}),
            }],
            ..ChatRequest::default()
        };
        let call = answer(&request, 100).outcome.unwrap().tool_calls.remove(0);
        assert_eq!(
            (call.name.as_str(), call.arguments.as_str()),
            ("search", r#"{"query":"What is a ledger?"}"#)
        );

        request
            .messages
            .push(Message::new(Role::Tool, "A ledger keeps results."));
        assert!(
            answer(&request, 100)
                .outcome
                .unwrap()
                .text
                .ends_with("> A ledger keeps results. [tool]")
        );
    }

    #[test]
    fn it_does_not_pretend_to_see() {
        let shown = serde_json::json!([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]);
        let content = serde_json::from_value(shown).unwrap();
        let request = ChatRequest {
            messages: vec![Message {
                content,
                ..Message::new(Role::User, "")
            }],
            ..ChatRequest::default()
        };
        let failure = answer(&request, 100).outcome.unwrap_err();
        assert_eq!(failure.class, ErrorClass::BadRequest);
    }

    #[test]
    fn it_keeps_to_the_cap() {
        let documents = "<doc id=a>One ledger here.\n\nTwo ledgers there.\n\nA third ledger, somewhere.</doc> ledger?";
        let message = Message::new(Role::User, documents);
        let request = ChatRequest {
            messages: vec![message],
            ..ChatRequest::default()
        };
        let answer = answer(&request, 25).outcome.unwrap();
        assert_eq!(answer.finish_reason, FinishReason::Length);
        assert_eq!(answer.text, format!("{INTRODUCTION}\n> One ledger here. [a]"));
    }

    proptest! {
        #[test]
        fn any_prompt_has_an_answer(prompt in "(<doc|id=|>|</doc>|'|\"|[a-zé. ]){0,40}") {
            prop_assert!(!ask(&prompt).text.is_empty());
        }
    }
}
