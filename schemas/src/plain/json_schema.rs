//! What an Avro schema takes, as JSON Schema: as much of [`super::PlainEncoder::encode`] as can be known before there is a
//! value.

use apache_avro::{
    Schema,
    schema::{RecordSchema, UnionSchema},
};
use serde_json::{Map, Value as Json, json};

use super::union::{self, TYPE};

pub(super) fn json_schema(schema: &Schema) -> Json {
    match schema {
        Schema::Null => json!({"type": "null"}),
        Schema::Boolean => json!({"type": "boolean"}),
        Schema::Int | Schema::Long => json!({"type": "integer"}),
        // The text is what is not finite.
        Schema::Float | Schema::Double => {
            json!({"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]})
        }
        Schema::String | Schema::Bytes | Schema::Fixed(_) | Schema::Uuid(_) => json!({"type": "string"}),
        Schema::Enum(symbols) => json!({"enum": symbols.symbols}),
        Schema::Decimal(_) | Schema::BigDecimal => json!({"type": ["number", "string"]}),
        Schema::Date
        | Schema::TimeMillis
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => json!({"type": ["integer", "string"]}),
        Schema::Duration(_) => json!({"not": {}}),
        Schema::Array(array) => json!({"type": "array", "items": json_schema(&array.items)}),
        Schema::Map(map) => json!({"type": "object", "additionalProperties": json_schema(&map.types)}),
        Schema::Record(record) => of_record(record),
        Schema::Union(union) => json!({"anyOf": variants(union)}),
        // A type that was told elsewhere, and may contain itself.
        Schema::Ref { .. } => json!({}),
    }
}

/// Of several records each may say which it is.
fn variants(union: &UnionSchema) -> Vec<Json> {
    let records = union::records(union);
    let variant = |variant| {
        let mut schema = json_schema(variant);
        if let Some(name) = union::record(variant).filter(|name| records.contains(name))
            && let Some(Json::Object(properties)) = schema.get_mut("properties")
        {
            properties.insert(TYPE.to_owned(), json!({"enum": [name.fullname(None)]}));
        }
        schema
    };
    union.variants().iter().map(variant).collect()
}

fn of_record(record: &RecordSchema) -> Json {
    let properties = record.fields.iter();
    let properties = properties.map(|field| (field.name.clone(), json_schema(&field.schema)));
    let required = record.fields.iter().filter(|field| field.default.is_none());
    json!({
        "type": "object",
        "properties": properties.collect::<Map<_, _>>(),
        "required": required.map(|field| &field.name).collect::<Vec<_>>(),
        "additionalProperties": false,
    })
}
