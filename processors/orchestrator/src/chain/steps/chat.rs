use std::collections::BTreeSet;

use models::{ChatRequest, ChatResponse, Kind, Message, Models, Role, Worst};
use serde_json::{Value, json};
use yaml::{Content, Fields, Node, Position, Problems};

use super::{
    Check,
    alias::{Alias, aliases},
    answer::{self, Answer},
    number::Number,
};
use crate::chain::{
    bill::Bill,
    context::Surroundings,
    error::StepError,
    render::Rendering,
    template::Template,
    types::Type,
    typing::{self, Sink},
};

/// What a chat model may be asked for at most; a model's own limit is usually far lower.
const MAX_TOKENS: f64 = 1_000_000.0;

/// Models obey what stands there.
const SYSTEM: Sink = Sink {
    what: "a system message",
    help: "put it into a user message, or say `allow_untrusted: true` if it cannot do harm there",
};

/// `chat: {model, messages, params, output}`: its output is `text`, and `json` when `output.schema` says what that is.
#[derive(Debug)]
pub(crate) struct Chat {
    /// In order of preference.
    models: Vec<Alias>,
    messages: Vec<Prompt>,
    temperature: Option<Number>,
    top_p: Option<Number>,
    max_tokens: Option<Number>,
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Prompt {
    role: Role,
    content: Template,
    allow_untrusted: bool,
}

impl Chat {
    pub(super) const KEYS: [&str; 4] = ["model", "messages", "params", "output"];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let later = ["tools", "max_rounds", "cache", "examples", "history", "stream"];
        let fields = Fields::of(node, "a chat step", &Self::KEYS, &later, problems)?;
        let models = fields
            .require("model", "answer")
            .map_or_else(Vec::new, |node| aliases(node, problems));
        let messages = fields
            .require("messages", "[{role: user, content: \"{{ input.question }}\"}]")
            .map_or_else(Vec::new, |node| messages(node, problems));
        let params = fields.get("params").and_then(|node| {
            let known = ["temperature", "top_p", "max_tokens"];
            Fields::of(node, "`params` of a chat step", &known, &["stop", "seed"], problems)
        });
        let number = |name, bounds| {
            params
                .as_ref()
                .and_then(|params| Number::read(params, name, bounds, problems))
        };
        let temperature = number("temperature", (0.0, 2.0));
        let top_p = number("top_p", (0.0, 1.0));
        let max_tokens = number("max_tokens", (1.0, MAX_TOKENS));
        let answer = fields.get("output").map(|node| Answer::read(node, problems));
        Some(Self {
            models,
            messages,
            temperature,
            top_p,
            max_tokens,
            answer: answer.map_or(Some(None), |answer| Some(Some(answer?)))?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        for message in &self.messages {
            steps.extend(message.content.steps().iter().cloned());
        }
        for number in self.numbers() {
            number.value.steps(steps);
        }
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        for alias in &self.models {
            let kind = alias.resolve(check).map(|model| model.kind);
            if let Some(Kind::Embed { .. }) = kind {
                let message = format!("`{}` is an embedding model and cannot chat", alias.name);
                check
                    .problems
                    .add(alias.position, message, "name a chat model of the models file");
            }
        }
        self.numbers().for_each(|number| number.check(check));
        let mut untrusted = false;
        for message in &self.messages {
            let guarded = message.role == Role::System && !message.allow_untrusted;
            let sink = guarded.then_some(SYSTEM);
            untrusted |= typing::infer(&message.content, check.scope, sink, check.problems).is_untrusted();
        }
        // An answer to untrusted text may repeat it.
        let mut output = vec![("text", Type::Text { untrusted }), ("model", Type::TEXT)];
        if let Some(answer) = &self.answer {
            output.push(("json", answer.type_of().tainted(untrusted)));
        }
        Type::object(output)
    }

    pub(super) async fn run(
        &self,
        step: &str,
        scope: &minijinja::Value,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        let mut request = self.request(scope)?;
        let models: Vec<String> = self.models.iter().map(|alias| alias.name.clone()).collect();
        let caller = &around.services(step)?.caller;
        let mut repairs = self.answer.as_ref().map_or(0, Answer::repairs);
        loop {
            let called = caller.chat(&models, &request, &around.call(step)).await;
            let ChatResponse { text, model, .. } = bill.take(called)?;
            let Some(answer) = &self.answer else {
                return Ok(json!({"text": text, "model": model}));
            };
            let message = match answer.json(&text) {
                Ok(json) => return Ok(json!({"text": text, "model": model, "json": json})),
                Err(message) => message,
            };
            if repairs == 0 {
                return Err(StepError::Answer { message });
            }
            repairs -= 1;
            request.messages.extend(answer::objection(text, &message));
        }
    }

    /// Of one attempt of the step; `once` where the step tries again by itself.
    pub(super) fn worst(&self, models: &Models, once: bool) -> Worst {
        let aliases: Vec<String> = self.models.iter().map(|alias| alias.name.clone()).collect();
        // A template may give any number in its bounds: the model's own cap holds then.
        let literal = self
            .max_tokens
            .as_ref()
            .and_then(|number| number.value.literal_number());
        let repairs = self.answer.as_ref().map_or(0, Answer::repairs);
        models.worst_call(&aliases, Some(1), literal.map(|tokens| tokens as u32), once) * u64::from(repairs + 1)
    }

    /// The request to the model that is asked first.
    pub(super) fn render(
        &self,
        step: &str,
        scope: &minijinja::Value,
        rendering: &Rendering<'_>,
    ) -> Result<(), StepError> {
        let request = self.request(scope)?;
        if let Some(first) = self.models.first() {
            rendering.chat(step, &first.name, &request);
        }
        Ok(())
    }

    fn request(&self, scope: &minijinja::Value) -> Result<ChatRequest, StepError> {
        let value = |number: &Option<Number>| number.as_ref().map(|number| number.value(scope)).transpose();
        let message = |prompt: &Prompt| -> Result<Message, StepError> {
            Ok(Message {
                role: prompt.role,
                content: prompt.content.render(scope)?,
            })
        };
        Ok(ChatRequest {
            messages: self.messages.iter().map(message).collect::<Result<_, _>>()?,
            temperature: value(&self.temperature)?,
            top_p: value(&self.top_p)?,
            // Between 1 and MAX_TOKENS.
            max_tokens: value(&self.max_tokens)?.map(|tokens| tokens as u32),
            ..ChatRequest::default()
        })
    }

    fn numbers(&self) -> impl Iterator<Item = &Number> {
        [&self.temperature, &self.top_p, &self.max_tokens].into_iter().flatten()
    }
}

/// Those that can be read.
fn messages(node: &Node, problems: &Problems) -> Vec<Prompt> {
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
    fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let known = ["role", "content", "allow_untrusted"];
        let fields = Fields::of(node, "a message", &known, &["images"], problems)?;
        let role = fields
            .require_text("role", "user")
            .and_then(|text| role(&text.value, text.position_of(0, 0), problems));
        let content = fields
            .require_text("content", "\"{{ input.question }}\"")
            .map(|text| Template::parse(text, problems));
        let allow_untrusted = fields
            .get("allow_untrusted")
            .map(|node| node.boolean("allow_untrusted", problems));
        Some(Self {
            role: role?,
            content: content?,
            allow_untrusted: allow_untrusted.unwrap_or(Some(false))?,
        })
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
