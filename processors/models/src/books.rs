use crate::error::causes;
use futures::future::BoxFuture;
use schemas::Attempt;

/// Where paid calls are written down before they leave, and settled when their outcome is thrown away.
///
/// Two implementations: the binary's, an acknowledged Kafka producer on `attempts`; and [`Unrecorded`].
pub trait Books: Send + Sync {
    /// Resolves once the record is safe: acknowledged by the broker, not merely queued.
    ///
    /// # Errors
    /// The record may or may not be written. The caller then lets no call leave.
    fn record(&self, attempt: Attempt) -> BoxFuture<'_, Result<(), BooksError>>;
}

/// The books could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the attempt could not be written ahead")]
pub struct BooksError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Books that keep nothing, for a run outside Kafka (`millrace chain run`): its bill is what it prints.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unrecorded;

impl Books for Unrecorded {
    fn record(&self, _attempt: Attempt) -> BoxFuture<'_, Result<(), BooksError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Writes entries that nobody waits for; one that cannot be written leaves its attempt looking as if a crash had ended it.
pub(crate) async fn write(books: &dyn Books, entries: Vec<Attempt>) {
    for entry in entries {
        let (attempt_id, phase) = (entry.attempt_id.clone(), entry.phase.clone());
        if let Err(error) = books.record(entry).await {
            tracing::warn!(attempt_id, phase, error = %causes(&error), "an attempt could not be settled in the books");
        }
    }
}
