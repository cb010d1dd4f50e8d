//! An answerer that only quotes: the sentences of the retrieved text that share the rarest words with the question.
//!
//! Retrieved text is what stands in `<doc id="…">…</doc>` blocks of the messages; the question is the last user message
//! without those blocks.

use super::words::words;
use crate::dialect::openai::chat::Completion;
use crate::dialect::{Reply, estimate};
use crate::{ChatRequest, FinishReason, Message, Role};
use std::collections::{HashMap, HashSet};

const QUOTES: usize = 3;
const INTRODUCTION: &str = "Quoted by a local extractive model, not written by a language model:";
const NOTHING_TO_QUOTE: &str = "This is a local extractive model: it only quotes retrieved text in <doc> blocks, and \
                                the prompt has none. Name a language model in the models file for anything else.";
const NOTHING_MATCHES: &str =
    "This is a local extractive model: no sentence of the retrieved text shares a word with the question.";

pub(crate) fn answer(request: &ChatRequest, max_tokens: u32) -> Reply<Completion> {
    let (text, finish_reason) = quote(&request.messages, max_tokens);
    let audited = Some(text.clone());
    let completion = Completion {
        text,
        finish_reason,
        model: "extractive".to_owned(),
    };
    Reply {
        outcome: Ok(completion),
        tokens: None,
        text: audited,
    }
}

fn quote(messages: &[Message], max_tokens: u32) -> (String, FinishReason) {
    let parts: Vec<Part<'_>> = messages.iter().flat_map(|message| split(&message.content)).collect();
    let sentences: Vec<Sentence<'_>> = parts.iter().flat_map(Part::sentences).collect();
    if sentences.is_empty() {
        return (NOTHING_TO_QUOTE.to_owned(), FinishReason::Stop);
    }
    let asked = messages
        .iter()
        .rev()
        .find(|message| message.role == Role::User)
        .map_or("", |m| m.content.as_str());
    let question: String = split(asked)
        .into_iter()
        .filter(|part| part.document.is_none())
        .map(|p| p.text)
        .collect();

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

/// The sentences with the highest weight of shared words, in the order of the text.
fn best<'a, 'b>(sentences: &'b [Sentence<'a>], question: &str) -> Vec<&'b Sentence<'a>> {
    let asked: HashSet<String> = words(question).collect();
    let shared: Vec<HashSet<String>> = sentences
        .iter()
        .map(|sentence| words(sentence.text).filter(|word| asked.contains(word)).collect())
        .collect();
    let mut in_sentences: HashMap<&str, usize> = HashMap::new();
    for word in shared.iter().flatten() {
        *in_sentences.entry(word).or_default() += 1;
    }
    let rarity = |word: &String| {
        let count = in_sentences.get(word.as_str()).copied().unwrap_or(1);
        (1.0 + sentences.len() as f64 / count as f64).ln()
    };
    let mut ranked: Vec<(f64, usize)> = shared
        .iter()
        .enumerate()
        .filter(|(_, words)| !words.is_empty())
        .map(|(i, words)| (words.iter().map(rarity).sum(), i))
        .collect();
    ranked.sort_by(|(a, i), (b, j)| b.total_cmp(a).then(i.cmp(j)));
    let mut seen = HashSet::new();
    ranked.retain(|(_, i)| seen.insert(sentences[*i].text));
    ranked.truncate(QUOTES);
    ranked.sort_by_key(|(_, i)| *i);
    ranked.into_iter().map(|(_, i)| &sentences[i]).collect()
}

struct Sentence<'a> {
    document: &'a str,
    text: &'a str,
}

/// A stretch of a message: inside a document, or outside of all.
struct Part<'a> {
    document: Option<&'a str>,
    text: &'a str,
}

impl<'a> Part<'a> {
    /// Sentences of a document: a line end or a full stop before a space ends one. Markdown's headings are none.
    fn sentences(&self) -> Vec<Sentence<'a>> {
        let Some(document) = self.document else {
            return Vec::new();
        };
        let lines = self
            .text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with(['#', '|', '`']));
        lines
            .flat_map(|line| line.split_inclusive(". ").flat_map(|s| s.split_inclusive("? ")))
            .map(|sentence| sentence.trim().trim_start_matches(['-', '*', '>', ' ']))
            .filter(|text| text.chars().any(char::is_alphanumeric))
            .map(|text| Sentence { document, text })
            .collect()
    }
}

fn split(message: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = message;
    while let Some((before, tag, text, after)) = next_document(rest) {
        parts.push(Part {
            document: None,
            text: before,
        });
        parts.push(Part {
            document: Some(id(tag)),
            text,
        });
        rest = after;
    }
    parts.push(Part {
        document: None,
        text: rest,
    });
    parts
}

/// What stands before the next `<doc …>…</doc>`, its tag, its text, and what stands after it.
fn next_document(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, rest) = text.split_once("<doc")?;
    let (tag, rest) = rest.split_once('>')?;
    let (document, after) = rest.split_once("</doc>")?;
    Some((before, tag, document, after))
}

fn id(tag: &str) -> &str {
    let value = tag.split_once("id=").map_or("", |(_, value)| value);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let id = match quote {
        Some(quote) => value[1..].split(quote).next().unwrap_or(""),
        None => value.split_whitespace().next().unwrap_or(""),
    };
    if id.is_empty() { "document" } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(prompt: &str) -> Completion {
        let message = Message {
            role: Role::User,
            content: prompt.to_owned(),
        };
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
    fn it_keeps_to_the_cap() {
        let documents = "<doc id=a>One ledger here.\nTwo ledgers there.\nA third ledger, somewhere.</doc> ledger?";
        let message = Message {
            role: Role::User,
            content: documents.to_owned(),
        };
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
