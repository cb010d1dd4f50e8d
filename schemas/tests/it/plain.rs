use apache_avro::{Decimal, types::Value};
use schemas::EncodeError;
use serde_json::json;
use testkit::Space;

use crate::owner::{self, registry};

/// A schema with everything that Avro has, but for what refers to itself.
fn ticket() -> serde_json::Value {
    let logical = |of: &str, logical: &str| json!({ "type": of, "logicalType": logical });
    json!({ "type": "record", "name": "Ticket", "namespace": "com.acme", "fields": [
        { "name": "id", "type": logical("string", "uuid") },
        { "name": "urgent", "type": "boolean" },
        { "name": "number", "type": "long" },
        { "name": "ratio", "type": "float" },
        { "name": "score", "type": ["null", "double"] },
        { "name": "price", "type": { "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2 } },
        { "name": "at", "type": logical("long", "timestamp-millis") },
        { "name": "seen", "type": ["null", logical("long", "timestamp-micros")], "default": null },
        { "name": "local", "type": logical("long", "local-timestamp-micros") },
        { "name": "day", "type": logical("int", "date") },
        { "name": "time", "type": logical("int", "time-millis") },
        { "name": "raw", "type": "bytes", "default": "\u{00ff}" },
        { "name": "hash", "type": { "type": "fixed", "name": "Hash", "size": 2 } },
        { "name": "state", "type": { "type": "enum", "name": "State", "symbols": ["OPEN", "SHUT"] } },
        { "name": "customer", "type": { "type": "record", "name": "Customer", "fields": [
            { "name": "name", "type": ["string", "null"] },
            { "name": "debt", "type": { "type": "map", "values": {
                "type": "fixed", "name": "Debt", "size": 4, "logicalType": "decimal", "precision": 7, "scale": 3 } } }] } },
        { "name": "others", "type": { "type": "array", "items": "Customer" }, "default": [] },
    ] })
}

fn ticket_json() -> serde_json::Value {
    json!({
        "id": "2ad5ac67-abe4-5522-99b8-be99c762d603", "urgent": true, "number": 9_007_199_254_740_993_i64,
        "ratio": 0.1, "score": 2.5, "price": "-12.50", "at": "2026-11-23T08:53:38.123Z",
        "seen": "2026-11-23T08:53:38.123456Z", "local": "2026-11-23T08:53:38.500", "day": "2026-11-23",
        "time": "08:53:38.123", "raw": "AP8=", "hash": "AQI=", "state": "SHUT",
        "customer": { "name": "Ada", "debt": { "eur": "1.250" } },
        "others": [{ "name": null, "debt": {} }, { "name": "Bob", "debt": { "usd": "-0.001" } }],
    })
}

#[tokio::test]
async fn any_record_becomes_json_and_goes_back() {
    let space = Space::new("schemas-plain").await;
    let (registry, url) = (registry(&space.parts.registry_url), &space.parts.registry_url);
    let topic = space.topic("tickets");
    owner::register(url, &format!("{topic}-value"), &ticket())
        .await
        .unwrap();
    let encoder = registry.plain_encoder(&topic).await.unwrap();
    let decoder = registry.plain_decoder();

    let bytes = encoder.encode(&ticket_json()).unwrap();
    assert_eq!(decoder.decode(&bytes).await.unwrap(), ticket_json());

    let mut short = ticket_json();
    for field in ["seen", "raw", "others"] {
        short.as_object_mut().unwrap().remove(field);
    }
    let defaults = decoder.decode(&encoder.encode(&short).unwrap()).await.unwrap();
    assert_eq!(
        (&defaults["seen"], &defaults["raw"], &defaults["others"]),
        (&json!(null), &json!("/w=="), &json!([]))
    );

    for length in 5..bytes.len() {
        let cut = decoder.decode(&bytes[..length]).await;
        assert!(cut.is_err(), "cut after {length} bytes: {cut:?}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_named_by_its_place_and_never_by_its_value() {
    let space = Space::new("schemas-misfit").await;
    let (registry, url) = (registry(&space.parts.registry_url), &space.parts.registry_url);
    let topic = space.topic("tickets");
    owner::register(url, &format!("{topic}-value"), &ticket())
        .await
        .unwrap();
    let encoder = registry.plain_encoder(&topic).await.unwrap();

    let wrong = [
        ("/number", json!("secret")),
        ("/state", json!("LOST")),
        ("/price", json!("0.001")),
        ("/price", json!("1e999999999")),
        ("/price", json!("1e-999999999")),
        ("/hash", json!("AQIDBA==")),
        ("/at", json!("yesterday")),
        ("/score", json!("secret")),
        ("/customer/name", json!(1)),
        ("/others/1/debt/usd", json!("99999.999")),
        ("/others/1/surname", json!("secret")),
    ];
    for (path, value) in wrong {
        let mut ticket = ticket_json();
        match ticket.pointer_mut(path) {
            Some(place) => *place = value,
            None => ticket["others"][1]["surname"] = value,
        }
        let error = encoder.encode(&ticket).unwrap_err();
        let EncodeError::Json { path: named, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(named, path);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let mut absent = ticket_json();
    absent.as_object_mut().unwrap().remove("day");
    assert!(encoder.encode(&absent).unwrap_err().to_string().contains("/day"));
}

#[tokio::test]
async fn schemas_may_refer_to_other_subjects() {
    let space = Space::new("schemas-references").await;
    let (registry, url) = (registry(&space.parts.registry_url), &space.parts.registry_url);
    let money = json!({ "type": "record", "name": "Price", "namespace": "com.acme", "fields": [
        { "name": "amount", "type": { "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2 } }] });
    let subject = space.topic("price");
    owner::register(url, &subject, &money).await.unwrap();
    let order = json!({ "type": "record", "name": "Order", "namespace": "com.acme", "fields": [
        { "name": "price", "type": "com.acme.Price" }] });
    let body = json!({ "schema": order.to_string(), "schemaType": "AVRO",
        "references": [{ "name": "com.acme.Price", "subject": subject, "version": 1 }] });
    let id = owner::post(url, &format!("{}-value", space.topic("orders")), &body)
        .await
        .unwrap();

    let whole = json!({ "type": "record", "name": "Order", "namespace": "com.acme", "fields": [
        { "name": "price", "type": money }] });
    let amount = Value::Decimal(Decimal::from(vec![0x01, 0x00]));
    let price = Value::Record(vec![("amount".to_owned(), amount)]);
    let bytes = owner::write(id, &whole, Value::Record(vec![("price".to_owned(), price)]));
    assert_eq!(
        registry.plain_decoder().decode(&bytes).await.unwrap(),
        json!({ "price": { "amount": "2.56" } })
    );
    let encoder = registry.plain_encoder(&space.topic("orders")).await.unwrap();
    assert_eq!(encoder.encode(&json!({ "price": { "amount": 2.56 } })).unwrap(), bytes);
}
