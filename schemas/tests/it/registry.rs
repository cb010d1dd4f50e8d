use std::time::Duration;

use apache_avro::types::Value;
use schemas::{
    Check, DecodeError, Definition, Money, RegistryError, Request, RunResult, Shape, Timestamp, Usage, wire,
};
use serde_json::json;
use testkit::{OwnParts, PartsConfig, Space, until};

use crate::owner::{self, registry};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn every_topic_is_registered_once_and_stays_what_it_is() {
    let space = Space::new("schemas-register").await;
    let registry = registry(&space.parts.registry_url);
    for (topic, definition) in schemas::topics() {
        let topic = space.topic(topic);
        assert_eq!(registry.check(&topic, definition).await.unwrap(), Check::New);
        let id = registry.register(&topic, definition).await.unwrap();
        assert_eq!(registry.register(&topic, definition).await.unwrap(), id);
        assert_eq!(
            registry.check(&topic, definition).await.unwrap(),
            Check::Registered { id }
        );
    }
    let encoder = registry.encoder::<RunResult>(&space.topic("results")).await.unwrap();
    let result = RunResult {
        request_id: "run-1".to_owned(),
        accepted_at: Timestamp::now(),
        usage: Usage {
            input_tokens: 3,
            output_tokens: 4,
            source: "reported".to_owned(),
        },
        cost: Money(123_000),
        ..RunResult::default()
    };
    let bytes = encoder.encode(&result).unwrap();
    assert_eq!(
        registry.decoder::<RunResult>().unwrap().decode(&bytes).await.unwrap(),
        result
    );
}

#[tokio::test]
async fn an_encoder_needs_the_very_schema_it_writes_with() {
    let space = Space::new("schemas-missing").await;
    let registry = registry(&space.parts.registry_url);
    let topic = space.topic("results");
    let Err(missing) = registry.encoder::<RunResult>(&topic).await else {
        panic!("nothing is registered")
    };
    assert!(matches!(missing, RegistryError::NotRegistered { .. }));
    assert!(missing.to_string().contains("millrace schemas register"), "{missing}");

    registry.register(&topic, Definition::of::<Request>()).await.unwrap();
    let other = registry.encoder::<RunResult>(&topic).await;
    assert!(matches!(other, Err(RegistryError::NotRegistered { .. })));
    let refused = registry.register(&topic, Definition::of::<RunResult>()).await;
    assert!(matches!(refused, Err(RegistryError::Refused { .. })), "{refused:?}");
    let check = registry.check(&topic, Definition::of::<RunResult>()).await.unwrap();
    assert!(matches!(check, Check::Incompatible { .. }), "{check:?}");
}

/// A producer of another version: one field of ours it does not know, one of its own we do not.
#[tokio::test]
async fn other_versions_are_read_as_ours() {
    let space = Space::new("schemas-evolve").await;
    let (registry, url) = (registry(&space.parts.registry_url), &space.parts.registry_url);
    let topic = space.topic("requests");
    registry.register(&topic, Definition::of::<Request>()).await.unwrap();

    let mut other: serde_json::Value = serde_json::from_str(Request::SCHEMA).unwrap();
    let fields = other["fields"].as_array_mut().unwrap();
    fields.retain(|field| field["name"] != "params");
    let mood = json!({ "type": "enum", "name": "Mood", "symbols": ["GOOD", "BAD"] });
    fields.insert(0, json!({ "name": "mood", "type": mood, "default": "GOOD" }));
    let id = owner::register(url, &format!("{topic}-value"), &other).await.unwrap();

    let defaults = [
        ("mood", Value::Enum(1, "BAD".to_owned())),
        (
            "request_id",
            Value::Union(1, Box::new(Value::String("run-1".to_owned()))),
        ),
        ("kind", Value::String("run".to_owned())),
        ("tenant", Value::String(String::new())),
        ("chain", Value::String("answer".to_owned())),
        ("input", Value::String("1".to_owned())),
        ("deadline", Value::Union(1, Box::new(Value::TimestampMicros(5)))),
        ("conversation", Value::Union(0, Box::new(Value::Null))),
        ("turn", Value::Int(0)),
        ("state", Value::Union(0, Box::new(Value::Null))),
        (
            "metadata",
            Value::Map([("a".to_owned(), Value::String("b".to_owned()))].into()),
        ),
        ("created_at", Value::TimestampMicros(7)),
    ];
    let fields = defaults.map(|(name, value)| (name.to_owned(), value));
    let bytes = owner::write(id, &other, Value::Record(fields.into()));
    let read = registry.decoder::<Request>().unwrap().decode(&bytes).await.unwrap();
    let expected = Request {
        request_id: Some("run-1".to_owned()),
        chain: "answer".to_owned(),
        input: "1".to_owned(),
        deadline: Some(Timestamp(5)),
        metadata: [("a".to_owned(), "b".to_owned())].into(),
        created_at: Timestamp(7),
        ..Request::default()
    };
    assert_eq!(read, expected);

    let without_default = json!({ "name": "must", "type": "string" });
    other["fields"].as_array_mut().unwrap().push(without_default);
    let refused = owner::register(url, &format!("{topic}-value"), &other).await;
    assert!(
        refused.is_err(),
        "FULL_TRANSITIVE lets nobody add a field without a default"
    );
}

