use super::parsed::REFERENCE_DEPTH;

/// Why the registry did not help.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("the settings of the schema registry make no client")]
    Settings {
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Down, overloaded, or refusing our credentials: nothing is wrong with the record or the schema.
    #[error("the schema registry at {url} does not answer as it should; is it up, and is registry.url right?")]
    Unavailable {
        url: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the schema registry has no schema with id {id}")]
    UnknownId { id: u32 },
    #[error("subject {subject} does not have this version of the schema; run: millrace schemas register")]
    NotRegistered { subject: String },
    #[error("the schema registry refuses the schema for {subject}: {message}")]
    Refused { subject: String, message: String },
    #[error("{what} is not an Avro schema but {found}")]
    NotAvro { what: String, found: String },
    #[error("the schema of {what} cannot be parsed")]
    Parse {
        what: String,
        #[source]
        source: Box<apache_avro::Error>,
    },
    #[error("the references of {what} lead deeper than {REFERENCE_DEPTH} schemas")]
    References { what: String },
}
