use models::{Message, Role};
use yaml::{Content, Fields, Node, Position, Problems};

use super::content::Said;
use crate::chain::{error::StepError, steps::Check, template::Template, typing::Sink};

/// Models obey what stands there.
const SYSTEM: Sink = Sink {
    what: "a system message",
    help: "put it into a user message, or say `allow_untrusted: true` if it cannot do harm there",
};

/// One message, before a run fills it in.
#[derive(Debug)]
pub(super) struct Prompt {
    role: Role,
    pub(super) content: Said,
    allow_untrusted: bool,
}

/// Those that can be read.
pub(super) fn messages(node: &Node, problems: &Problems) -> Vec<Prompt> {
    let Content::List(items) = &node.content else {
        let help = "for example messages: [{role: user, content: \"{{ input.question }}\"}]";
        problems.add(
            node.position,
            format!("`messages` must be a list, and this is {}", node.kind()),
            help,
        );
        return Vec::new();
    };
    if items.is_empty() {
        problems.add(
            node.position,
            "`messages` is empty",
            "a chat needs at least one user message",
        );
    }
    items.iter().filter_map(|item| Prompt::read(item, problems)).collect()
}

impl Prompt {
    pub(super) fn new(role: Role, content: Template) -> Self {
        Self {
            role,
            content: Said::Text(content),
            allow_untrusted: false,
        }
    }

    fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let known = ["role", "content", "allow_untrusted"];
        let fields = Fields::of(node, "a message", &known, &[], problems)?;
        let role = fields
            .require_text("role", "user")
            .and_then(|text| role(&text.value, text.position_of(0, 0), problems));
        let content = fields
            .require("content", "\"{{ input.question }}\"")
            .and_then(|node| Said::read(node, problems));
        let allow_untrusted = fields
            .get("allow_untrusted")
            .map(|node| node.boolean("allow_untrusted", problems));
        Some(Self {
            role: role?,
            content: content?,
            allow_untrusted: allow_untrusted.unwrap_or(Some(false))?,
        })
    }

    /// Whether what it says may come from a stranger.
    pub(super) fn check(&self, check: &Check<'_>) -> bool {
        let guarded = self.role == Role::System && !self.allow_untrusted;
        self.content.check(self.role, guarded.then_some(SYSTEM), check)
    }

    /// The message, where every run says the same.
    pub(super) fn constant(&self) -> Option<Message> {
        Some(Message::new(self.role, self.content.constant()?))
    }

    pub(super) fn message(&self, scope: &minijinja::Value) -> Result<Message, StepError> {
        Ok(Message::new(self.role, self.content.content(scope)?))
    }
}

fn role(name: &str, position: Position, problems: &Problems) -> Option<Role> {
    match name {
        "system" => Some(Role::System),
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        _ => {
            let known = ["system", "user", "assistant"];
            problems.add_unknown(position, format!("there is no role `{name}`"), name, known);
            None
        }
    }
}
