use super::fields::Fields;
use crate::dialect::openai::{Endpoint, TokenCap};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use std::path::Path;
use url::Url;

const OPENAI: &str = "https://api.openai.com/v1";

/// A place that answers, and the credential for it.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) dialect: Dialect,
    /// Calls in flight at once with this credential, in this process.
    pub(crate) concurrency: Option<u32>,
}

/// How the provider is spoken to.
#[derive(Debug)]
pub(crate) enum Dialect {
    OpenAi(Box<Endpoint>),
    /// Answers inside this process.
    Local,
}

/// Where secrets come from.
pub(super) struct Secrets<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    /// Relative file names start here.
    pub(super) folder: &'a Path,
}

pub(super) fn read(name: &str, fields: &Fields<'_>, secrets: &Secrets<'_>) -> Option<Provider> {
    let dialect = match fields.required_text("dialect", "openai")? {
        ("openai", _) => openai(fields, secrets).map(Box::new).map(Dialect::OpenAi),
        ("local", _) => Some(Dialect::Local),
        (other, position) => {
            fields.wrong(
                position,
                format!("`{other}` is not a dialect this version speaks"),
                "use `openai` (with `base_url` for any server that speaks it) or `local`",
            );
            return None;
        }
    };
    let concurrency = fields.count("concurrency", 1);
    for limit in ["requests_per_minute", "tokens_per_minute", "dollars_per_day"] {
        fields.not_yet(limit, "remove it; `concurrency` is the one limit that is enforced");
    }
    fields.finish();
    Some(Provider {
        name: name.to_owned(),
        dialect: dialect?,
        concurrency,
    })
}

fn openai(fields: &Fields<'_>, secrets: &Secrets<'_>) -> Option<Endpoint> {
    let base = base_url(fields);
    let key = api_key(fields, secrets);
    let header = match fields.optional_text("api_key_header", "write `authorization` or the header's name") {
        None => AUTHORIZATION,
        Some((text, position)) => match HeaderName::try_from(text) {
            Ok(name) => name,
            Err(_) => {
                fields.wrong(
                    position,
                    format!("`{text}` is not a header name"),
                    "for example `api-key` for Azure",
                );
                return None;
            }
        },
    };
    let cap = match fields.optional_text("max_tokens_field", "write `max_tokens` or `max_completion_tokens`") {
        Some(("max_tokens", _)) => TokenCap::MaxTokens,
        Some(("max_completion_tokens", _)) => TokenCap::MaxCompletionTokens,
        Some((other, position)) => {
            fields.wrong(
                position,
                format!("`{other}` is not a field that caps an answer"),
                "write `max_completion_tokens` for OpenAI itself, `max_tokens` for most servers that speak its dialect",
            );
            return None;
        }
        None => TokenCap::of(base.as_ref()?),
    };
    let authorization = match key {
        Key::None => None,
        Key::Wrong => return None,
        Key::Is(key) => Some((header.clone(), secret(&header, &key, fields)?)),
    };
    Some(Endpoint::new(&base?, authorization, cap))
}

fn base_url(fields: &Fields<'_>) -> Option<Url> {
    let (text, position) = fields
        .optional_text("base_url", "write a URL")
        .unwrap_or((OPENAI, fields.position));
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() && url.password().is_none() => Some(url),
        Ok(_) | Err(_) => {
            fields.wrong(
                position,
                format!(
                    "`base_url` of {} is not an http or https URL without a password",
                    fields.what
                ),
                format!("for example `base_url: {OPENAI}` or `http://localhost:11434/v1`"),
            );
            None
        }
    }
}

enum Key {
    None,
    Wrong,
    Is(String),
}

fn api_key(fields: &Fields<'_>, secrets: &Secrets<'_>) -> Key {
    let variable = fields.optional_text("api_key_env", "write the name of an environment variable");
    let file = fields.optional_text("api_key_file", "write the name of a file");
    fields_refuse_inline_key(fields);
    match (variable, file) {
        (None, None) => Key::None,
        (Some((name, position)), None) => match (secrets.environment)(name).filter(|key| !key.trim().is_empty()) {
            Some(key) => Key::Is(key),
            None => {
                fields.wrong(
                    position,
                    format!("the environment variable `{name}` of {} is not set", fields.what),
                    format!("export {name}=..., or remove the provider and the models that use it"),
                );
                Key::Wrong
            }
        },
        (None, Some((name, position))) => match std::fs::read_to_string(secrets.folder.join(name)) {
            Ok(key) if !key.trim().is_empty() => Key::Is(key),
            Ok(_) => {
                fields.wrong(
                    position,
                    format!("the key file `{name}` is empty"),
                    "write the key into it",
                );
                Key::Wrong
            }
            Err(e) => {
                fields.wrong(
                    position,
                    format!("the key file `{name}` cannot be read: {e}"),
                    "a relative name starts at the folder of this file",
                );
                Key::Wrong
            }
        },
        (Some(_), Some((_, position))) => {
            fields.wrong(
                position,
                format!("{} has both `api_key_env` and `api_key_file`", fields.what),
                "keep one of them",
            );
            Key::Wrong
        }
    }
}

fn fields_refuse_inline_key(fields: &Fields<'_>) {
    if let Some(node) = fields.node("api_key") {
        fields.wrong(
            node.position,
            format!("{} has its key in the file", fields.what),
            "take the key out and name where it is: `api_key_env: NAME` or `api_key_file: PATH`",
        );
    }
}

fn secret(header: &HeaderName, key: &str, fields: &Fields<'_>) -> Option<HeaderValue> {
    let key = key.trim();
    let text = if *header == AUTHORIZATION {
        format!("Bearer {key}")
    } else {
        key.to_owned()
    };
    match HeaderValue::try_from(text) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Some(value)
        }
        Err(_) => {
            fields.wrong(
                fields.position,
                format!(
                    "the key of {} has characters that no HTTP header may carry",
                    fields.what
                ),
                "check for line breaks in it",
            );
            None
        }
    }
}
