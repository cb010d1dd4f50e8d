//! `history` of a chat: a conversation that the caller brings, in front of what is asked now.
//!
//! It is a list of `{role: user | assistant, content}`. Other roles are refused, at load where the schema lets them in, else in the
//! run: whoever brings the history must not speak as the system, or as a tool.

use std::collections::BTreeSet;

use models::{Message, Role};
use serde_json::Value;
use yaml::{Content, Fields, Node, Problems};

use crate::chain::{error::StepError, fits::misfit, steps::Check, templated::Templated, types::Type};

/// Messages that are kept, if the file does not say.
const MAX_MESSAGES: u32 = 20;

const ROLES: [(&str, Role); 2] = [("user", Role::User), ("assistant", Role::Assistant)];

#[derive(Debug)]
pub(super) struct History {
    messages: Templated,
    max_messages: u32,
    /// By estimate.
    max_tokens: Option<u32>,
}

impl History {
    /// `"{{ input.messages }}"`, or `{messages, max_messages, max_tokens}`.
    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let Content::Map(_) = &node.content else {
            return Some(Self {
                messages: Templated::read(node, problems),
                max_messages: MAX_MESSAGES,
                max_tokens: None,
            });
        };
        let known = ["messages", "max_messages", "max_tokens"];
        let fields = Fields::of(node, "`history`", &known, &[], problems)?;
        let messages = fields.require("messages", "\"{{ input.messages }}\"");
        let bound = |key| fields.get(key).map(|_| fields.scalar(key, yaml::count::<u32>));
        let (max_messages, max_tokens) = (bound("max_messages"), bound("max_tokens"));
        Some(Self {
            messages: Templated::read(messages?, problems),
            max_messages: max_messages.map_or(Some(MAX_MESSAGES), |most| Some(most?.value))?,
            max_tokens: max_tokens.map_or(Some(None), |most| Some(Some(most?.value)))?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.messages.steps(steps);
    }

    /// Whether what it says may come from a stranger.
    pub(super) fn check(&self, check: &Check<'_>) -> bool {
        let of = self.messages.infer(check.scope, None, check.problems);
        let roles = ROLES.map(|(name, _)| name.to_owned());
        let message = [("role", Type::Choice(roles.into())), ("content", Type::TEXT)];
        if let Some(why) = misfit(&of, &Type::list(Type::object(message))) {
            let help = "give it a list of {role, content} whose schema says `role: {enum: [user, assistant]}`";
            let message = format!("`history` is no conversation: {why}");
            check.problems.add(self.messages.position, message, help);
        }
        of.is_untrusted()
    }

    /// The newest of its messages.
    pub(super) fn messages(&self, scope: &minijinja::Value) -> Result<Vec<Message>, StepError> {
        let Value::Array(said) = self.messages.value(scope)? else {
            let message = "`history` must be a list of messages".to_owned();
            return Err(StepError::Option { message });
        };
        let messages = said.iter().enumerate().map(|(at, said)| message(at, said));
        Ok(self.newest(messages.collect::<Result<_, _>>()?))
    }

    /// What fits the bounds, without the oldest turns: a turn is what a user says with the answers to it, and is kept whole.
    fn newest(&self, mut messages: Vec<Message>) -> Vec<Message> {
        let most = usize::try_from(self.max_messages).unwrap_or(usize::MAX);
        let mut kept = messages.len();
        let mut tokens = 0;
        for (at, message) in messages.iter().enumerate().rev() {
            // There are no images in a history.
            tokens += message.tokens(0);
            if messages.len() - at > most || self.max_tokens.is_some_and(|most| tokens > i64::from(most)) {
                break;
            }
            // A turn may begin with an answer where the whole conversation does.
            if message.role == Role::User || at == 0 {
                kept = at;
            }
        }
        messages.split_off(kept)
    }
}

fn message(at: usize, said: &Value) -> Result<Message, StepError> {
    let wrong = |what: &str| StepError::Option {
        message: format!("`history[{at}]{what}"),
    };
    let role = said.get("role").and_then(Value::as_str);
    let role = ROLES.into_iter().find(|(name, _)| Some(*name) == role);
    let (_, role) = role.ok_or_else(|| wrong(".role` must be `user` or `assistant`"))?;
    let content = said.get("content").and_then(Value::as_str);
    Ok(Message::new(
        role,
        content.ok_or_else(|| wrong(".content` must be text"))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(history: &str, most: &str) -> String {
        let problems = Problems::of("test");
        let node = Node::read(&format!("{{messages: [], {most}}}"), &problems).unwrap();
        let history_of = History::read(&node, &problems).unwrap();
        let messages = history.chars().map(|who| match who {
            'u' => Message::new(Role::User, "four words of it"),
            _ => Message::new(Role::Assistant, "four words of it"),
        });
        let kept = history_of.newest(messages.collect());
        let who = kept
            .iter()
            .map(|message| if message.role == Role::User { 'u' } else { 'a' });
        who.collect()
    }

    #[test]
    fn the_oldest_turns_go_first_and_as_a_whole() {
        assert_eq!(newest("uauaua", "max_messages: 6"), "uauaua");
        assert_eq!(
            newest("uauaua", "max_messages: 5"),
            "uaua",
            "no answer without its question"
        );
        assert_eq!(
            newest("uauaau", "max_messages: 3"),
            "u",
            "a turn that is cut is no turn"
        );
        assert_eq!(
            newest("auau", "max_messages: 4"),
            "auau",
            "who began with an answer may"
        );
        assert_eq!(newest("auau", "max_messages: 3"), "uau");
        assert_eq!(newest("uaaa", "max_messages: 2"), "");
        // Eight tokens each.
        assert_eq!(newest("uauaua", "max_tokens: 39"), "uaua");
        assert_eq!(newest("uauaua", "max_tokens: 7"), "");
        assert_eq!(newest("", "max_messages: 1"), "");
    }
}
