//! The shapes through a real registry.

mod owner;
mod plain;
mod registry;
