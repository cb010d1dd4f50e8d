use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use yaml::{Content, Fields, Node, Problems};

use super::{Check, json_text};
use crate::chain::{
    context::Surroundings,
    error::StepError,
    schema::Schema,
    template::Template,
    types::{Field, Type},
    typing,
};

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

/// What can stand beside `text`, one of them.
const FORMS: [&str; 4] = ["json", "lines", "regex", "enum"];

/// `parse: {text, json: <schema>}` or `lines: true`, `regex: <pattern>`, `enum: [a, b]`: from text to a value, which is its
/// output. It calls nothing; a text that does not fit fails with the class `parse`.
#[derive(Debug)]
pub(crate) struct Parse {
    text: Template,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// A value that fits a schema.
    Json(Schema),
    /// A list of texts: lines that are not empty, without the marks of a list before them.
    Lines,
    /// What its named groups hold at the first match; null for a group that took no part.
    Regex(Regex),
    /// The one of these words that the text is, or that alone occurs in it.
    Enum(BTreeSet<String>),
}

impl Parse {
    pub(super) const KEYS: [&str; 5] = ["text", FORMS[0], FORMS[1], FORMS[2], FORMS[3]];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "a parse step", &Self::KEYS, &[], problems)?;
        let text = fields
            .require_text("text", "\"{{ steps.answer.text }}\"")
            .map(|text| Template::parse(text, problems));
        let forms: Vec<(&str, &Node)> = FORMS
            .into_iter()
            .filter_map(|form| Some((form, fields.get(form)?)))
            .collect();
        let form = match forms.as_slice() {
            [("json", schema)] => Schema::read(schema, "`json`", problems).map(Form::Json),
            [("lines", flag)] => lines(flag, problems),
            [("regex", pattern)] => regex(pattern, problems).map(Form::Regex),
            [(_, words)] => words_of(words, problems).map(Form::Enum),
            [] => {
                let help = format!("add one of: {}", FORMS.join(", "));
                problems.add(node.position, "nothing is said of what the text is", help);
                None
            }
            [(first, _), (second, node), ..] => {
                let message = format!("the text cannot be both `{first}` and `{second}`");
                problems.add(node.position, message, "make two steps of it");
                None
            }
        };
        Some(Self {
            text: text?,
            form: form?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        steps.extend(self.text.steps().iter().cloned());
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        let untrusted = typing::infer(&self.text, check.scope, None, check.problems).is_untrusted();
        match &self.form {
            Form::Json(schema) => schema.type_of().tainted(untrusted),
            Form::Lines => Type::list(Type::Text { untrusted }),
            Form::Regex(pattern) => {
                // Null for a group that took no part.
                let group = |name: &str| {
                    let of = Type::Any { untrusted };
                    (name.to_owned(), Field::always(of))
                };
                Type::Object {
                    fields: pattern.capture_names().flatten().map(group).collect(),
                    open: false,
                }
            }
            Form::Enum(words) => Type::Choice(words.clone()),
        }
    }

    pub(super) fn run(&self, scope: &minijinja::Value, around: &Surroundings<'_>) -> Result<Value, StepError> {
        let text = self.text.render(scope)?;
        let parsed = match &self.form {
            Form::Json(schema) => {
                let value = json_text::read(&text);
                // Over a long text the one takes long, and the other again.
                around.go_on()?;
                value.and_then(|value| schema.check(&value).map(|()| value))
            }
            Form::Lines => Ok(text.lines().map(unmarked).filter(|line| !line.is_empty()).collect()),
            Form::Regex(pattern) => matched(pattern, &text),
            Form::Enum(words) => one_of(words, &text),
        };
        parsed.map_err(|message| StepError::Parse { message })
    }
}

fn lines(node: &Node, problems: &Problems) -> Option<Form> {
    let on = node.boolean("lines", problems)?;
    if !on {
        problems.add(
            node.position,
            "`lines: false` says nothing",
            "write `lines: true`, or another form",
        );
    }
    on.then_some(Form::Lines)
}

fn regex(node: &Node, problems: &Problems) -> Option<Regex> {
    let text = node.text("regex", problems)?;
    let help = "the syntax is that of https://docs.rs/regex: linear time, so without look-around and back-references";
    match RegexBuilder::new(&text.value).size_limit(PATTERN_BYTES).build() {
        Ok(pattern) if pattern.capture_names().flatten().next().is_none() => {
            let help = "name what you need, as in `order (?<number>[0-9]+)`: the output has a field for each name";
            problems.add(node.position, "the pattern has no named group", help);
            None
        }
        Ok(pattern) => Some(pattern),
        Err(regex::Error::CompiledTooBig(_)) => {
            let help = "repeat less often: `{1000}` inside of `{1000}` is a million times";
            problems.add(node.position, "the pattern is too large", help);
            None
        }
        Err(error) => {
            // The last line of its message says what is wrong, those before draw the pattern.
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            problems.add(node.position, format!("the pattern does not parse: {reason}"), help);
            None
        }
    }
}

fn words_of(node: &Node, problems: &Problems) -> Option<BTreeSet<String>> {
    let Content::List(items) = &node.content else {
        let message = format!("`enum` must be a list of words, and this is {}", node.kind());
        problems.add(node.position, message, "for example enum: [refund, question]");
        return None;
    };
    let words: Option<BTreeSet<String>> = items
        .iter()
        .map(|item| Some(item.text("enum", problems)?.value.clone()))
        .collect();
    let words = words?;
    if words.is_empty() {
        problems.add(node.position, "`enum` is empty", "for example enum: [refund, question]");
        return None;
    }
    Some(words)
}

/// Without `- `, `* ` or `1. ` before it.
fn unmarked(line: &str) -> &str {
    let line = line.trim();
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = (digits.len() < line.len()).then(|| digits.strip_prefix(". ").or_else(|| digits.strip_prefix(") ")));
    let marked = ["- ", "* ", "• "].iter().find_map(|mark| line.strip_prefix(mark));
    numbered.flatten().or(marked).unwrap_or(line).trim_start()
}

fn matched(pattern: &Regex, text: &str) -> Result<Value, String> {
    let Some(found) = pattern.captures(text) else {
        return Err("the pattern matches nowhere in it".to_owned());
    };
    let group = |name: &str| {
        let text = found
            .name(name)
            .map_or(Value::Null, |group| Value::from(group.as_str()));
        (name.to_owned(), text)
    };
    Ok(Value::Object(
        pattern.capture_names().flatten().map(group).collect::<Map<_, _>>(),
    ))
}

fn one_of(words: &BTreeSet<String>, text: &str) -> Result<Value, String> {
    let said = text.trim().trim_matches(|c: char| c.is_ascii_punctuation());
    if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(said)) {
        return Ok(Value::from(word.as_str()));
    }
    let text = text.to_lowercase();
    let mut found = words.iter().filter(|word| occurs(&word.to_lowercase(), &text));
    match (found.next(), found.next()) {
        (Some(word), None) => Ok(Value::from(word.as_str())),
        (Some(_), Some(_)) => Err("it names more than one of the words".to_owned()),
        (None, _) => Err("it names none of the words".to_owned()),
    }
}

/// As a word: there is a "no" in "no, thanks" and none in "I do not know".
fn occurs(word: &str, text: &str) -> bool {
    let is_apart = |neighbour: Option<char>| !neighbour.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + word.len()..]);
        is_apart(before.chars().next_back()) && is_apart(behind.chars().next())
    })
}
