//! How data of one schema are read.
//!
//! Data of our own schema go straight into the struct. Data of any other are read by the names of their fields
//! ([`foreign`]): those that the writer did not know take their defaults, those that only the writer knows are skipped.

pub(crate) mod foreign;

use std::{collections::HashMap, io};

use apache_avro::{
    Schema,
    reader::datum::GenericDatumReader,
    schema::{Name, NamesRef, ResolvedSchema},
    types::Value,
};
use serde::de::DeserializeOwned;

use crate::{RegistryError, registry::Parsed};

/// The most that one length in a datum can make apache-avro allocate; holds for the whole process.
pub(crate) const MAX_ALLOCATION: usize = 64 * 1024 * 1024;
/// How deep values may lie within each other. A recursive schema has no depth: few bytes of datum would fill the stack.
const MAX_DEPTH: usize = 64;

/// All that is needed to read data of one schema: names are resolved once.
pub(crate) struct Codec {
    pub schema: &'static Schema,
    pub names: ResolvedSchema<'static>,
    reader: GenericDatumReader<'static>,
    /// What the data are read as, where that is another schema than their own.
    other: Option<&'static Schema>,
}

/// Why data of a schema cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Misfit {
    /// With the JSON pointer of the field that does not fit.
    #[error("{0}")]
    Unreadable(String),
    #[error("its names cannot be resolved")]
    Names(#[source] Box<apache_avro::Error>),
    #[error("it nests deeper than {MAX_DEPTH} levels; recursive schemas are not supported")]
    TooDeep,
    #[error("the registry's answer is of no use")]
    Schema(#[source] RegistryError),
}

/// Why bytes are not a datum of their schema.
#[derive(Debug, thiserror::Error)]
pub enum Corruption {
    #[error("{0}")]
    Datum(&'static str),
    #[error("a value in it is null, or no text, where one is needed")]
    Null,
    #[error("it ends in the middle")]
    CutOff,
    #[error("{0} bytes are left over")]
    LeftOver(usize),
}

impl Codec {
    /// `shape`: what the data are to be read as; none: as what they are.
    pub fn new(parsed: &Parsed, shape: Option<&'static Schema>) -> Result<Self, Misfit> {
        let Parsed { schema, referenced, .. } = *parsed;
        let unresolved = |error| Misfit::Names(Box::new(error));
        let everything = referenced.iter().chain([schema]).collect();
        let names = ResolvedSchema::new_with_schemata(everything).map_err(unresolved)?;
        depth(schema, names.get_names(), MAX_DEPTH, &mut HashMap::new()).ok_or(Misfit::TooDeep)?;
        let other = shape.filter(|shape| shape != &schema);
        if let Some(ours) = other {
            foreign::resembles(schema, ours)
                .and_then(|()| foreign::check(schema, ours, names.get_names()))
                .map_err(Misfit::Unreadable)?;
        }
        let reader = GenericDatumReader::builder(schema)
            .resolved_writer_schemata(names.clone())
            .build()
            .map_err(unresolved)?;
        Ok(Self {
            schema,
            names,
            reader,
            other,
        })
    }

    pub fn read<S: DeserializeOwned>(&self, datum: &[u8]) -> Result<S, Corruption> {
        if let Some(ours) = self.other {
            let value = foreign::adopt(self.read_value(datum)?, ours).ok_or(Corruption::Null)?;
            return apache_avro::from_value(&value).map_err(unreadable);
        }
        let mut datum = Datum::new(datum);
        let record = self.reader.read_deser(&mut datum).map_err(unreadable)?;
        datum.end()?;
        Ok(record)
    }

    pub fn read_value(&self, datum: &[u8]) -> Result<Value, Corruption> {
        let mut datum = Datum::new(datum);
        let value = self.reader.read_value(&mut datum).map_err(unreadable)?;
        datum.end()?;
        Ok(value)
    }
}

/// apache-avro's own words show values as Rust does, and name its functions.
fn unreadable(error: apache_avro::Error) -> Corruption {
    use apache_avro::error::Details;
    Corruption::Datum(match error.into_details() {
        Details::MemoryAllocation { .. } => "a length in it is beyond 64 MiB",
        Details::ReadBytes(_) | Details::ReadString(_) | Details::ReadVariableIntegerBytes(_) => {
            "it ends in the middle"
        }
        Details::IntegerOverflow | Details::ZagI32(..) => "a number in it is larger than its type",
        Details::ConvertToUtf8(_) | Details::ConvertToUtf8Error(_) => "a text in it is not UTF-8",
        Details::GetUnionVariant { .. } => "it names a branch that its union does not have",
        Details::GetEnumValue { .. } | Details::GetEnumSymbol(_) => "it names a symbol that its enum does not have",
        _ => "its bytes are not what its schema says",
    })
}

/// The bytes of one datum. apache-avro takes the end of the bytes within a string or a union for null: what was
/// missing must be noticed here.
struct Datum<'a> {
    rest: &'a [u8],
    cut_off: bool,
}

impl<'a> Datum<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            cut_off: false,
        }
    }

    /// Whether the datum was all of the bytes.
    fn end(&self) -> Result<(), Corruption> {
        match (self.cut_off, self.rest.len()) {
            (true, _) => Err(Corruption::CutOff),
            (false, 0) => Ok(()),
            (false, left) => Err(Corruption::LeftOver(left)),
        }
    }
}

impl io::Read for Datum<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cut_off |= self.rest.len() < buffer.len();
        self.rest.read(buffer)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.cut_off |= self.rest.len() < buffer.len();
        self.rest.read_exact(buffer)
    }
}

/// How many values lie within each other in the deepest datum of this schema; none when more than `limit`.
fn depth<'s>(
    schema: &'s Schema,
    names: &NamesRef<'s>,
    limit: usize,
    measured: &mut HashMap<&'s Name, usize>,
) -> Option<usize> {
    let limit = limit.checked_sub(1)?;
    let below = match schema {
        Schema::Array(array) => depth(&array.items, names, limit, measured)?,
        Schema::Map(map) => depth(&map.types, names, limit, measured)?,
        Schema::Union(union) => deepest(union.variants().iter(), names, limit, measured)?,
        Schema::Record(record) => {
            let below = deepest(record.fields.iter().map(|field| &field.schema), names, limit, measured)?;
            measured.insert(&record.name, below);
            below
        }
        Schema::Ref { name } => match measured.get(name) {
            Some(measured) => Some(*measured).filter(|measured| *measured <= limit)?,
            None => depth(names.get(name)?, names, limit, measured)?,
        },
        _ => 0,
    };
    Some(below + 1)
}

fn deepest<'s>(
    mut schemas: impl Iterator<Item = &'s Schema>,
    names: &NamesRef<'s>,
    limit: usize,
    measured: &mut HashMap<&'s Name, usize>,
) -> Option<usize> {
    schemas.try_fold(0, |deepest, schema| {
        Some(deepest.max(depth(schema, names, limit, measured)?))
    })
}

#[cfg(test)]
mod tests;
