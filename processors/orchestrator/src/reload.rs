//! Chain files that change while the process runs.
//!
//! They are looked at, not listened to: what tells of changes in a folder stays silent where the folder is mounted from
//! elsewhere, as configuration in containers is. A new version is published, and so runs here and everywhere; files with a
//! mistake change nothing, and say so once. What a file no longer holds stays: runs may name it.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    chain::{Chain, Resources, Targets},
    chain_files,
    chains::{Chains, ReloadError},
    emission::{self, Emission},
    publication::Publisher,
};

const EVERY: Duration = Duration::from_secs(2);

pub(crate) struct Reload {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) resources: Resources,
    pub(crate) emission: Emission,
    pub(crate) chains: Arc<Chains>,
    pub(crate) publisher: Publisher,
    /// Before they were read: what changes meanwhile is seen.
    pub(crate) seen: Seen,
}

/// When each file was written last, and how long it is: chains, and what they may refer to.
pub(crate) type Seen = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

impl Reload {
    /// Looks for changes until it is dropped.
    pub(crate) async fn watch(mut self) -> Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            let paths = self.paths.clone();
            // A folder that is mounted from elsewhere may take its time.
            let Ok(now) = tokio::task::spawn_blocking(move || look(&paths)).await else {
                continue;
            };
            if now == self.seen {
                continue;
            }
            self.seen = now;
            match self.read().await {
                Ok(new) => self.publish(&new).await,
                Err(error) => {
                    if let ReloadError::Registry(_) = error {
                        self.seen.clear();
                    }
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(
                        error,
                        "chain files have changed and cannot be taken over: what is loaded stays"
                    );
                }
            }
        }
    }

    /// Twice: what topics take is asked for when it is known which ones.
    async fn read(&self) -> Result<Vec<Arc<Chain>>, ReloadError> {
        let unbound = Resources {
            targets: Targets::default(),
            ..self.resources.clone()
        };
        let new = self.chains.reload(&self.paths, &unbound)?;
        self.emission.ask(&emission::targets(&new)).await?;
        self.chains.reload(&self.paths, &self.resources)
    }

    /// Brokers that are away are no reason to end: it is tried again the next time.
    async fn publish(&mut self, new: &[Arc<Chain>]) {
        for chain in new {
            if let Err(error) = self.publisher.publish(chain).await {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, chain = chain.key(), "a new chain could not be published yet");
                self.seen.clear();
                return;
            }
        }
    }
}

/// A file that is gone, or cannot be asked, has no time.
pub(crate) fn look(paths: &[PathBuf]) -> Seen {
    let mut files = chain_files::files(paths).unwrap_or_default();
    let folders: BTreeSet<&Path> = files.iter().filter_map(|path| path.parent()).collect();
    let schemas: Vec<PathBuf> = folders.into_iter().flat_map(chain_files::schemas).collect();
    files.extend(schemas);
    let at = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.into_iter().map(|path| (path.clone(), at(&path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_a_chain_may_refer_to_is_looked_at_too() {
        let folder = tempfile::tempdir().unwrap();
        let chain = folder.path().join("a.yaml");
        let shapes = folder.path().join("shapes");
        fs::create_dir(&shapes).unwrap();
        fs::write(&chain, "").unwrap();
        fs::write(shapes.join("order.json"), "{}").unwrap();
        std::os::unix::fs::symlink("..", shapes.join("up")).unwrap();
        for paths in [[folder.path().to_owned()], [chain]] {
            let before = look(&paths);
            assert_eq!(before.len(), 2, "{before:?}");
            fs::write(
                shapes.join("order.json"),
                format!("{{\"description\": \"{}\"}}", paths.len() + before.len()),
            )
            .unwrap();
            assert_ne!(look(&paths), before);
            fs::write(shapes.join("order.json"), "{}").unwrap();
        }
    }
}
