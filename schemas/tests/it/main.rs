//! The shapes through a real registry.

#![cfg(test)]

mod owner;
mod plain;
mod registry;
