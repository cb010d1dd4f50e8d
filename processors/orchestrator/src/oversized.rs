//! Where outputs are kept that are too large for `results`: they were paid for.

use std::{io, path::PathBuf};

use topics::Record;

/// A folder, one file per request record, named after where that lies; the text in it is what `output` of the result
/// would have been, and `response_sha256` of the run's audit row is its hash. A record that is run again writes the same
/// file again.
#[derive(Debug)]
pub(crate) struct Oversized(PathBuf);

#[derive(Debug, thiserror::Error)]
#[error("`oversized_outputs`: {} cannot be written", path.display())]
pub struct OversizedError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Oversized {
    /// The folder is made if it is not there.
    pub(crate) fn new(folder: PathBuf) -> Result<Self, OversizedError> {
        match std::fs::create_dir_all(&folder) {
            Ok(()) => Ok(Self(folder)),
            Err(source) => Err(OversizedError { path: folder, source }),
        }
    }

    /// The file, whole and on the disk.
    pub(crate) async fn keep(&self, record: &Record, output: &str) -> Result<PathBuf, OversizedError> {
        let path = self.0.join(format!("{}.json", record.src().replace('/', "-")));
        let unfinished = path.with_extension("unfinished");
        let write = async {
            let mut file = tokio::fs::File::create(&unfinished).await?;
            tokio::io::AsyncWriteExt::write_all(&mut file, output.as_bytes()).await?;
            file.sync_all().await?;
            tokio::fs::rename(&unfinished, &path).await
        };
        match write.await {
            Ok(()) => Ok(path),
            Err(source) => Err(OversizedError { path, source }),
        }
    }
}
