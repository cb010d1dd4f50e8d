//! Chain files that change while the process runs.
//!
//! They are looked at, not listened to: what tells of changes in a folder stays silent where the folder is mounted from
//! elsewhere, as configuration in containers is. A new version is published, and so runs here and everywhere; files with a
//! mistake change nothing, and say so once. What a file no longer holds stays: runs may name it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{chain::Resources, chain_files, chains::Chains, error::Error, publication::Publisher};

const EVERY: Duration = Duration::from_secs(2);

pub(crate) struct Reload {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) resources: Resources,
    pub(crate) chains: Arc<Chains>,
    pub(crate) publisher: Publisher,
}

/// When each file was written last, and how long it is.
type Seen = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

impl Reload {
    /// Looks for changes until it is dropped. It ends only with what ends the process: a chain that cannot be published.
    pub(crate) async fn watch(self) -> Error {
        let mut seen = look(&self.paths);
        loop {
            tokio::time::sleep(EVERY).await;
            let now = look(&self.paths);
            if now == seen {
                continue;
            }
            seen = now;
            match self.chains.reload(&self.paths, &self.resources) {
                Ok(new) => {
                    for chain in new {
                        if let Err(error) = self.publisher.publish(&chain).await {
                            return error;
                        }
                    }
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(
                        error,
                        "chain files have changed and cannot be taken over: what is loaded stays"
                    );
                }
            }
        }
    }
}

/// A file that is gone, or cannot be asked, has no time.
fn look(paths: &[PathBuf]) -> Seen {
    let files = chain_files::files(paths).unwrap_or_default();
    let at = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.into_iter().map(|path| (path.clone(), at(&path))).collect()
}