#[tokio::test]
async fn what_is_not_ours_says_what_it_is() {
    let space = Space::new("schemas-poison").await;
    let (registry, url) = (registry(&space.parts.registry_url), &space.parts.registry_url);
    let decoder = registry.decoder::<Request>().unwrap();

    let plain = decoder.decode(b"{\"question\":1}").await.unwrap_err();
    assert!(matches!(plain, DecodeError::NotFramed(_)), "{plain}");
    let unknown = decoder.decode(&wire::header(0x7fff_ffff)).await.unwrap_err();
    assert!(
        matches!(unknown, DecodeError::UnknownSchema { id: 0x7fff_ffff, .. }),
        "{unknown:?}"
    );

    let stranger = json!({ "type": "record", "name": "Stranger", "fields": [{ "name": "a", "type": "long" }] });
    let id = owner::register(url, &space.topic("stranger"), &stranger).await.unwrap();
    let bytes = owner::write(id, &stranger, Value::Record(vec![("a".to_owned(), Value::Long(1))]));
    let wrong = decoder.decode(&bytes).await.unwrap_err();
    assert!(matches!(wrong, DecodeError::WrongShape { .. }), "{wrong:?}");

    let json_schema = json!({ "schemaType": "JSON", "schema": r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}"# });
    let id = owner::post(url, &space.topic("json"), &json_schema).await.unwrap();
    let wrong = decoder.decode(&wire::header(id)).await.unwrap_err();
    assert!(matches!(wrong, DecodeError::WrongShape { .. }), "{wrong:?}");

    let id = registry
        .register(&space.topic("requests"), Definition::of::<Request>())
        .await
        .unwrap();
    let corrupt = decoder
        .decode(&[&wire::header(id)[..], b"\xff\xff"].concat())
        .await
        .unwrap_err();
    assert!(matches!(corrupt, DecodeError::Corrupt { .. }), "{corrupt:?}");
    for error in [plain, unknown, wrong, corrupt] {
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_registry_that_was_away_is_asked_again() {
    let mut parts = OwnParts::start(PartsConfig {
        name: "schemas-outage".to_owned(),
        durable: true,
        ..PartsConfig::default()
    })
    .await
    .unwrap();
    let registry = registry(&parts.parts.registry_url);
    let id = registry
        .register("requests", Definition::of::<Request>())
        .await
        .unwrap();
    let bytes = registry
        .encoder::<Request>("requests")
        .await
        .unwrap()
        .encode(&Request::default())
        .unwrap();
    let (knows, asks) = (
        registry.decoder::<Request>().unwrap(),
        registry.decoder::<Request>().unwrap(),
    );
    knows.decode(&bytes).await.unwrap();

    parts.registry.stop().await.unwrap();
    assert!(knows.decode(&bytes).await.is_ok(), "what is known needs no registry");
    let away = asks.decode(&bytes).await.unwrap_err();
    assert!(
        matches!(away, DecodeError::Unavailable { .. }) && away.is_transient(),
        "{away:?}"
    );
    let encoder = registry.encoder::<Request>("requests").await;
    assert!(matches!(encoder, Err(RegistryError::Unavailable { .. })));

    parts.registry.start().await.unwrap();
    let read = until(SOON, async || asks.decode(&bytes).await.ok()).await.unwrap();
    assert_eq!(read, Request::default());
    assert_eq!(
        registry
            .register("requests", Definition::of::<Request>())
            .await
            .unwrap(),
        id
    );
}
