//! The chains this process can run: those of its files, and those that others published.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use schemas::{ChainReference, RegistryError};
use tokio::sync::watch;

use crate::{
    chain::{Chain, Draft, Problem, Resources},
    chain_files::{self, LoadError},
    metrics,
};

/// All versions side by side: a run keeps the one it began with. A version never changes its content.
#[derive(Debug)]
pub struct Chains {
    by_name: RwLock<BTreeMap<String, BTreeMap<i32, Version>>>,
    /// Counts what was added, so that one can wait for the next.
    added: watch::Sender<u64>,
}

#[derive(Debug, Clone)]
enum Version {
    Runnable(Arc<Chain>),
    /// Published by a process that has models, indexes or chains which this one lacks, so far.
    Unusable {
        digest: String,
        source: Arc<str>,
        /// The chains that it runs, by `name@version`: it is read again when one of them comes.
        runs: BTreeSet<String>,
        problems: Arc<[Problem]>,
    },
}

/// Why there is no chain to run for a request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Missing {
    #[error("`{reference}` is not a chain: write <name> or <name>@<version>")]
    Malformed { reference: String },
    #[error("there is no chain `{reference}`")]
    Unknown { reference: String },
    /// `reference` is `name@version`, whatever was asked for.
    #[error("chain `{reference}` is published, but this process cannot run it:\n{}", yaml::listed(.problems))]
    Unusable {
        reference: String,
        problems: Arc<[Problem]>,
    },
}

/// A version that is known under another digest.
#[derive(Debug, thiserror::Error)]
#[error(
    "chain `{key}` is already published with other content (sha256 {published}, here {here}): raise `metadata.version` in its \
     file"
)]
pub struct Conflict {
    pub key: String,
    pub here: String,
    pub published: String,
}

