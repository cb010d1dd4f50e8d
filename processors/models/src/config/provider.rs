use crate::dialect::openai::{Endpoint, TokenCap};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use std::path::Path;
use url::Url;
use yaml::{Fields, Node, Problems, count, word};

const OPENAI: &str = "https://api.openai.com/v1";

/// Limits that this version would not hold: `concurrency` of a provider is the one that is enforced.
pub(super) const UNENFORCED: [&str; 3] = ["requests_per_minute", "tokens_per_minute", "dollars_per_day"];

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

/// Where people put a key first, and where none may be.
const INLINE_KEY: &str = "api_key";

/// Where secrets come from.
pub(super) struct Secrets<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    /// Relative file names start here.
    pub(super) folder: &'a Path,
}

pub(super) fn read(name: &str, node: &Node, problems: &Problems, secrets: &Secrets<'_>) -> Option<Provider> {
    let keys = [
        "dialect",
        "base_url",
        "api_key_env",
        "api_key_file",
        "api_key_header",
        "max_tokens_field",
        "concurrency",
        INLINE_KEY,
    ];
    let fields = Fields::of(node, format!("provider `{name}`"), &keys, &UNENFORCED, problems)?;
    refuse_inline_key(&fields);
    let concurrency = fields.scalar("concurrency", count);
    let dialect = fields.require_scalar("dialect", "openai", word)?;
    let dialect = match dialect.value {
        "openai" => openai(&fields, secrets).map(Box::new).map(Dialect::OpenAi),
        "local" => Some(Dialect::Local),
        other => {
            problems.add(
                dialect.position,
                format!("`{other}` is not a dialect this version speaks"),
                "use `openai` (with `base_url` for any server that speaks it) or `local`",
            );
            None
        }
    };
    Some(Provider {
        name: name.to_owned(),
        dialect: dialect?,
        concurrency: concurrency.map(|concurrency| concurrency.value),
    })
}

fn openai(fields: &Fields<'_>, secrets: &Secrets<'_>) -> Option<Endpoint> {
    let base = base_url(fields);
    let key = api_key(fields, secrets);
    let header = match fields.get("api_key_header") {
        None => AUTHORIZATION,
        Some(_) => fields.scalar("api_key_header", header_name)?.value,
    };
    let cap = match fields.get("max_tokens_field") {
        None => TokenCap::of(base.as_ref()?),
        Some(_) => fields.scalar("max_tokens_field", token_cap)?.value,
    };
    let authorization = match key {
        Key::None => None,
        Key::Wrong => return None,
        Key::Is(key) => Some((header.clone(), secret(&header, &key, fields)?)),
    };
    Some(Endpoint::new(&base?, authorization, cap))
}

fn header_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(text).map_err(|_| format!("must be a header name such as `api-key` (Azure), not `{text}`"))
}

fn token_cap(text: &str) -> Result<TokenCap, String> {
    match text {
        "max_tokens" => Ok(TokenCap::MaxTokens),
        "max_completion_tokens" => Ok(TokenCap::MaxCompletionTokens),
        other => Err(format!(
            "must be `max_completion_tokens` (OpenAI itself) or `max_tokens` (most servers that speak its dialect), not \
             `{other}`"
        )),
    }
}

fn base_url(fields: &Fields<'_>) -> Option<Url> {
    match fields.get("base_url") {
        None => url(OPENAI).ok(),
        Some(_) => fields.scalar("base_url", url).map(|base| base.value),
    }
}

/// Not quoted when it is wrong: there may be a password in it.
fn url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() && url.password().is_none() => Ok(url),
        Ok(_) | Err(_) => Err(format!(
            "must be an http or https URL without a password, such as `{OPENAI}` or `http://localhost:11434/v1`"
        )),
    }
}

enum Key {
    None,
    Wrong,
    Is(String),
}

fn api_key(fields: &Fields<'_>, secrets: &Secrets<'_>) -> Key {
    let placed = |key| fields.scalar(key, word).map(|name| (name.value, name.position));
    let (variable, file) = (placed("api_key_env"), placed("api_key_file"));
    match (variable, file) {
        (None, None) => Key::None,
        (Some((name, position)), None) => match (secrets.environment)(name).filter(|key| !key.trim().is_empty()) {
            Some(key) => Key::Is(key),
            None => {
                fields.problems.add(
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
                fields.problems.add(
                    position,
                    format!("the key file `{name}` is empty"),
                    "write the key into it",
                );
                Key::Wrong
            }
            Err(e) => {
                fields.problems.add(
                    position,
                    format!("the key file `{name}` cannot be read: {e}"),
                    "a relative name starts at the folder of this file",
                );
                Key::Wrong
            }
        },
        (Some(_), Some((_, position))) => {
            fields.problems.add(
                position,
                format!("{} has both `api_key_env` and `api_key_file`", fields.what),
                "keep one of them",
            );
            Key::Wrong
        }
    }
}

fn refuse_inline_key(fields: &Fields<'_>) {
    if let Some(node) = fields.get(INLINE_KEY) {
        fields.problems.add(
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
            fields.problems.add(
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
