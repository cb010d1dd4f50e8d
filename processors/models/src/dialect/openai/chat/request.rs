use serde::Serialize;
use serde_json::{Value, json};

use crate::{ChatRequest, Format, Message, Method, Tool, dialect::openai::TokenCap};

/// What depends on the model that is asked.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'m> {
    pub(crate) model: &'m str,
    pub(crate) cap: TokenCap,
    /// Caps the answer.
    pub(crate) max_tokens: u32,
    pub(crate) streams: bool,
    /// It can be held to a JSON Schema.
    pub(crate) knows_schemas: bool,
}

/// The body of a request. A streamed one asks for the usage, which is else left out.
pub(crate) fn encode(terms: Terms<'_>, request: &ChatRequest) -> Vec<u8> {
    let Terms {
        model,
        cap,
        max_tokens,
        streams,
        knows_schemas,
    } = terms;
    let mut more = json!({ cap.field(): max_tokens });
    if let Some(format) = request
        .format
        .as_ref()
        .and_then(|format| response_format(format, knows_schemas))
    {
        more["response_format"] = format;
    }
    if !request.tools.is_empty() {
        more["tools"] = request.tools.iter().map(function).collect();
        if request.no_more_tools {
            more["tool_choice"] = json!("none");
        }
    }
    if streams {
        more["stream"] = json!(true);
        more["stream_options"] = json!({"include_usage": true});
    }
    let wire = WireRequest {
        model,
        messages: &request.messages,
        temperature: request.temperature,
        top_p: request.top_p,
        stop: &request.stop,
        seed: request.seed,
        more,
    };
    // Only a map with keys that are not text could fail, and there is none in it.
    serde_json::to_vec(&wire).unwrap_or_default()
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(flatten)]
    more: Value,
}

fn response_format(format: &Format, knows_schemas: bool) -> Option<Value> {
    let Format { schema, strict, method } = format;
    match method {
        Method::Auto if !knows_schemas => None,
        Method::Auto | Method::JsonSchema => Some(json!({
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": strict, "schema": schema},
        })),
        Method::JsonMode => Some(json!({"type": "json_object"})),
        Method::Prompt => None,
    }
}

fn function(tool: &Tool) -> Value {
    let Tool {
        name,
        description,
        parameters,
    } = tool;
    json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
}
