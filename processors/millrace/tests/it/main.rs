//! The binary as its users meet it: processes, topics, HTTP and SQL, on real parts. Each file is one story.

#![cfg(test)]

mod world;

mod any_records;
mod chain_files;
mod command_line;
mod instances;
mod kill;
mod limits_of_brokers;
mod metrics;
mod pinecone;
mod stranger;
mod unfit_topics;
mod unresolved;
mod write_ahead;
