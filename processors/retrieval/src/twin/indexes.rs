//! All indexes of a data folder, one file each. The folder is locked: two twins on one file would tear it.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use thiserror::Error;

use super::{
    definition::Definition,
    index::Index,
    log::{LogError, sync_folder_of},
    refusal::{Reason, Refusal},
};

const EXTENSION: &str = "log";

pub(super) struct Indexes {
    folder: PathBuf,
    open: RwLock<BTreeMap<String, Arc<Index>>>,
    _lock: File,
}

#[derive(Debug, Error)]
pub enum OpenError {
    #[error("cannot use the data folder {folder}")]
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another process serves the data folder {folder}: stop it or choose another folder")]
    InUse { folder: PathBuf },
    #[error("an index cannot be opened")]
    Index(#[source] LogError),
}

impl Indexes {
    pub(super) fn open(folder: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Folder {
            folder: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join(".lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    folder: folder.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut open = BTreeMap::new();
        for file in fs::read_dir(folder).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                let index = Index::open(&path).map_err(OpenError::Index)?;
                open.insert(index.definition.name.clone(), Arc::new(index));
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            open: RwLock::new(open),
            _lock: lock,
        })
    }

    pub(super) fn create(&self, definition: Definition) -> Result<Arc<Index>, Refusal> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.contains_key(&definition.name) {
            return Err(Refusal::new(Reason::AlreadyExists, "Resource already exists"));
        }
        let name = definition.name.clone();
        let index = Arc::new(Index::create(&self.path(&name), definition)?);
        open.insert(name, Arc::clone(&index));
        Ok(index)
    }

    pub(super) fn get(&self, name: &str) -> Result<Arc<Index>, Refusal> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(name).cloned().ok_or_else(|| unknown(name))
    }

    pub(super) fn all(&self) -> Vec<Arc<Index>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.values().cloned().collect()
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), Refusal> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if !open.contains_key(name) {
            return Err(unknown(name));
        }
        let path = self.path(name);
        fs::remove_file(&path).map_err(|source| LogError::Write {
            path: path.clone(),
            source,
        })?;
        open.remove(name);
        sync_folder_of(&path)?;
        Ok(())
    }

    /// A name holds only `[a-z0-9-]`: [`Definition::parse`] saw to that.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{EXTENSION}"))
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::not_found(format!("Resource {name} not found"))
}

/// The disk failed: logged here, and told without paths.
impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the twin's data folder failed"
        );
        Self::new(Reason::Internal, "the twin cannot write its data: see its log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_twin() {
        let folder = tempfile::tempdir().unwrap();
        let first = Indexes::open(folder.path()).unwrap();
        assert!(matches!(Indexes::open(folder.path()), Err(OpenError::InUse { .. })));
        drop(first);
        Indexes::open(folder.path()).unwrap();
    }
}