/// Why changed files are not taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Conflict(Conflict),
    /// It was not there to say what the topics take that chains emit to.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Chains {
    /// Reads chain files; a folder stands for its `*.yaml` and `*.yml`.
    ///
    /// # Errors
    /// The first file that cannot be read, else every mistake of every file.
    pub fn load(paths: &[PathBuf], resources: &Resources) -> Result<Self, LoadError> {
        let mut by_name: BTreeMap<String, BTreeMap<i32, Version>> = BTreeMap::new();
        for chain in chain_files::load(paths, resources)? {
            let versions = by_name.entry(chain.name.clone()).or_default();
            versions.insert(chain.version, Version::Runnable(chain));
        }
        Ok(Self {
            by_name: RwLock::new(by_name),
            added: watch::Sender::new(0),
        })
    }

    /// Reads chain files again, beside what is known, and gives the versions that are new.
    ///
    /// # Errors
    /// See [`Self::load`]; versions that are known with other content are a problem too. Nothing has changed then.
    pub(crate) fn reload(&self, paths: &[PathBuf], resources: &Resources) -> Result<Vec<Arc<Chain>>, ReloadError> {
        let resources = Resources {
            chains: self.runnable().into_iter().collect(),
            ..resources.clone()
        };
        let mut new = Vec::new();
        for chain in Self::load(paths, &resources)?.runnable() {
            match self.digest(&chain.name, chain.version) {
                None => new.push(chain),
                Some(known) if known == chain.digest => {}
                Some(known) => {
                    return Err(ReloadError::Conflict(Conflict {
                        key: chain.key(),
                        here: chain.digest.clone(),
                        published: known,
                    }));
                }
            }
        }
        Ok(new)
    }

    /// The chain a request names: `name@version`, or `name` for the highest version that this process can run, so that a
    /// process of an older deployment goes on with what it has.
    ///
    /// # Errors
    /// See [`Missing`].
    pub fn find(&self, reference: &str) -> Result<Arc<Chain>, Missing> {
        let malformed = Missing::Malformed {
            reference: reference.to_owned(),
        };
        let unknown = || Missing::Unknown {
            reference: reference.to_owned(),
        };
        let ChainReference { name, version } = ChainReference::parse(reference).ok_or(malformed)?;
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let versions = by_name.get(name).ok_or_else(unknown)?;
        let found = match version {
            Some(version) => versions.get_key_value(&version),
            None => {
                let runnable = versions
                    .iter()
                    .rev()
                    .find(|(_, version)| matches!(version, Version::Runnable(_)));
                runnable.or_else(|| versions.last_key_value())
            }
        };
        match found.ok_or_else(unknown)? {
            (_, Version::Runnable(chain)) => Ok(Arc::clone(chain)),
            (version, Version::Unusable { problems, .. }) => Err(Missing::Unusable {
                reference: format!("{name}@{version}"),
                problems: Arc::clone(problems),
            }),
        }
    }

    /// Adds a published version unless it is known.
    ///
    /// # Errors
    /// When it is known with other content; that stays.
    pub fn learn(&self, published: &schemas::ChainRecord, resources: &Resources) -> Result<(), Conflict> {
        let key = format!("{}@{}", published.name, published.version);
        if let Some(here) = self.digest(&published.name, published.version) {
            return match here == published.digest {
                true => Ok(()),
                false => Err(Conflict {
                    key,
                    here,
                    published: published.digest.clone(),
                }),
            };
        }
        let source = Arc::from(published.source.as_str());
        let version = self.read(source, &key, &published.digest, resources);
        if let Version::Unusable { problems, .. } = &version {
            tracing::warn!(
                chain = key,
                problems = problems.len(),
                "published chain cannot run here: {}",
                yaml::listed(problems)
            );
        }
        let usable = matches!(version, Version::Runnable(_));
        self.insert(&published.name, published.version, version);
        metrics::unusable(&key, !usable);
        if usable {
            self.try_again(key, resources);
        }
        self.added.send_modify(|added| *added += 1);
        Ok(())
    }

    /// A tombstone: runs that have begun go on, and what runs it as a step keeps it. A process that has its file publishes it
    /// again when it starts.
    pub(crate) fn withdraw(&self, name: &str, version: i32) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(versions) = by_name.get_mut(name) {
            versions.remove(&version);
            if versions.is_empty() {
                by_name.remove(name);
            }
        }
        metrics::unusable(&format!("{name}@{version}"), false);
    }

    fn read(&self, source: Arc<str>, key: &str, digest: &str, resources: &Resources) -> Version {
        let resources = Resources {
            chains: self.runnable().into_iter().collect(),
            ..resources.clone()
        };
        let mut runs = BTreeSet::new();
        let read = Draft::read(&source, key).and_then(|draft| {
            runs = draft.chains();
            draft.untested().check(&resources)
        });
        match read {
            Ok(chain) => Version::Runnable(Arc::new(chain)),
            Err(problems) => Version::Unusable {
                digest: digest.to_owned(),
                source,
                runs,
                problems: problems.into(),
            },
        }
    }

    fn insert(&self, name: &str, version: i32, content: Version) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.entry(name.to_owned()).or_default().insert(version, content);
    }

    /// Chains are published in any order, also before those that they run.
    fn try_again(&self, came: String, resources: &Resources) {
        let mut came = vec![came];
        while let Some(key) = came.pop() {
            for (name, version, digest, source) in self.waiting_for(&key) {
                let key = format!("{name}@{version}");
                let read = self.read(source, &key, &digest, resources);
                if let Version::Runnable(_) = &read {
                    metrics::unusable(&key, false);
                    came.push(key);
                }
                self.insert(&name, version, read);
            }
        }
    }

    fn waiting_for(&self, key: &str) -> Vec<(String, i32, String, Arc<str>)> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let versions = by_name
            .iter()
            .flat_map(|(name, versions)| versions.iter().map(move |(version, content)| (name, version, content)));
        versions
            .filter_map(|(name, version, content)| match content {
                Version::Unusable {
                    digest, source, runs, ..
                } if runs.contains(key) => Some((name.clone(), *version, digest.clone(), Arc::clone(source))),
                Version::Unusable { .. } | Version::Runnable(_) => None,
            })
            .collect()
    }

    /// Every version that can run, by name and version.
    #[must_use]
    pub fn runnable(&self) -> Vec<Arc<Chain>> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let versions = by_name.values().flat_map(BTreeMap::values);
        versions
            .filter_map(|version| match version {
                Version::Runnable(chain) => Some(Arc::clone(chain)),
                Version::Unusable { .. } => None,
            })
            .collect()
    }

    /// Changes whenever a version was added.
    pub(crate) fn additions(&self) -> watch::Receiver<u64> {
        self.added.subscribe()
    }

    fn digest(&self, name: &str, version: i32) -> Option<String> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        Some(match by_name.get(name)?.get(&version)? {
            Version::Runnable(chain) => chain.digest.clone(),
            Version::Unusable { digest, .. } => digest.clone(),
        })
    }
}
