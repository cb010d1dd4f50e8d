//! What a model may ask for: blocks of steps with a description and a schema.

use models::{ChatRequest, ChatResponse, Message, Role, Tool, ToolCall, Worst};
use schemas::json;
use serde_json::{Value, json};
use yaml::{Content, Fields, Node, Position, Problems};

use crate::chain::{
    bill::Bill,
    block::Block,
    context::Surroundings,
    error::StepError,
    frame::Frame,
    resources::Resources,
    schema::Schema,
    steps::{
        Check,
        at_once::{self, OnError},
        is_name,
    },
    types::Field,
};

/// Calls of tools in one step, if the file does not say.
const MAX_CALLS: u32 = 16;
/// Tools at work at the same time.
const AT_ONCE: usize = 8;

/// `tools: {search: {description, parameters, steps}}` with `max_rounds` and `max_calls`.
///
/// The steps of a tool read `arguments`, which fit `parameters` and are as untrusted as a model is. A tool that fails is no
/// failure of the chat: the model is told, and may try something else.
#[derive(Debug)]
pub(super) struct Tools {
    tools: Vec<Offered>,
    /// How often the model may ask. Then it must answer.
    max_rounds: u32,
    max_calls: u32,
}

#[derive(Debug)]
struct Offered {
    name: String,
    description: String,
    parameters: Schema,
    steps: Block,
    position: Position,
}

/// The tools of one chat that is under way.
pub(super) struct Using<'c> {
    tools: &'c Tools,
    rounds: u32,
    calls: Vec<Value>,
}

impl Tools {
    /// `None` where there are none.
    pub(super) fn read(fields: &Fields<'_>) -> Option<Self> {
        let problems = fields.problems;
        let max_rounds = fields
            .get("max_rounds")
            .map(|_| fields.scalar("max_rounds", yaml::count));
        let max_calls = fields.get("max_calls").map(|_| fields.scalar("max_calls", yaml::count));
        let Some(node) = fields.get("tools") else {
            for key in ["max_rounds", "max_calls"] {
                if let Some(node) = fields.get(key) {
                    problems.add(
                        node.position,
                        format!("`{key}` is for `tools`, and there are none"),
                        "remove it",
                    );
                }
            }
            return None;
        };
        let Content::Map(entries) = &node.content else {
            let message = format!("`tools` must be a mapping, and this is {}", node.kind());
            let help = "for example {search: {description: …, parameters: {type: object}, steps: […]}}";
            problems.add(node.position, message, help);
            return None;
        };
        if max_rounds.is_none() {
            let help = "add `max_rounds: 4`: how often the model may ask before it must answer";
            problems.add(node.position, "nothing says how often the model may ask", help);
        }
        let tools = entries.iter().filter_map(|entry| {
            if !is_name(&entry.key) {
                let help = "use lower-case letters, digits and `_`, a letter first";
                problems.add(
                    entry.position,
                    format!("`{}` cannot be the name of a tool", entry.key),
                    help,
                );
            }
            Offered::read(&entry.key, &entry.value, problems)
        });
        Some(Self {
            tools: tools.collect(),
            max_rounds: max_rounds.flatten().map_or(0, |rounds| rounds.value),
            max_calls: max_calls.flatten().map_or(MAX_CALLS, |calls| calls.value),
        })
    }

    pub(super) fn blocks(&self) -> Vec<(&str, &Block)> {
        self.tools
            .iter()
            .map(|tool| (tool.name.as_str(), &tool.steps))
            .collect()
    }

    pub(super) fn blocks_mut(&mut self) -> Vec<&mut Block> {
        self.tools.iter_mut().map(|tool| &mut tool.steps).collect()
    }

    /// Whether what they give the model may come from a stranger.
    pub(super) fn check(&self, check: &Check<'_>) -> bool {
        let mut untrusted = false;
        for tool in &self.tools {
            // Whoever talks to the model may have chosen them.
            let arguments = tool.parameters.type_of().tainted(true);
            let scope = check.scope.with("arguments", Field::always(arguments));
            untrusted |= tool.steps.check(&mut check.within(&scope)).1.is_untrusted();
            if tool.steps.interrupts() {
                let message = format!("tool `{}` would wait for a person", tool.name);
                let help =
                    "a model cannot be asked to wait: let it say what it wants to do, and put `approve` after the chat";
                check.problems.add(tool.position, message, help);
            }
        }
        untrusted
    }

    pub(super) fn max_rounds(&self) -> u32 {
        self.max_rounds
    }

