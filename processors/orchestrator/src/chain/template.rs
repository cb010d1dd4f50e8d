//! A text of a chain file with `{{ … }}` in it.
//!
//! MiniJinja, strict: a name that is not there is an error and never an empty string. A template that is nothing but one
//! `{{ … }}` gives the value itself (a number stays a number, a list a list); anything else renders text.

use std::{collections::BTreeSet, sync::LazyLock};

use minijinja::machinery::{Token, WhitespaceConfig, ast};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Expression, UndefinedBehavior, Value};
use yaml::{Position, Problems, Text};

use super::numbers;

/// Instructions that one rendering may take; a thousand passages take about fifty thousand. Nothing ends a rendering in its
/// middle, so this is also how late a run can be at its deadline: some 25 ms (`make bench SCENARIO=chain`).
const FUEL: u64 = 1_000_000;

/// Words and signs of the language in one template, its plain text apart. What compiles a template recurses: a longer one
/// could be deeper than the stack.
const MAX_TOKENS: usize = 1_000;

/// The one name of a template in an environment of its own.
const NAME: &str = "template";

static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut language = Environment::new();
    language.set_undefined_behavior(UndefinedBehavior::Strict);
    language.set_auto_escape_callback(|_| AutoEscape::None);
    language.set_fuel(Some(FUEL));
    // The one shows all values there are, the other hides where a value comes from.
    language.remove_global("debug");
    language.remove_global("namespace");
    numbers::install(&mut language);
    language
});

/// A template that parses. Whether its names exist is for [`super::typing`].
#[derive(Debug)]
pub(crate) struct Template {
    text: Text,
    /// The steps it reads: `steps.<id>`.
    steps: BTreeSet<String>,
    program: Program,
}

#[derive(Debug)]
enum Program {
    Text(Box<Environment<'static>>),
    Value(Expression<'static, 'static>),
}

/// A template could not be rendered with the values of this run.
#[derive(Debug, thiserror::Error)]
#[error("the template at line {line} cannot be rendered: {message}")]
pub(crate) struct TemplateError {
    line: usize,
    message: String,
}

impl Template {
    /// One that does not parse is a problem, and empty: what stands around it can still be checked.
    pub(crate) fn parse(text: &Text, problems: &Problems) -> Self {
        Self::parse_in(None, text, problems)
    }

    /// One whose values are written as `encode` writes them, what stands around them as it is. A value is text, a number or
    /// a boolean, and not empty.
    pub(crate) fn encoding(encode: fn(&str) -> String, text: &Text, problems: &Problems) -> Self {
        let mut language = LANGUAGE.clone();
        language.set_formatter(move |out, _, value| {
            let written = match value.kind() {
                ValueKind::String | ValueKind::Number | ValueKind::Bool => value.to_string(),
                other => {
                    return Err(Error::new(
                        ErrorKind::BadSerialization,
                        format!("a value in it is {other}"),
                    ));
                }
            };
            if written.is_empty() {
                return Err(Error::new(ErrorKind::BadSerialization, "a value in it is empty"));
            }
            out.write_str(&encode(&written)).map_err(Error::from)
        });
        Self::parse_in(Some(language), text, problems)
    }

    fn parse_in(language: Option<Environment<'static>>, text: &Text, problems: &Problems) -> Self {
        Self::compile(language, text).unwrap_or_else(|error| {
            report(text, &error, problems);
            Self {
                text: Text::default(),
                steps: BTreeSet::new(),
                program: Program::Text(Box::new(LANGUAGE.clone())),
            }
        })
    }

    /// In a `language` of its own it always renders text.
    fn compile(language: Option<Environment<'static>>, text: &Text) -> Result<Self, Error> {
        if tokens(&text.value) > MAX_TOKENS {
            let detail =
                format!("more than {MAX_TOKENS} words and signs in one template; move a part to a `transform` step");
            return Err(Error::new(ErrorKind::SyntaxError, detail));
        }
        check_numbers(&text.value)?;
        let (program, names) = match (expression(&text.value)?, &language) {
            (Some(source), None) => {
                let expression = LANGUAGE.compile_expression_owned(source.to_owned())?;
                let names = expression.undeclared_variables(true);
                (Program::Value(expression), names)
            }
            (Some(_) | None, _) => {
                let mut environment = language.unwrap_or_else(|| LANGUAGE.clone());
                environment.add_template_owned(NAME, text.value.clone())?;
                let names = environment.get_template(NAME)?.undeclared_variables(true);
                (Program::Text(Box::new(environment)), names)
            }
        };
        let step = |name: String| Some(name.strip_prefix("steps.")?.split('.').next()?.to_owned());
        Ok(Self {
            text: text.clone(),
            steps: names.into_iter().filter_map(step).collect(),
            program,
        })
    }

    /// The ids of the steps whose outputs it reads.
    pub(crate) fn steps(&self) -> &BTreeSet<String> {
        &self.steps
    }

    pub(crate) fn source(&self) -> &str {
        &self.text.value
    }

    pub(crate) fn position(&self) -> Position {
        self.text.position_of(0, 0)
    }

    pub(crate) fn position_of(&self, start: usize, end: usize) -> Position {
        self.text.position_of(start, end)
    }

