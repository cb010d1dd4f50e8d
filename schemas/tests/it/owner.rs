//! Somebody else who uses the registry: registers schemas of their own and writes in them.

use apache_avro::{Schema, types::Value, writer::datum::GenericDatumWriter};
use schemas::{Registry, RegistrySettings, wire};
use serde_json::json;

pub fn registry(url: &str) -> Registry {
    Registry::new(&RegistrySettings {
        url: url.to_owned(),
        username: None,
        password: None,
    })
    .unwrap()
}

/// What the registry answers: the id, or its refusal.
pub async fn register(url: &str, subject: &str, schema: &serde_json::Value) -> Result<u32, String> {
    post(url, subject, &json!({ "schema": schema.to_string() })).await
}

pub async fn post(url: &str, subject: &str, body: &serde_json::Value) -> Result<u32, String> {
    let answer = reqwest::Client::new()
        .post(format!("{url}/subjects/{subject}/versions"))
        .json(body)
        .send()
        .await
        .unwrap();
    if !answer.status().is_success() {
        return Err(answer.text().await.unwrap());
    }
    let answer: serde_json::Value = answer.json().await.unwrap();
    Ok(answer["id"].as_u64().unwrap().try_into().unwrap())
}

pub fn write(id: u32, schema: &serde_json::Value, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(&schema.to_string()).unwrap();
    let datum = GenericDatumWriter::builder(&schema)
        .build()
        .unwrap()
        .write_value_to_vec(value)
        .unwrap();
    [&wire::header(id)[..], &datum].concat()
}
