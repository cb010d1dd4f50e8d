//! What the indexer counts. The engine counts what is consumed, committed and left to do.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use crate::update::Changes;

const DOCUMENTS: &str = "millrace_documents_total";
const DOCUMENT_SECONDS: &str = "millrace_document_seconds";
const WAITS: &str = "millrace_document_waits_total";
const CHUNKS: &str = "millrace_chunks_total";

pub(crate) fn describe() {
    describe_counter!(
        DOCUMENTS,
        "Documents that were worked on, by outcome: ok or the class of the error"
    );
    describe_histogram!(
        DOCUMENT_SECONDS,
        Unit::Seconds,
        "From the dispatch of a document to its outcome"
    );
    describe_counter!(
        WAITS,
        "Pauses of documents before another try, by the class of the error"
    );
    describe_counter!(
        CHUNKS,
        "Chunks of documents, by what became of them: added, kept or removed"
    );
}

/// Something that a document needs was away.
pub(crate) fn waited(class: &str) {
    counter!(WAITS, "class" => class.to_owned()).increment(1);
}

pub(crate) fn ended(outcome: &str, took: Duration) {
    counter!(DOCUMENTS, "outcome" => outcome.to_owned()).increment(1);
    histogram!(DOCUMENT_SECONDS).record(took.as_secs_f64());
}

pub(crate) fn rejected(class: &str) {
    counter!(DOCUMENTS, "outcome" => class.to_owned()).increment(1);
}

pub(crate) fn changed(changes: Changes) {
    let Changes { added, kept, removed } = changes;
    for (change, chunks) in [("added", added), ("kept", kept), ("removed", removed)] {
        counter!(CHUNKS, "change" => change).increment(chunks as u64);
    }
}