    /// The text of one in which there is nothing to fill in.
    pub(crate) fn constant(&self) -> Option<&str> {
        let marks = ["{{", "{%", "{#"];
        let plain = !marks.iter().any(|mark| self.text.value.contains(mark));
        plain.then_some(self.text.value.as_str())
    }

    /// Where one of `marks` stands outside of its templates.
    pub(crate) fn literally(&self, marks: &[char]) -> Option<Position> {
        let source = &self.text.value;
        let tokens = minijinja::machinery::tokenize(source, false, SyntaxConfig, WhitespaceConfig::default());
        let places = tokens.map_while(Result::ok).filter_map(|(token, span)| match token {
            Token::TemplateData(data) => Some(span.start_offset as usize + data.find(marks)?),
            _ => None,
        });
        let at = { places }.next()?;
        Some(self.position_of(at, at + 1))
    }

    /// Whether it gives a value, not text.
    pub(crate) fn is_expression(&self) -> bool {
        matches!(self.program, Program::Value(_))
    }

    /// The value of an expression, or the text of a template.
    pub(crate) fn value(&self, scope: &Value) -> Result<serde_json::Value, TemplateError> {
        match &self.program {
            Program::Text(_) => self.render(scope).map(serde_json::Value::String),
            Program::Value(expression) => {
                let value = expression.eval(scope).map_err(|error| self.failed(&error))?;
                if value.is_undefined() {
                    return Err(self.error("a name in it has no value".to_owned()));
                }
                numbers::json(&value).map_err(|error| self.failed(&error))
            }
        }
    }

    /// The text, whatever kind of template it is.
    pub(crate) fn render(&self, scope: &Value) -> Result<String, TemplateError> {
        match &self.program {
            Program::Text(environment) => {
                let template = environment.get_template(NAME).map_err(|error| self.failed(&error))?;
                template.render(scope).map_err(|error| self.failed(&error))
            }
            Program::Value(_) => Ok(match self.value(scope)? {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            }),
        }
    }

    fn failed(&self, error: &Error) -> TemplateError {
        self.error(describe(error))
    }

    fn error(&self, message: String) -> TemplateError {
        TemplateError {
            line: self.position().line,
            message,
        }
    }
}

/// Walks the syntax tree of a template that parses.
pub(crate) fn parse(source: &str) -> Result<ast::Stmt<'_>, Error> {
    minijinja::machinery::parse(source, NAME, SyntaxConfig, WhitespaceConfig::default())
}

/// Whether the language has a filter of this name.
pub(crate) fn has_filter(name: &str) -> bool {
    let missing = |error: Error| error.kind() == ErrorKind::UnknownFilter;
    !LANGUAGE.empty_state().apply_filter(name, &[]).is_err_and(missing)
}

/// Whether the language has a test of this name.
pub(crate) fn has_test(name: &str) -> bool {
    let missing = |error: Error| error.kind() == ErrorKind::UnknownTest;
    !LANGUAGE.empty_state().perform_test(name, &[]).is_err_and(missing)
}

/// The names of the functions of the language.
pub(crate) fn functions() -> Vec<String> {
    LANGUAGE.globals().map(|(name, _)| name.to_owned()).collect()
}

/// Counts up to one more than there may be.
fn tokens(source: &str) -> usize {
    let tokens = minijinja::machinery::tokenize(source, false, SyntaxConfig, WhitespaceConfig::default());
    tokens.take(MAX_TOKENS + 1).count()
}

/// Those that are written in it are held as they are.
fn check_numbers(source: &str) -> Result<(), Error> {
    let tokens = minijinja::machinery::tokenize(source, false, SyntaxConfig, WhitespaceConfig::default());
    for (token, span) in tokens.map_while(Result::ok) {
        let written = &source[span.start_offset as usize..span.end_offset as usize];
        if matches!(token, Token::Float(_)) && schemas::json::exact(&written.replace('_', "")).is_none() {
            let detail = format!("{written} has more digits than 64 bits hold");
            return Err(Error::new(ErrorKind::SyntaxError, detail));
        }
    }
    Ok(())
}

/// The expression in a template that is nothing else.
fn expression(source: &str) -> Result<Option<&str>, Error> {
    let tree = parse(source)?;
    let ast::Stmt::Template(template) = &tree else {
        return Ok(None);
    };
    let [ast::Stmt::EmitExpr(_)] = template.children.as_slice() else {
        return Ok(None);
    };
    let inner = source
        .trim()
        .strip_prefix("{{")
        .and_then(|source| source.strip_suffix("}}"));
    Ok(inner
        .map(|inner| inner.strip_prefix(['-', '+']).unwrap_or(inner))
        .map(|inner| inner.strip_suffix('-').unwrap_or(inner)))
}

fn report(text: &Text, error: &Error, problems: &Problems) {
    let position = error.range().map_or_else(
        || text.position_of(0, 0),
        |range| text.position_of(range.start, range.end),
    );
    let statement = error
        .detail()
        .is_some_and(|detail| detail.starts_with("unknown statement"));
    let help = if statement {
        "there is: if, for, set, with, filter, do; what several templates need is a `transform` step that they read"
    } else {
        "a value stands in {{ … }}, a statement in {% … %}: https://docs.rs/minijinja/latest/minijinja/syntax/"
    };
    problems.add(
        position,
        format!("the template does not parse: {}", describe(error)),
        help,
    );
}

/// The error without the values and the source that its own display may quote.
fn describe(error: &Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}
