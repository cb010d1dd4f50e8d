//! A chat: what the model is told ([`conversation`]), what it may ask for ([`tools`]), and what its answer must be ([`answer`]).
//!
//! An answer is streamed from the provider where the models file says that the model can (`features: [streaming]`), or where
//! the step says `stream: true`. The step's output is the same either way; what is won is that the latency of the first token
//! is known, and that a model that falls silent is given up long before the time limit of the attempt. It is not asked
//! of everybody: some servers that speak OpenAI's dialect refuse `stream_options`, or a stream together with tools, and a
//! provider may want an organization verified before it streams.

mod abilities;
mod answer;
mod content;
mod conversation;
mod examples;
mod history;
mod params;
mod prompt;
mod strict;
mod tools;

use std::collections::BTreeSet;

use models::{ChatRequest, ChatResponse, Feature, Worst};
use serde_json::{Value, json};
use yaml::{Fields, Node, Problems};

use self::{answer::Answer, conversation::Conversation, params::Params, tools::Tools};
use super::{
    Check,
    alias::{Alias, aliases},
};
use crate::chain::{
    bill::Bill, block::Block, context::Surroundings, error::StepError, frame::Frame, leaving::Leaving,
    render::Rendering, resources::Resources, types::Type,
};

/// `chat: {model, messages, examples, history, params, output, tools, stream}`: its output is `text`, `json` when `output.schema`
/// says what that is, and `calls`, what it asked its tools, if it has any.
#[derive(Debug)]
pub(crate) struct Chat {
    /// In order of preference.
    models: Vec<Alias>,
    told: Conversation,
    tools: Option<Tools>,
    params: Params,
    answer: Option<Answer>,
    /// Whether the provider is asked to stream; unset: where the model can.
    stream: Option<bool>,
}

impl Chat {
    pub(super) const KEYS: [&str; 10] = [
        "model",
        "messages",
        "examples",
        "history",
        "params",
        "output",
        "tools",
        "max_rounds",
        "max_calls",
        "stream",
    ];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "a chat step", &Self::KEYS, &["cache"], problems)?;
        let models = fields
            .require("model", "answer")
            .map_or_else(Vec::new, |node| aliases(node, problems));
        let told = Conversation::read(&fields);
        let tools = Tools::read(&fields);
        let params = fields
            .get("params")
            .map_or_else(Params::default, |node| Params::read(node, problems));
        let answer = fields.get("output").map(|node| Answer::read(node, problems));
        let stream = fields.get("stream").map(|node| node.boolean("stream", problems));
        Some(Self {
            models,
            told: told?,
            tools,
            params,
            answer: answer.map_or(Some(None), |answer| Some(Some(answer?)))?,
            stream: stream.map_or(Some(None), |stream| Some(Some(stream?)))?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.told.reads(steps);
        for (_, block) in self.blocks() {
            block.reads(steps);
        }
        self.params.reads(steps);
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        abilities::check(&self.models, &self.asks(), &self.said(), check);
        self.params.check(check);
        // An answer to untrusted text may repeat it.
        let mut untrusted = self.told.check(check);
        if let Some(tools) = &self.tools {
            untrusted |= tools.check(check);
        }
        let mut output = vec![("text", Type::Text { untrusted }), ("model", Type::TEXT)];
        if self.tools.is_some() {
            output.push(("calls", Type::list(Type::Any { untrusted: true })));
        }
        if let Some(answer) = &self.answer {
            answer.check(&self.told, check.problems);
            output.push(("json", answer.type_of().tainted(untrusted)));
        }
        Type::object(output)
    }

    /// What it asks of its models besides an answer.
    fn asks(&self) -> Vec<Feature> {
        let asked = [
            (Feature::Streaming, self.stream == Some(true)),
            (Feature::Tools, self.tools.is_some()),
            (Feature::Images, self.told.has_images()),
        ];
        let asked = asked
            .into_iter()
            .filter_map(|(feature, is_asked)| is_asked.then_some(feature));
        asked.chain(self.answer.as_ref().and_then(Answer::asks)).collect()
    }

    /// What every run says to the model: the least that it must have room for.
    fn said(&self) -> ChatRequest {
        ChatRequest {
            messages: self.told.constant(),
            format: self.answer.as_ref().map(Answer::format),
            ..ChatRequest::default()
        }
    }

    /// What its tools do.
    pub(super) fn blocks(&self) -> Vec<(&str, &Block)> {
        self.tools.as_ref().map_or_else(Vec::new, Tools::blocks)
    }

    pub(super) fn blocks_mut(&mut self) -> Vec<&mut Block> {
        self.tools.as_mut().map_or_else(Vec::new, Tools::blocks_mut)
    }

    pub(super) async fn run<'c>(
        &'c self,
        step: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        let mut request = self.request(frame.scope())?;
        let models: Vec<String> = self.models.iter().map(|alias| alias.name.clone()).collect();
        let caller = &around.services(step)?.caller;
        let mut repairs = self.answer.as_ref().map_or(0, Answer::repairs);
        let mut using = self.tools.as_ref().map(Tools::begin);
        loop {
            // What the model is told, not what the steps see.
            let leaves = around.leaving().chat(&request)?;
            let asking = around.idle.step();
            let called = caller.chat(&models, &leaves, &around.call(step)).await;
            drop(asking);
            let response = bill.take(called, around.leaving())?;
            if !response.tool_calls.is_empty() {
                let Some(using) = &mut using else {
                    let message = "it asks for tools, and there are none".to_owned();
                    return Err(StepError::Answer { message });
                };
                using.round(response, &mut request, step, frame, around, bill).await?;
                continue;
            }
            let ChatResponse { text, model, .. } = response;
            let mut output = json!({"text": text, "model": model});
            if let Some(using) = &using {
                output["calls"] = using.told();
            }
            let Some(answer) = &self.answer else {
                return Ok(output);
            };
            let message = match answer.json(&text) {
                Ok(json) => {
                    output["json"] = json;
                    return Ok(output);
                }
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
    pub(super) fn worst(&self, resources: &Resources, once: bool) -> Worst {
        let aliases: Vec<String> = self.models.iter().map(|alias| alias.name.clone()).collect();
        let repairs = self.answer.as_ref().map_or(0, Answer::repairs);
        let cap = self.params.literal_max_tokens();
        let call = resources.models.worst_call(&aliases, Some(1), cap, once);
        let rounds = self.tools.as_ref().map_or(0, Tools::max_rounds);
        let used = self
            .tools
            .as_ref()
            .map_or(Worst::NOTHING, |tools| tools.worst(resources));
        call * (u64::from(repairs) + 1 + u64::from(rounds)) + used
    }

    /// The request to the model that is asked first.
    pub(super) fn render(
        &self,
        step: &str,
        scope: &minijinja::Value,
        leaving: &Leaving,
        rendering: &Rendering<'_>,
    ) -> Result<(), StepError> {
        let request = self.request(scope)?;
        if let Some(first) = self.models.first() {
            rendering.chat(step, &first.name, &*leaving.chat(&request)?);
        }
        Ok(())
    }

    fn request(&self, scope: &minijinja::Value) -> Result<ChatRequest, StepError> {
        let mut request = ChatRequest {
            messages: self.told.messages(scope)?,
            tools: self.tools.as_ref().map_or_else(Vec::new, Tools::offered),
            format: self.answer.as_ref().map(Answer::format),
            stream: self.stream,
            ..ChatRequest::default()
        };
        self.params.fill(&mut request, scope)?;
        Ok(request)
    }
}
