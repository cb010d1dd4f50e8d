//! Requests go in at real topics, and what comes of them is read from `results`, `audit` and `dead-letters`.

mod emit;
mod limits;
mod outage;
mod oversized;
mod path;
mod peers;
mod poison;
mod published;
mod replay;
mod resume;
mod shipped;
mod world;
