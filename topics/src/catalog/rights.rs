//! Who needs which right (ACL), derived from the list: the binding of a principal to a role is the operator's.

use std::fmt;

/// One `Allow` entry, for the principal that a role runs as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub role: String,
    pub resource: Resource,
    pub operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    Topic(String),
    /// A group name, or what group names begin with.
    Group {
        name: String,
        prefixed: bool,
    },
    /// What transactional ids begin with.
    TransactionalIdPrefix(String),
    Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Read,
    Write,
    Describe,
    Create,
    Alter,
    AlterConfigs,
    DescribeConfigs,
    IdempotentWrite,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "Topic {name}"),
            Self::Group { name, prefixed: false } => write!(f, "Group {name}"),
            Self::Group { name, prefixed: true } => write!(f, "Group {name}*"),
            Self::TransactionalIdPrefix(prefix) => write!(f, "TransactionalId {prefix}*"),
            Self::Cluster => f.write_str("Cluster"),
        }
    }
}
