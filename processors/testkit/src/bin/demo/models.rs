//! Which model answers: `local`, unless the environment offers a real one.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// Writes the models file for a real model, if there is one, and says which model answers. `OPENAI_BASE_URL` may be any
/// server that speaks OpenAI's API (Ollama: `http://127.0.0.1:11434/v1`); prices are unknown here, so the cost shown is 0.
pub fn choose(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let key = set("OPENAI_API_KEY");
    let base = set("OPENAI_BASE_URL");
    if key.is_none() && base.is_none() {
        println!(
            "model: local (quotes the documents; set OPENAI_API_KEY or OPENAI_BASE_URL, and OPENAI_MODEL, for a real one)"
        );
        return Ok(None);
    }
    let base = base.unwrap_or_else(|| "https://api.openai.com/v1".to_owned());
    let model = set("OPENAI_MODEL").unwrap_or_else(|| "gpt-4o-mini".to_owned());
    let key = if key.is_some() {
        "\n    api_key_env: OPENAI_API_KEY"
    } else {
        ""
    };
    println!("model: {model} at {base}");
    let path = folder.join("models.yaml");
    let text = format!(
        "audit: full
providers:
  local: {{dialect: local}}
  openai:
    dialect: openai
    base_url: {base}{key}
models:
  answer: {{provider: openai, model: {model:?}, max_tokens: 600, context: 16000, price: free, timeout: 60s,
    features: [tools, json_schema, streaming]}}
  embedding: {{provider: local, model: ngram, dimension: 384, price: free}}
"
    );
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Some(path))
}
