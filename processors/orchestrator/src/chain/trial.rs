//! The tests that a chain file brings along: an input, what the steps that call something would give, and what must come
//! of it.
//!
//! ```yaml
//! tests:
//!   - name: says that it does not know
//!     input: {question: "Who?"}
//!     mocks: {docs: {items: []}, answer: {text: I do not know.}}   # or {error: timeout}, and `chunks[].summary` for each item
//!     expect: {output: {answer: I do not know., documents: []}}
//!   - {name: asks, input: {…}, expect: {approvals: [{step: approval, message: "Refund 70?", value: {amount: 70}}]}}
//!   - {name: gives up, input: {question: "Who?"}, mocks: {docs: {error: retrieval}}, expect: {error: retrieval, step: docs}}
//! ```

use serde_json::{Value, json};
use yaml::{Content, Entry, Fields, Node, Position, Problems};

use super::{
    Chain,
    block::Block,
    context::{Context, World},
    mocks::Mocks,
    outcome::{Ending, Failure},
    turn::Approval,
    ways,
};

/// One test of a chain file.
#[derive(Debug)]
pub struct Trial {
    pub name: String,
    input: Value,
    params: Value,
    mocks: Mocks,
    /// The steps that its mocks are for.
    mocked: Vec<(String, Position)>,
    expected: Expected,
}

#[derive(Debug)]
enum Expected {
    Output(Value),
    Error {
        class: String,
        step: Option<String>,
    },
    /// What waits for a person: a list of `{step, message, value}`.
    Approvals(Value),
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Passed,
    /// Both in the form of `expect`; `why` is the message of an error.
    Differs {
        expected: Value,
        actual: Value,
        why: Option<String>,
    },
}

impl Trial {
    pub(super) fn read_all(node: Option<&Node>, problems: &Problems) -> Vec<Self> {
        let items = match node.map(|node| (&node.content, node)) {
            None => return Vec::new(),
            Some((Content::List(items), _)) => items,
            Some((_, node)) => {
                let message = format!("`tests` must be a list, and this is {}", node.kind());
                problems.add(
                    node.position,
                    message,
                    "for example [{name: …, input: {…}, expect: {output: …}}]",
                );
                return Vec::new();
            }
        };
        items.iter().filter_map(|item| Self::read(item, problems)).collect()
    }

    fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let known = ["name", "input", "params", "mocks", "expect"];
        let fields = Fields::of(node, "a test", &known, &[], problems)?;
        let name = fields.require_text("name", "says that it does not know");
        let input = fields.require("input", "{question: \"Who?\"}").map(Node::to_json);
        let entries = fields
            .get("mocks")
            .map_or(Some([].as_slice()), |node| mocks(node, problems));
        let mocks = entries.map(|entries| entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())));
        let mocked = entries.into_iter().flatten();
        let mocked = mocked.map(|entry| (entry.key.clone(), entry.position)).collect();
        let expected = fields.require("expect", "{output: …}");
        let expected = expected.and_then(|node| Expected::read(node, problems));
        Some(Self {
            name: name?.value.clone(),
            input: input?,
            params: fields.get("params").map_or(Value::Null, Node::to_json),
            mocks: Mocks::new(mocks?.collect()),
            mocked,
            expected: expected?,
        })
    }

    /// A mock that is for none of the steps would be passed over without a word.
    pub(super) fn check(&self, steps: &Block, problems: &Problems) {
        for (mocked, position) in &self.mocked {
            if let Some(there) = ways::astray(steps, mocked) {
                let there = there.iter().map(String::as_str);
                problems.add_unknown(*position, format!("there is no step `{mocked}`"), mocked, there);
            } else if ways::is_mixed(mocked) {
                let message = format!("`{mocked}` is for each item in one place, and for one item in another");
                problems.add(*position, message, "write a number into every `[]`, or into none");
            }
        }
    }
}

impl Expected {
    fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(
            node,
            "`expect`",
            &["output", "error", "step", "approvals"],
            &[],
            problems,
        )?;
        let text = |key| Some(fields.get(key)?.text(key, problems)?.value.clone());
        match ["output", "error", "approvals"].map(|key| fields.get(key)) {
            [Some(output), None, None] => Some(Self::Output(output.to_json())),
            [None, Some(_), None] => Some(Self::Error {
                class: text("error")?,
                step: text("step"),
            }),
            [None, None, Some(approvals)] => Some(Self::Approvals(approvals.to_json())),
            _ => {
                let help = "`expect: {output: …}`, `expect: {error: timeout, step: answer}`, or what waits for a person: \
                            `expect: {approvals: [{step: …, message: …, value: …}]}`";
                problems.add(
                    node.position,
                    "a test expects one of an output, an error or approvals",
                    help,
                );
                None
            }
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Output(output) => json!({"output": output}),
            Self::Error { class, step: None } => json!({"error": class}),
            Self::Error {
                class,
                step: Some(step),
            } => json!({"error": class, "step": step}),
            Self::Approvals(approvals) => json!({"approvals": approvals}),
        }
    }
}

impl Chain {
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// Runs one of its tests. Nothing is called.
    pub async fn try_out(&self, trial: &Trial, context: &Context) -> Verdict {
        let expected = trial.expected.to_json();
        let accepted = match self.accept(trial.input.clone(), trial.params.clone()) {
            Ok(accepted) => accepted,
            Err(mistake) => {
                let actual = json!({"error": "invalid_input"});
                return verdict(expected, actual, Some(mistake));
            }
        };
        let outcome = self.run_in(World::Mocked(&trial.mocks), &accepted, context).await;
        let Failure { class, message, step } = match outcome.ending {
            Ending::Completed(output) => return verdict(expected, json!({"output": output}), None),
            Ending::Interrupted(state) => {
                let approval = |approval: &Approval| {
                    let Approval {
                        step, message, value, ..
                    } = approval;
                    json!({"step": step, "message": message, "value": value})
                };
                let approvals = state.approvals.iter().map(approval).collect();
                return verdict(expected, Expected::Approvals(approvals).to_json(), None);
            }
            Ending::Failed(failure) | Ending::Cancelled(failure) => failure,
        };
        let any_step = matches!(&trial.expected, Expected::Error { step: None, .. });
        let actual = Expected::Error {
            class,
            step: step.filter(|_| !any_step),
        };
        verdict(expected, actual.to_json(), Some(message))
    }
}

fn verdict(expected: Value, actual: Value, why: Option<String>) -> Verdict {
    if expected == actual {
        Verdict::Passed
    } else {
        Verdict::Differs { expected, actual, why }
    }
}

fn mocks<'n>(node: &'n Node, problems: &Problems) -> Option<&'n [Entry]> {
    let Content::Map(entries) = &node.content else {
        let message = format!("`mocks` must be a mapping, and this is {}", node.kind());
        problems.add(node.position, message, "for example {answer: {text: hello}}");
        return None;
    };
    Some(entries)
}
