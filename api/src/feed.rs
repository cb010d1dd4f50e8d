//! The live feed: every result as it commits, to as many readers as come.
//!
//! A reader is a place in the ring and nothing more: nothing is queued for it. Whoever does not keep up falls out of the
//! ring's other end, is told how many results it missed, and goes on with the newest. A result is decoded and written as
//! JSON once per instance, when the first reader comes to it; without readers, never. Readers take what came in the
//! meantime in one piece, at most 20 times a second, so that many of them cost little more than a few.

mod begin;
mod filter;
mod reader;
mod row;

pub(crate) use begin::From;
pub(crate) use filter::Filter;
pub(crate) use reader::Reader;
pub(crate) use row::Row;
