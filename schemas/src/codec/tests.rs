//! Every record type, as schema and as struct, in all versions that were ever released.

use std::{collections::BTreeMap, fs, path::Path};

use apache_avro::{schema_compatibility::SchemaCompatibility, types::Value, writer::datum::GenericDatumWriter};
use proptest::{collection, prelude::*, test_runner::TestRunner};
use serde_json::json;

use super::*;
use crate::{
    Attempt, Audit, ChainRecord, DeadLetter, Definition, Document, Instance, Request, RunResult, Shape, Token,
    encoder::Encoder,
    shape::{schema_of, topics},
};

/// One call per record type: the body is generic, the list is written once.
macro_rules! for_every_shape {
    ($check:ident) => {
        $check::<Request>();
        $check::<RunResult>();
        $check::<Audit>();
        $check::<Attempt>();
        $check::<DeadLetter>();
        $check::<Token>();
        $check::<ChainRecord>();
        $check::<Document>();
        $check::<Instance>();
    };
}

#[test]
fn every_record_comes_back_as_it_went() {
    fn check<S: Shape>() {
        let (schema, codec) = (schema_of::<S>().unwrap(), codec_of::<S>(S::SCHEMA).unwrap());
        let writer = GenericDatumWriter::builder(schema).build().unwrap();
        TestRunner::default()
            .run(&any_value(schema.clone()), |value| {
                let written = writer.write_value_to_vec(value.clone()).unwrap();
                let record: S = codec.read(&written).unwrap();
                let framed = Encoder::new(7).unwrap().encode(&record).unwrap();
                prop_assert_eq!(&framed[..5], &[0, 0, 0, 0, 7]);
                let again = codec.read_value(&framed[5..]).unwrap();
                prop_assert_eq!(again, value);
                Ok(())
            })
            .unwrap();
    }
    for_every_shape!(check);
}

#[test]
fn any_bytes_decode_or_err() {
    fn check<S: Shape>() {
        let codec = codec_of::<S>(S::SCHEMA).unwrap();
        let whole = Encoder::new(7).unwrap().encode(&S::default()).unwrap();
        let datum = whole[5..].to_vec();
        let damaged = (0..datum.len(), any::<u8>()).prop_map(move |(at, byte)| {
            let mut bytes = datum.clone();
            bytes[at] = byte;
            bytes
        });
        TestRunner::default()
            .run(&prop_oneof![collection::vec(any::<u8>(), 0..256), damaged], |bytes| {
                let _ = codec.read::<S>(&bytes);
                let _ = codec.read_value(&bytes);
                Ok(())
            })
            .unwrap();
    }
    for_every_shape!(check);
}

#[test]
fn no_record_may_lack_its_end_or_have_more() {
    fn check<S: Shape>() {
        let codec = codec_of::<S>(S::SCHEMA).unwrap();
        let framed = Encoder::new(7).unwrap().encode(&S::default()).unwrap();
        let datum = &framed[5..];
        assert!(codec.read::<S>(datum).is_ok());
        for length in 0..datum.len() {
            assert!(
                codec.read::<S>(&datum[..length]).is_err(),
                "{} cut after {length} bytes",
                S::NAME
            );
            assert!(codec.read_value(&datum[..length]).is_err());
        }
        assert!(codec.read::<S>(&[datum, b"\0"].concat()).is_err());
    }
    for_every_shape!(check);
}

/// A writer that knew nothing but the identifiers: everything else takes the defaults of the `.avsc` file, and those
/// are the struct's.
#[test]
fn the_defaults_of_schema_and_struct_are_the_same() {
    fn check<S: Shape>() {
        let mut least: serde_json::Value = serde_json::from_str(S::SCHEMA).unwrap();
        least["fields"]
            .as_array_mut()
            .unwrap()
            .retain(|field| field.get("default").is_none());
        let codec = codec_of::<S>(&least.to_string()).unwrap();
        // 0, "" and false are all a zero byte.
        let datum = vec![0; least["fields"].as_array().unwrap().len()];
        let encoder = Encoder::new(7).unwrap();
        let by_schema = encoder.encode(&codec.read(&datum).unwrap()).unwrap();
        assert_eq!(by_schema, encoder.encode(&S::default()).unwrap(), "{}", S::NAME);
    }
    for_every_shape!(check);
}

