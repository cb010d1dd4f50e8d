//! What the cluster should be and is: `topics list`, `diff` and `apply`.
//!
//! [`plan`] is pure: from the catalog and what was seen on the cluster to what is to be done, and what a person has to
//! decide. Nothing is ever deleted.

mod apply;
mod cluster;
mod compare;
mod fit;
mod observe;
mod plan;
mod table;

use std::{sync::Arc, time::Duration};

use rdkafka::{
    admin::{AdminClient, AdminOptions},
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    KafkaSettings,
    client::{self, Named},
};

pub use cluster::{ClusterState, ConfigValue, GroupState, Log, TopicState};
pub use compare::plan;
pub use plan::{Action, Change, Finding, From, Options, Plan};
pub use table::{Listing, Rights};

const ASK: Duration = Duration::from_secs(10);
const CLIENT_ID: &str = "millrace-topics";

/// A connection for administration.
pub struct Admin {
    kafka: KafkaSettings,
    client: Arc<AdminClient<Named>>,
}

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("cannot create an admin client: check the settings under kafka.client")]
    Create(#[source] KafkaError),
    #[error("cannot reach the brokers at {bootstrap}; are they up, and is kafka.bootstrap_servers right?")]
    Unreachable {
        bootstrap: String,
        #[source]
        source: KafkaError,
    },
    #[error("cannot read the configuration of {topic} (right: DescribeConfigs)")]
    Describe {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error("cannot read the log of {topic} (right: Describe)")]
    Log {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error("cannot read group {group} (rights: Describe, Read)")]
    Group {
        group: String,
        #[source]
        source: KafkaError,
    },
    #[error("the brokers refuse: {action}")]
    Refused {
        action: String,
        #[source]
        source: KafkaError,
    },
    #[error("the brokers took this, but do not show it yet: {action}; look again with `millrace topics diff`")]
    NotVisible { action: String },
    #[error("a thread that asked the brokers ended without an answer")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl AdminError {
    /// These brokers were asked what they do not know: they say so, or librdkafka waits for an answer in vain, though they
    /// answered before.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        let Self::Describe { source, .. } = self else {
            return false;
        };
        matches!(
            source,
            KafkaError::AdminOp(
                RDKafkaErrorCode::UnsupportedFeature
                    | RDKafkaErrorCode::NotImplemented
                    | RDKafkaErrorCode::OperationTimedOut
            )
        )
    }
}

impl Admin {
    /// Connects when it is first used.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(kafka: &KafkaSettings) -> Result<Self, AdminError> {
        let client = client::config(kafka, CLIENT_ID)
            .create_with_context(Named(CLIENT_ID.to_owned()))
            .map_err(AdminError::Create)?;
        Ok(Self {
            kafka: kafka.clone(),
            client: Arc::new(client),
        })
    }

    /// librdkafka's questions block; they are asked on a thread that may.
    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&KafkaSettings, &AdminClient<Named>) -> Result<T, AdminError> + Send + 'static,
    ) -> Result<T, AdminError> {
        let (kafka, client) = (self.kafka.clone(), Arc::clone(&self.client));
        tokio::task::spawn_blocking(move || ask(&kafka, &client))
            .await
            .map_err(AdminError::Interrupted)?
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ASK))
        .operation_timeout(Some(ASK))
}
