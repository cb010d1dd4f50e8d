//! Our structs → bytes of a topic.

use std::{marker::PhantomData, sync::Arc};

use apache_avro::writer::datum::GenericDatumWriter;
use bytes::Bytes;

use crate::{RegistryError, Shape, shape::schema_of, wire};

/// Encodes the values of one topic. Clones are cheap.
pub struct Encoder<S> {
    header: [u8; 5],
    writer: Arc<GenericDatumWriter<'static>>,
    shape: PhantomData<fn(&S)>,
}

#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("the record does not fit its schema")]
    Datum(#[source] Box<apache_avro::Error>),
    /// `path` is a JSON pointer (RFC 6901) into the value.
    #[error("the value does not fit the schema at \"{path}\": {problem}")]
    Json { path: String, problem: String },
}

impl<S: Shape> Encoder<S> {
    pub(crate) fn new(schema_id: u32) -> Result<Self, RegistryError> {
        let writer = GenericDatumWriter::builder(schema_of::<S>()?)
            .build()
            .map_err(|source| RegistryError::Parse {
                what: S::NAME.to_owned(),
                source: Box::new(source),
            })?;
        Ok(Self {
            header: wire::header(schema_id),
            writer: Arc::new(writer),
            shape: PhantomData,
        })
    }

    /// The record in Confluent's wire format.
    ///
    /// # Errors
    /// [`EncodeError::Datum`] when struct and schema have come apart, which a test rules out.
    pub fn encode(&self, record: &S) -> Result<Bytes, EncodeError> {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&self.header);
        self.writer
            .write_ser(&mut bytes, record)
            .map_err(|error| EncodeError::Datum(Box::new(error)))?;
        Ok(bytes.into())
    }
}

impl<S> Clone for Encoder<S> {
    fn clone(&self) -> Self {
        Self {
            header: self.header,
            writer: self.writer.clone(),
            shape: PhantomData,
        }
    }
}
