use yaml::{Content, Fields, Node, Problems};

use crate::chain::error::{self, StepError};

/// `on: [rate_limited, timeout]`: the classes of errors that something is for.
#[derive(Debug, Clone)]
pub(crate) struct Classes(Vec<String>);

impl Classes {
    pub(super) const KEY: &str = "on";

    /// `None` if the file does not say.
    pub(super) fn read(fields: &Fields<'_>) -> Option<Self> {
        let node = fields.get(Self::KEY)?;
        let Content::List(items) = &node.content else {
            let message = format!("`on` must be a list of error classes, and this is {}", node.kind());
            fields
                .problems
                .add(node.position, message, "for example on: [rate_limited, timeout]");
            return None;
        };
        Some(Self(
            items.iter().filter_map(|item| class(item, fields.problems)).collect(),
        ))
    }

    pub(super) fn hold(&self, error: &StepError) -> bool {
        self.0.iter().any(|class| class == error.class())
    }
}

/// What may pass by itself, so that trying again can help.
impl Default for Classes {
    fn default() -> Self {
        let passing = [
            "rate_limited",
            "overloaded",
            "timeout",
            "transport",
            "server",
            "malformed",
            "retrieval_unavailable",
        ];
        Self(passing.map(str::to_owned).into())
    }
}

fn class(node: &Node, problems: &Problems) -> Option<String> {
    let class = &node.text("on", problems)?.value;
    let known = error::classes();
    if known.contains(&class.as_str()) {
        return Some(class.clone());
    }
    problems.add_unknown(
        node.position,
        format!("no step fails with the class `{class}`"),
        class,
        known,
    );
    None
}
