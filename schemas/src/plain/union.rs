//! Which of several records a union holds. Where there is more than one, two may have the same fields: so each says its name.

use apache_avro::{
    Schema,
    schema::{Name, UnionSchema},
};

/// The member that says it. No field of a record can be called that.
pub(super) const TYPE: &str = "$type";

/// The names of the records of a union that has several.
pub(super) fn records(union: &UnionSchema) -> Vec<&Name> {
    let records: Vec<&Name> = union.variants().iter().filter_map(record).collect();
    if records.len() > 1 { records } else { Vec::new() }
}

/// The name of a variant that is a record, or refers to a type that may be one.
pub(super) fn record(variant: &Schema) -> Option<&Name> {
    match variant {
        Schema::Record(record) => Some(&record.name),
        Schema::Ref { name } => Some(name),
        _ => None,
    }
}