#[test]
fn fields_that_only_the_writer_knows_are_skipped() {
    let added = [
        json!("long"),
        json!(["null", "string", "double"]),
        json!({ "type": "enum", "name": "E", "symbols": ["A", "B"] }),
        json!({ "type": "fixed", "name": "F", "size": 3 }),
        json!({ "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2 }),
        json!({ "type": "string", "logicalType": "uuid" }),
        json!({ "type": "array", "items": { "type": "map", "values": "bytes" } }),
    ];
    for kind in &added {
        let mut newer: serde_json::Value = serde_json::from_str(Token::SCHEMA).unwrap();
        newer["fields"]
            .as_array_mut()
            .unwrap()
            .insert(3, json!({ "name": "added", "type": kind }));
        let schema = Schema::parse_str(&newer.to_string()).unwrap();
        let codec = codec_of::<Token>(&newer.to_string()).unwrap();
        TestRunner::default()
            .run(&any_value(schema.clone()), |value| {
                let written = GenericDatumWriter::builder(&schema)
                    .build()
                    .unwrap()
                    .write_value_to_vec(value)
                    .unwrap();
                let token = codec.read::<Token>(&written);
                prop_assert!(token.is_ok(), "{kind}: {token:?}");
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn every_version_reads_every_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("avro");
    let mut versions: BTreeMap<String, BTreeMap<u32, String>> = BTreeMap::new();
    for file in fs::read_dir(folder.join("predecessors")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let [record, version, "avsc"] = name.split('.').collect::<Vec<_>>()[..] else {
            panic!("{name}")
        };
        let text = fs::read_to_string(file.path()).unwrap();
        versions
            .entry(record.to_owned())
            .or_default()
            .insert(version.parse().unwrap(), text);
    }
    for (record, versions) in versions {
        let current = fs::read_to_string(folder.join(format!("{record}.avsc"))).unwrap();
        let (newest, kept) = versions.last_key_value().unwrap();
        let same = serde_json::from_str::<serde_json::Value>(kept).unwrap()
            == serde_json::from_str::<serde_json::Value>(&current).unwrap();
        assert!(
            same,
            "{record}.avsc changed: keep it as predecessors/{record}.{}.avsc, too",
            newest + 1
        );
        let current = Schema::parse_str(&current).unwrap();
        for (version, text) in versions {
            let predecessor = Schema::parse_str(&text).unwrap();
            let verdict = SchemaCompatibility::mutual_read(&current, &predecessor);
            assert!(verdict.is_ok(), "{record} against its version {version}: {verdict:?}");
        }
    }
}

/// Somebody's own request: their names of types, their order, their times, an enum for a text, and what they do not know.
#[test]
fn a_foreign_request_is_read_by_its_fields() {
    let at = |unit: &str| json!({ "type": "long", "logicalType": unit });
    for (unit, value, micros) in [
        (
            "timestamp-millis",
            Value::TimestampMillis(1_700_000_000_123),
            1_700_000_000_123_000,
        ),
        (
            "timestamp-micros",
            Value::TimestampMicros(1_700_000_000_123_456),
            1_700_000_000_123_456,
        ),
        (
            "timestamp-nanos",
            Value::TimestampNanos(1_700_000_000_123_456_789),
            1_700_000_000_123_456,
        ),
        ("local-timestamp-millis", Value::LocalTimestampMillis(-1), -1_000),
        ("local-timestamp-micros", Value::LocalTimestampMicros(-1), -1),
        ("timestamp-millis", Value::TimestampMillis(i64::MAX), i64::MAX),
    ] {
        let writer = json!({ "type": "record", "name": "MyRequest", "namespace": "acme.orders", "fields": [
            { "name": "more", "type": { "type": "record", "name": "More", "fields": [{ "name": "n", "type": "int" }] } },
            { "name": "created_at", "type": at(unit) },
            { "name": "deadline", "type": [at(unit), "null"] },
            { "name": "chain", "type": { "type": "enum", "name": "Chain", "symbols": ["echo", "answer"] } },
            { "name": "request_id", "type": { "type": "string", "logicalType": "uuid" } },
            { "name": "input", "type": "bytes" },
        ] });
        let schema = Schema::parse_str(&writer.to_string()).unwrap();
        let written = Value::Record(vec![
            ("more".to_owned(), Value::Record(vec![("n".to_owned(), Value::Int(1))])),
            ("created_at".to_owned(), value.clone()),
            ("deadline".to_owned(), Value::Union(0, Box::new(value))),
            ("chain".to_owned(), Value::Enum(1, "answer".to_owned())),
            ("request_id".to_owned(), Value::Uuid(uuid::Uuid::from_u128(1))),
            ("input".to_owned(), Value::Bytes(b"{}".to_vec())),
        ]);
        let datum = GenericDatumWriter::builder(&schema)
            .build()
            .unwrap()
            .write_value_to_vec(written)
            .unwrap();
        let read: Request = codec_of::<Request>(&writer.to_string()).unwrap().read(&datum).unwrap();
        let expected = Request {
            request_id: Some(uuid::Uuid::from_u128(1).to_string()),
            chain: "answer".to_owned(),
            input: "{}".to_owned(),
            created_at: crate::Timestamp(micros),
            deadline: Some(crate::Timestamp(micros)),
            ..Request::default()
        };
        assert_eq!(read, expected, "{unit}");
    }
}

#[test]
fn a_schema_that_does_not_fit_says_which_field() {
    let refused = |writer: serde_json::Value| codec_of::<Request>(&writer.to_string()).err().unwrap().to_string();
    let with = |name: &str, kind: serde_json::Value| {
        refused(json!({ "type": "record", "name": "R", "fields": [{ "name": name, "type": kind }] }))
    };
    for (told, words) in [
        (
            with("created_at", json!("long")),
            "/created_at: it is long, and must be timestamp-micros",
        ),
        (
            with("deadline", json!(["null", "string"])),
            "/deadline: it is string, and must be timestamp-micros",
        ),
        (with("input", json!("int")), "/input: it is int, and must be string"),
        (with("turn", json!("long")), "/turn: it is long, and must be int"),
        (refused(json!("string")), "it is string, and must be a record"),
        (
            refused(
                json!({ "type": "record", "name": "acme.Customer", "fields": [{ "name": "email", "type": "string" }] }),
            ),
            "it is a record acme.Customer, and millrace.Request is wanted",
        ),
        (
            refused(serde_json::from_str(Audit::SCHEMA).unwrap()),
            "it is a record millrace.Audit, and millrace.Request is wanted",
        ),
    ] {
        assert_eq!(told, words);
    }
    // Null may be written, and is found where it is.
    let writer = json!({ "type": "record", "name": "R", "fields": [{ "name": "chain", "type": ["null", "string"] }] });
    let codec = codec_of::<Request>(&writer.to_string()).unwrap();
    assert!(matches!(codec.read::<Request>(&[0]), Err(Corruption::Null)));
}

#[test]
fn every_field_is_documented_and_has_a_default_unless_it_identifies() {
    fn check_record(schema: &Schema, nested: bool) {
        let Schema::Record(record) = schema else {
            panic!("{schema:?}")
        };
        assert!(record.doc.is_some(), "{} is not documented", record.name);
        for field in &record.fields {
            assert!(field.doc.is_some(), "{}.{} is not documented", record.name, field.name);
            let identifies = field.name.ends_with("_id")
                || ["tenant", "src", "topic", "partition", "offset", "name", "version"].contains(&field.name.as_str());
            assert!(
                field.default.is_some() || (identifies && !nested),
                "{}.{} has no default",
                record.name,
                field.name
            );
            match &field.schema {
                Schema::Record(_) => check_record(&field.schema, true),
                Schema::Array(array) => check_record(&array.items, true),
                Schema::Enum(_) => panic!("{}.{}: sets that may grow are strings", record.name, field.name),
                _ => {}
            }
        }
    }
    for (_, Definition { name, avsc }) in topics() {
        let schema = Schema::parse_str(avsc).unwrap();
        assert_eq!(schema.name().unwrap().to_string(), format!("millrace.{name}"));
        check_record(&schema, false);
    }
}

#[test]
fn a_schema_without_depth_is_refused() {
    let tree = r#"{"type":"record","name":"Tree","namespace":"a.b","fields":[
        {"name":"children","type":{"type":"array","items":"Tree"}}]}"#;
    let schema: &'static Schema = Box::leak(Box::new(Schema::parse_str(tree).unwrap()));
    let refused = Codec::new(
        &Parsed {
            id: 1,
            schema,
            referenced: &[],
        },
        None,
    );
    assert!(matches!(refused, Err(Misfit::TooDeep)));
}

#[test]
fn a_length_that_lies_allocates_nothing_to_speak_of() {
    apache_avro::util::max_allocation_bytes(MAX_ALLOCATION);
    let codec = codec_of::<Token>(Token::SCHEMA).unwrap();
    let huge = GenericDatumWriter::builder(&Schema::Long)
        .build()
        .unwrap()
        .write_value_to_vec(i64::MAX >> 8)
        .unwrap();
    assert!(codec.read::<Token>(&huge).is_err());
}

fn codec_of<S: Shape>(writer: &str) -> Result<Codec, Misfit> {
    let schema: &'static Schema = Box::leak(Box::new(Schema::parse_str(writer).unwrap()));
    Codec::new(
        &Parsed {
            id: 7,
            schema,
            referenced: &[],
        },
        Some(schema_of::<S>().unwrap()),
    )
}

/// Any value that a schema allows.
fn any_value(schema: Schema) -> BoxedStrategy<Value> {
    match schema {
        Schema::Null => Just(Value::Null).boxed(),
        Schema::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Schema::Int => any::<i32>().prop_map(Value::Int).boxed(),
        Schema::Long => any::<i64>().prop_map(Value::Long).boxed(),
        Schema::TimestampMicros => any::<i64>().prop_map(Value::TimestampMicros).boxed(),
        Schema::Double => any::<f64>().prop_map(Value::Double).boxed(),
        Schema::String => any::<String>().prop_map(Value::String).boxed(),
        Schema::Bytes => any::<Vec<u8>>().prop_map(Value::Bytes).boxed(),
        Schema::Fixed(fixed) => collection::vec(any::<u8>(), fixed.size)
            .prop_map(|bytes| Value::Fixed(bytes.len(), bytes))
            .boxed(),
        Schema::Decimal(_) => any::<[u8; 3]>().prop_map(|bytes| Value::Decimal(bytes.into())).boxed(),
        Schema::Uuid(_) => any::<u128>()
            .prop_map(|id| Value::Uuid(uuid::Uuid::from_u128(id)))
            .boxed(),
        Schema::Enum(symbols) => (0..symbols.symbols.len())
            .prop_map(move |at| Value::Enum(u32::try_from(at).unwrap(), symbols.symbols[at].clone()))
            .boxed(),
        Schema::Array(array) => collection::vec(any_value(*array.items), 0..3)
            .prop_map(Value::Array)
            .boxed(),
        Schema::Map(map) => collection::hash_map(any::<String>(), any_value(*map.types), 0..3)
            .prop_map(Value::Map)
            .boxed(),
        Schema::Union(union) => {
            let variants = union.variants().to_vec();
            (0..variants.len())
                .prop_flat_map(move |branch| {
                    let number = u32::try_from(branch).unwrap();
                    any_value(variants[branch].clone()).prop_map(move |value| Value::Union(number, Box::new(value)))
                })
                .boxed()
        }
        Schema::Record(record) => record
            .fields
            .into_iter()
            .map(|field| (Just(field.name), any_value(field.schema)).boxed())
            .collect::<Vec<_>>()
            .prop_map(Value::Record)
            .boxed(),
        other => panic!("no record of ours has {other:?}"),
    }
}
