//! One index: its namespaces in memory and the log they come from.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use super::{
    definition::Definition,
    entry::Entry,
    filter::Filter,
    log::{Log, LogError},
    namespace::Namespace,
};
use crate::Vector;

/// When a log is opened that holds this many times the vectors that are left of it, it is written anew.
const DEAD_WEIGHT: usize = 2;
const NOT_WORTH_COMPACTING: usize = 1_000;
/// In one entry of a log written anew: 40 KB of metadata and 20,000 dimensions make 12 MB at worst.
const VECTORS_AN_ENTRY: usize = 100;

pub(super) struct Index {
    pub(super) definition: Definition,
    /// Held from the append until memory has the entry, so that both have the same order. Readers do not wait for the
    /// disk: they lock only `contents`.
    log: Mutex<Log>,
    contents: RwLock<Contents>,
}

/// What the log adds up to.
pub(super) struct Contents {
    dimension: usize,
    /// An empty namespace is none.
    pub(super) namespaces: BTreeMap<String, Namespace>,
    /// Of the last write, which every reader sees.
    pub(super) lsn: u64,
}

impl Index {
    pub(super) fn create(path: &Path, definition: Definition) -> Result<Self, LogError> {
        let log = Log::create(path, &definition, 0, std::iter::empty())?;
        Ok(Self {
            contents: RwLock::new(Contents::new(&definition, 0)),
            definition,
            log: Mutex::new(log),
        })
    }

    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        let mut replayed = 0;
        let (mut log, (definition, mut contents)) = Log::open(
            path,
            |header| {
                let contents = Contents::new(&header.definition, header.lsn);
                (header.definition, contents)
            },
            |(_, contents), entry| {
                replayed += entry.len();
                contents.apply(entry);
            },
        )?;
        if replayed > DEAD_WEIGHT * contents.len() + NOT_WORTH_COMPACTING {
            let mut written = 0;
            let entries = contents.entries().inspect(|_| written += 1);
            log = Log::create(path, &definition, contents.lsn, entries)?;
            contents.lsn += written;
        }
        Ok(Self {
            definition,
            log: Mutex::new(log),
            contents: RwLock::new(contents),
        })
    }

    pub(super) fn contents(&self) -> RwLockReadGuard<'_, Contents> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the write's log sequence number when it is on the disk and seen by every reader.
    pub(super) fn write(&self, entry: Entry) -> Result<u64, LogError> {
        self.append(&mut self.log(), entry)
    }

    pub(super) fn delete_matching(&self, namespace: &str, filter: &Filter) -> Result<u64, LogError> {
        // Locked first: what matches now must be what is deleted.
        let mut log = self.log();
        let ids = match self.contents().namespaces.get(namespace) {
            Some(vectors) => vectors.ids_matching(filter),
            None => Vec::new(),
        };
        let namespace = namespace.to_owned();
        self.append(&mut log, Entry::Delete { namespace, ids })
    }

    fn append(&self, log: &mut Log, entry: Entry) -> Result<u64, LogError> {
        log.append(&entry)?;
        let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        contents.apply(entry);
        Ok(contents.lsn)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn new(definition: &Definition, lsn: u64) -> Self {
        Self {
            dimension: definition.dimension as usize,
            namespaces: BTreeMap::new(),
            lsn,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.namespaces.values().map(Namespace::len).sum()
    }

    fn apply(&mut self, entry: Entry) {
        self.lsn += 1;
        match entry {
            Entry::Upsert { namespace, vectors } => {
                let dimension = self.dimension;
                let namespace = self
                    .namespaces
                    .entry(namespace)
                    .or_insert_with(|| Namespace::new(dimension));
                for vector in vectors {
                    namespace.upsert(vector);
                }
            }
            Entry::Delete { namespace, ids } => {
                let Some(vectors) = self.namespaces.get_mut(&namespace) else {
                    return;
                };
                for id in ids {
                    vectors.delete(&id);
                }
                if vectors.len() == 0 {
                    self.namespaces.remove(&namespace);
                }
            }
            Entry::Clear { namespace } => {
                self.namespaces.remove(&namespace);
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        self.namespaces.iter().flat_map(|(name, namespace)| {
            let mut vectors = namespace.vectors().peekable();
            std::iter::from_fn(move || {
                vectors.peek()?;
                let vectors: Vec<Vector> = vectors.by_ref().take(VECTORS_AN_ENTRY).collect();
                Some(Entry::Upsert {
                    namespace: name.clone(),
                    vectors,
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::twin::definition::ControlShape;

    fn definition() -> Definition {
        let body = json!({"name": "docs", "dimension": 2, "spec": {"serverless": {}}});
        Definition::parse(&body, ControlShape::Spec).unwrap()
    }

    fn upsert(namespace: &str, ids: impl IntoIterator<Item = u32>) -> Entry {
        let vector = |id: u32| Vector {
            id: id.to_string(),
            values: vec![id as f32, 0.1],
            metadata: json!({"number": f64::from(id)}).as_object().unwrap().clone(),
        };
        Entry::Upsert {
            namespace: namespace.to_owned(),
            vectors: ids.into_iter().map(vector).collect(),
        }
    }

    fn stored(index: &Index) -> Vec<(String, Vector)> {
        let contents = index.contents();
        let all = contents
            .namespaces
            .iter()
            .flat_map(|(name, namespace)| namespace.vectors().map(move |vector| (name.clone(), vector)));
        let mut all: Vec<_> = all.collect();
        all.sort_by(|a, b| (&a.0, &a.1.id).cmp(&(&b.0, &b.1.id)));
        all
    }

    #[test]
    fn what_was_acknowledged_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docs.log");
        let index = Index::create(&path, definition()).unwrap();
        index.write(upsert("a", 0..3)).unwrap();
        index.write(upsert("b", 5..6)).unwrap();
        let delete = Entry::Delete {
            namespace: "a".to_owned(),
            ids: vec!["1".to_owned()],
        };
        assert_eq!(index.write(delete).unwrap(), 3);
        let before = stored(&index);
        drop(index);

        let index = Index::open(&path).unwrap();
        assert_eq!(stored(&index), before);
        assert_eq!(before.len(), 3);
        assert_eq!(index.definition, definition());
        assert_eq!(
            index
                .write(Entry::Clear {
                    namespace: "a".to_owned()
                })
                .unwrap(),
            4
        );
    }

    #[test]
    fn a_log_of_dead_vectors_is_written_anew_without_losing_any_or_going_back_in_lsn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docs.log");
        let index = Index::create(&path, definition()).unwrap();
        for _ in 0..5 {
            index.write(upsert("a", 0..600)).unwrap();
        }
        let (before, length) = (stored(&index), fs::metadata(&path).unwrap().len());
        drop(index);

        let index = Index::open(&path).unwrap();
        let lsn = index.contents().lsn;
        assert!(lsn >= 5);
        assert!(fs::metadata(&path).unwrap().len() < length / 4);
        index.write(upsert("a", 600..601)).unwrap();
        drop(index);

        let index = Index::open(&path).unwrap();
        assert_eq!(stored(&index)[..].len(), before.len() + 1);
        assert_eq!(index.contents().lsn, lsn + 1);
    }

    #[test]
    fn damage_before_the_end_is_refused_not_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docs.log");
        let index = Index::create(&path, definition()).unwrap();
        index.write(upsert("a", 0..3)).unwrap();
        let middle = fs::metadata(&path).unwrap().len() as usize - 1;
        index.write(upsert("a", 3..6)).unwrap();
        drop(index);
        let mut bytes = fs::read(&path).unwrap();
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(Index::open(&path), Err(LogError::Damaged { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Whatever byte a crash cuts the file at, every write before it is there and the next one works.
        #[test]
        fn a_torn_tail_costs_only_what_was_not_acknowledged(cut in 0.0..1.0_f64) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("docs.log");
            let index = Index::create(&path, definition()).unwrap();
            let acknowledged: Vec<(u64, u32)> = (0..6)
                .map(|id| {
                    index.write(upsert("a", id..=id)).unwrap();
                    (fs::metadata(&path).unwrap().len(), id)
                })
                .collect();
            let first = acknowledged[0].0;
            let last = acknowledged[5].0;
            let length = first + ((last - first) as f64 * cut) as u64;
            drop(index);
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();

            let index = Index::open(&path).unwrap();
            let expected: Vec<_> = acknowledged.iter().filter(|(end, _)| *end <= length).map(|(_, id)| id.to_string()).collect();
            prop_assert_eq!(&stored(&index).into_iter().map(|(_, v)| v.id).collect::<Vec<_>>(), &expected);
            index.write(upsert("a", 9..10)).unwrap();
            drop(index);
            prop_assert_eq!(stored(&Index::open(&path).unwrap()).len(), expected.len() + 1);
        }
    }
}
