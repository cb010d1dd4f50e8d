//! YAML files that people write: a tree in which everything knows where it stands, and all mistakes of a file at once,
//! each with its line, its column and how to mend it.
//!
//! Read by hand from this tree, not by serde: serde stops at the first mistake, knows no places inside of texts, and passes
//! a price through a float. It is a crate of its own because topic lists, models files and chain files need the same, and
//! `topics` knows no record shapes: what they share has to be below them all.
//!
//! Stricter than YAML, so that a file means what it seems to mean: a repeated key is a mistake, and there are no anchors,
//! aliases, merge keys, tags or further documents (aliases are also how a small file becomes an endless one).

mod fields;
mod node;
mod problem;
mod read;
mod scalar;

pub use fields::{Fields, Placed};
pub use node::{Content, Entry, Node, Text};
pub use problem::{Position, Problem, Problems, listed};
pub use scalar::{Scalar, count, duration, word};
