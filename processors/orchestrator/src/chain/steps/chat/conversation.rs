use std::collections::BTreeSet;

use models::{Message, Role};
use yaml::Fields;

use super::{
    examples::examples,
    history::History,
    prompt::{self, Prompt},
};
use crate::chain::{error::StepError, steps::Check};

/// All that a model is told: `messages`, and behind the system messages that come first `examples` and `history`.
#[derive(Debug)]
pub(super) struct Conversation {
    prompts: Vec<Prompt>,
    /// User and assistant in turn.
    examples: Vec<Prompt>,
    history: Option<History>,
}

impl Conversation {
    pub(super) fn read(fields: &Fields<'_>) -> Option<Self> {
        let problems = fields.problems;
        let prompts = fields
            .require("messages", "[{role: user, content: \"{{ input.question }}\"}]")
            .map_or_else(Vec::new, |node| prompt::messages(node, problems));
        let examples = fields
            .get("examples")
            .map_or_else(Vec::new, |node| examples(node, problems));
        let history = fields.get("history").map(|node| History::read(node, problems));
        Some(Self {
            prompts,
            examples,
            history: history.map_or(Some(None), |history| Some(Some(history?)))?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        for prompt in self.written() {
            prompt.content.reads(steps);
        }
        if let Some(history) = &self.history {
            history.reads(steps);
        }
    }

    /// Whether any of it may come from a stranger.
    pub(super) fn check(&self, check: &Check<'_>) -> bool {
        let mut untrusted = false;
        for prompt in self.written() {
            untrusted |= prompt.check(check);
        }
        if let Some(history) = &self.history {
            untrusted |= history.check(check);
        }
        untrusted
    }

    pub(super) fn has_images(&self) -> bool {
        self.written().any(|prompt| prompt.content.has_images())
    }

    /// Whether the file itself has this word in it, in whatever case.
    pub(super) fn mentions(&self, word: &str) -> bool {
        self.written().any(|prompt| prompt.content.mentions(word))
    }

    /// The messages that every run says alike.
    pub(super) fn constant(&self) -> Vec<Message> {
        self.written().filter_map(Prompt::constant).collect()
    }

    pub(super) fn messages(&self, scope: &minijinja::Value) -> Result<Vec<Message>, StepError> {
        let said = |prompts: &[Prompt]| -> Result<Vec<Message>, StepError> {
            prompts.iter().map(|prompt| prompt.message(scope)).collect()
        };
        let mut messages = said(&self.prompts)?;
        let mut before = said(&self.examples)?;
        if let Some(history) = &self.history {
            before.extend(history.messages(scope)?);
        }
        let rules = messages
            .iter()
            .take_while(|message| message.role == Role::System)
            .count();
        messages.splice(rules..rules, before);
        Ok(messages)
    }

    fn written(&self) -> impl Iterator<Item = &Prompt> {
        self.prompts.iter().chain(&self.examples)
    }
}