    /// Each call is of the tool that costs most.
    pub(super) fn worst(&self, resources: &Resources) -> Worst {
        let each = self.tools.iter().map(|tool| tool.steps.worst(resources));
        each.fold(Worst::NOTHING, Worst::or) * u64::from(self.max_calls)
    }

    pub(super) fn offered(&self) -> Vec<Tool> {
        let tool = |tool: &Offered| Tool {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.json().clone(),
        };
        self.tools.iter().map(tool).collect()
    }

    pub(super) fn begin(&self) -> Using<'_> {
        Using {
            tools: self,
            rounds: 0,
            calls: Vec::new(),
        }
    }
}

impl Offered {
    fn read(name: &str, node: &Node, problems: &Problems) -> Option<Self> {
        let known = ["description", "parameters", "steps"];
        let fields = Fields::of(node, format!("tool `{name}`"), &known, &[], problems)?;
        let description = fields.require_text("description", "Finds passages in the documents");
        let parameters = fields.require("parameters", "{type: object, properties: {query: {type: string}}}");
        let parameters = parameters.and_then(|node| Schema::read(node, "`parameters`", problems));
        let steps = fields.require("steps", "[{id: found, …}]");
        let steps = steps.map(|node| Block::read(node, &format!("`steps` of tool `{name}`"), problems));
        Some(Self {
            name: name.to_owned(),
            description: description?.value.clone(),
            parameters: parameters?,
            steps: steps?,
            position: node.position,
        })
    }
}

impl<'c> Using<'c> {
    /// What was asked and given, in its order.
    pub(super) fn told(&self) -> Value {
        Value::Array(self.calls.clone())
    }

    /// Does what the model asks for, all of it at once, and tells it what came of it.
    pub(super) async fn round(
        &mut self,
        response: ChatResponse,
        request: &mut ChatRequest,
        step: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<(), StepError> {
        let max = self.tools.max_rounds;
        if self.rounds == max {
            let message = format!("the model still asks for tools after {max} rounds");
            return Err(StepError::TooMany { message });
        }
        self.rounds += 1;
        request.no_more_tools = self.rounds == max;
        let ChatResponse { text, tool_calls, .. } = response;
        let around = &around.stopped_apart();
        let (tools, first) = (self.tools, self.calls.len());
        let part = |number: usize| {
            let call = &tool_calls[number];
            async move {
                let mut spent = Bill::default();
                let result = tools.call(call, first + number, step, frame, around, &mut spent).await;
                (number, result, spent)
            }
        };
        let parts = (0..tool_calls.len()).map(part);
        let ended = at_once::run(parts, AT_ONCE, OnError::Collect, around, bill).await?;
        request.messages.push(Message {
            tool_calls: tool_calls.clone(),
            ..Message::new(Role::Assistant, text)
        });
        for (number, result) in ended {
            let ToolCall { id, name, arguments } = &tool_calls[number];
            let (key, value) = match result {
                Ok(output) => ("output", output),
                Err(error) => ("error", at_once::told(&error)),
            };
            let content = match (key, &value) {
                ("output", Value::String(text)) => text.clone(),
                ("output", value) => value.to_string(),
                (_, error) => json!({"error": error}).to_string(),
            };
            request.messages.push(Message {
                tool_call_id: Some(id.clone()),
                ..Message::new(Role::Tool, content)
            });
            self.calls
                .push(json!({"tool": name, "arguments": arguments, key: value}));
        }
        Ok(())
    }
}

impl Tools {
    /// `number` counts the calls of the chat from 0.
    async fn call<'c>(
        &'c self,
        call: &ToolCall,
        number: usize,
        step: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        if number >= self.max_calls as usize {
            let message = format!(
                "no more than {} calls are allowed: answer with what you have",
                self.max_calls
            );
            return Err(StepError::TooMany { message });
        }
        let wrong = |message: String| StepError::Option { message };
        let tool = self.tools.iter().find(|tool| tool.name == call.name);
        let tool = tool.ok_or_else(|| wrong(format!("there is no tool `{}`", call.name)))?;
        let arguments: Value = json::read(call.arguments.as_bytes())
            .map_err(|mistake| wrong(format!("the arguments cannot be taken as JSON: {mistake}")))?;
        tool.parameters
            .check(&arguments)
            .map_err(|mistake| wrong(format!("the arguments do not fit: {mistake}")))?;
        let frame = frame.with_names([("arguments", arguments)]);
        let inside = around.inside(step, format_args!(".{}[{number}]", tool.name));
        tool.steps.output(&frame, &inside, bill).await
    }
}
