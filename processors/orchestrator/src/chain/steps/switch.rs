use std::collections::BTreeSet;

use serde_json::Value;
use yaml::{Content, Fields, Node, Position, Problems};

use super::Check;
use crate::chain::{
    bill::Bill, block::Block, context::Surroundings, error::StepError, frame::Frame, templated::Templated, types::Type,
};

/// `switch: {on, cases: {refund: […], question: […]}, default: […]}`, or `cases: [{when, steps}]`: its output is that of the
/// one block that runs. No case left out: there is a `default`, or `on` is one of a closed set and every one has its case.
#[derive(Debug)]
pub(crate) struct Switch {
    position: Position,
    cases: Cases,
    default: Option<Block>,
}

#[derive(Debug)]
enum Cases {
    /// By the text that `on` gives.
    Named {
        on: Box<Templated>,
        cases: Vec<Case<String>>,
    },
    /// The first whose condition is true.
    Ordered(Vec<Case<Templated>>),
}

#[derive(Debug)]
struct Case<W> {
    when: W,
    /// The text, or the number of the case from 1.
    name: String,
    position: Position,
    steps: Block,
}

impl Switch {
    pub(super) const KEYS: [&str; 3] = ["on", "cases", "default"];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "a switch step", &Self::KEYS, &[], problems)?;
        let default = fields
            .get("default")
            .map(|node| Block::read(node, "`default`", problems));
        let example = "{refund: [{id: refund, …}]}, or [{when: \"{{ … }}\", steps: […]}]";
        let cases = fields.require("cases", example)?;
        let cases = match (&cases.content, fields.get("on")) {
            (Content::Map(entries), Some(on)) => Cases::Named {
                on: Box::new(Templated::read(on, problems)),
                cases: entries
                    .iter()
                    .map(|entry| Case {
                        when: entry.key.clone(),
                        name: entry.key.clone(),
                        position: entry.position,
                        steps: Block::read(&entry.value, &format!("case `{}`", entry.key), problems),
                    })
                    .collect(),
            },
            (Content::Map(_), None) => {
                let help = "add `on: \"{{ … }}\"`, the text that the cases are named after";
                problems.add(
                    fields.position,
                    "the cases have names, and nothing to compare them with",
                    help,
                );
                return None;
            }
            (Content::List(_), Some(on)) => {
                let help = "remove `on`, or make `cases` a mapping of texts to steps";
                problems.add(
                    on.position,
                    "`on` is for cases with names, and these have conditions",
                    help,
                );
                return None;
            }
            (Content::List(items), None) => {
                let cases = items
                    .iter()
                    .zip(1..)
                    .filter_map(|(item, number)| ordered(item, number, problems));
                Cases::Ordered(cases.collect())
            }
            (Content::Text(_) | Content::Scalar(_), _) => {
                let message = format!("`cases` must be a mapping or a list, and this is {}", cases.kind());
                problems.add(cases.position, message, format!("for example cases: {example}"));
                return None;
            }
        };
        if cases.blocks().is_empty() {
            problems.add(node.position, "`cases` is empty", "what always happens needs no switch");
        }
        Some(Self {
            position: node.position,
            cases,
            default,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        match &self.cases {
            Cases::Named { on, .. } => on.steps(steps),
            Cases::Ordered(cases) => cases.iter().for_each(|case| case.when.steps(steps)),
        }
        for (_, block) in self.blocks() {
            block.reads(steps);
        }
    }

    pub(super) fn blocks(&self) -> Vec<(&str, &Block)> {
        let mut blocks = self.cases.blocks();
        blocks.extend(self.default.as_ref().map(|block| ("default", block)));
        blocks
    }

    pub(super) fn blocks_mut(&mut self) -> Vec<&mut Block> {
        let mut blocks = self.cases.blocks_mut();
        blocks.extend(self.default.as_mut());
        blocks
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        match &self.cases {
            Cases::Named { on, cases } => self.check_names(on, cases, check),
            Cases::Ordered(cases) => {
                for case in cases {
                    case.when.condition(check.scope, check.problems);
                }
                if self.default.is_none() {
                    let help = "add `default: [{id: nothing, transform: null}]`, or what should happen then";
                    let message = "there is no case for when no condition is true";
                    check.problems.add(self.position, message, help);
                }
            }
        }
        let mut outputs: Vec<Type> = match &self.cases {
            Cases::Named { cases, .. } => cases.iter().map(|case| case.steps.check(check).1).collect(),
            Cases::Ordered(cases) => {
                let of = |case: &Case<Templated>| {
                    let scope = check.scope.where_true(&case.when);
                    case.steps.check(&mut check.within(&scope)).1
                };
                cases.iter().map(of).collect()
            }
        };
        outputs.extend(self.default.as_ref().map(|block| block.check(check).1));
        outputs
            .into_iter()
            .reduce(|one, other| one.or(&other))
            .unwrap_or(Type::ANY)
    }

    fn check_names(&self, on: &Templated, cases: &[Case<String>], check: &Check<'_>) {
        let named = |word: &str| cases.iter().any(|case| case.when == word);
        match on.infer(check.scope, None, check.problems) {
            Type::Choice(words) => {
                for case in cases.iter().filter(|case| !words.contains(&case.when)) {
                    let message = format!("`on` is never `{}`", case.when);
                    let known = words.iter().map(String::as_str);
                    check.problems.add_unknown(case.position, message, &case.when, known);
                }
                let missing: Vec<&str> = words.iter().map(String::as_str).filter(|word| !named(word)).collect();
                if self.default.is_none() && !missing.is_empty() {
                    let message = format!("there is no case for {}", missing.join(", "));
                    check
                        .problems
                        .add(self.position, message, "add the cases, or a `default`");
                }
            }
            Type::Any { .. } | Type::Text { .. } => {
                if self.default.is_none() {
                    let help = "add a `default`, or give `on` a closed set: an `enum` in the schema it comes from";
                    let message = "there is no case for when `on` is something else";
                    check.problems.add(self.position, message, help);
                }
            }
            other => {
                let message = format!("`on` must be text, and this is {}", other.describe());
                let help = "compare other values in conditions: cases: [{when: \"{{ … }}\", steps: […]}]";
                check.problems.add(on.position, message, help);
            }
        }
    }

    pub(super) async fn run<'c>(
        &'c self,
        name: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        let chosen = match &self.cases {
            Cases::Named { on, cases } => {
                let word = match on.value(frame.scope())? {
                    Value::String(word) => word,
                    other => other.to_string(),
                };
                let found = cases.iter().find(|case| case.when == word);
                found.map(|case| (&*case.name, &case.steps))
            }
            Cases::Ordered(cases) => {
                let mut found = None;
                for case in cases {
                    if case.when.is_true(frame.scope())? {
                        found = Some((&*case.name, &case.steps));
                        break;
                    }
                }
                found
            }
        };
        let default = || self.default.as_ref().map(|block| ("default", block));
        let Some((case, steps)) = chosen.or_else(default) else {
            // A closed set that a model's answer was checked against: this is for what was not.
            return Err(StepError::Option {
                message: "`on` is none of the cases, and there is no `default`".to_owned(),
            });
        };
        let inside = around.inside(name, format_args!(".{case}"));
        steps.output(frame, &inside, bill).await
    }
}

impl Cases {
    fn blocks(&self) -> Vec<(&str, &Block)> {
        match self {
            Self::Named { cases, .. } => cases.iter().map(|case| (&*case.name, &case.steps)).collect(),
            Self::Ordered(cases) => cases.iter().map(|case| (&*case.name, &case.steps)).collect(),
        }
    }

    fn blocks_mut(&mut self) -> Vec<&mut Block> {
        match self {
            Self::Named { cases, .. } => cases.iter_mut().map(|case| &mut case.steps).collect(),
            Self::Ordered(cases) => cases.iter_mut().map(|case| &mut case.steps).collect(),
        }
    }
}

fn ordered(node: &Node, number: usize, problems: &Problems) -> Option<Case<Templated>> {
    let fields = Fields::of(node, "a case", &["when", "steps"], &[], problems)?;
    let when = fields.require("when", "\"{{ steps.docs.items | length == 0 }}\"");
    let steps = fields.require("steps", "[{id: answer, …}]");
    Some(Case {
        when: Templated::read(when?, problems),
        name: number.to_string(),
        position: node.position,
        steps: Block::read(steps?, &format!("case {number}"), problems),
    })
}
