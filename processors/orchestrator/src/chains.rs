//! The chains this process can run: those of its files, and those that others published.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::watch;

use crate::chain::{Chain, Problem, Resources};

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
    /// Published by a process that has models or indexes which this one lacks.
    Unusable {
        digest: String,
        problems: Arc<[Problem]>,
    },
}

/// Why files are no chains.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read {}; `chains` of the configuration (MILLRACE_CHAINS) names the folder of the chain files", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}", yaml::listed(.0))]
    Problems(Vec<Problem>),
}

/// Why there is no chain to run for a request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Missing {
    #[error("`{reference}` is not a chain: write <name> or <name>@<version>")]
    Malformed { reference: String },
    #[error("there is no chain `{reference}`")]
    Unknown { reference: String },
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

impl Chains {
    /// Reads chain files; a folder stands for its `*.yaml` and `*.yml`.
    ///
    /// # Errors
    /// The first file that cannot be read, else every mistake of every file.
    pub fn load(paths: &[PathBuf], resources: &Resources) -> Result<Self, LoadError> {
        let mut problems = Vec::new();
        let mut by_name: BTreeMap<String, BTreeMap<i32, Version>> = BTreeMap::new();
        for path in files(paths)? {
            let source = fs::read_to_string(&path).map_err(|source| LoadError::Read {
                path: path.clone(),
                source,
            })?;
            let file = path.display().to_string();
            match Chain::read(&source, &file, resources) {
                Ok(chain) => match by_name.entry(chain.name.clone()).or_default().entry(chain.version) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(Version::Runnable(Arc::new(chain)));
                    }
                    Entry::Occupied(_) => problems.push(Problem {
                        file,
                        position: Default::default(),
                        message: format!("another file is chain `{}` too", chain.key()),
                        help: Some("change `metadata.name` or `metadata.version`".to_owned()),
                    }),
                },
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() {
            Ok(Self {
                by_name: RwLock::new(by_name),
                added: watch::Sender::new(0),
            })
        } else {
            Err(LoadError::Problems(problems))
        }
    }

    /// The chain a request names: `name@version`, or `name` for the highest version that this process can run, so that a
    /// process of an older deployment goes on with what it has.
    ///
    /// # Errors
    /// See [`Missing`].
    pub fn find(&self, reference: &str) -> Result<Arc<Chain>, Missing> {
        let malformed = || Missing::Malformed {
            reference: reference.to_owned(),
        };
        let unknown = || Missing::Unknown {
            reference: reference.to_owned(),
        };
        let (name, version) = match reference.split_once('@') {
            Some((name, version)) => (name, Some(version.parse::<i32>().map_err(|_| malformed())?)),
            None => (reference, None),
        };
        if name.is_empty() {
            return Err(malformed());
        }
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let versions = by_name.get(name).ok_or_else(unknown)?;
        let found = match version {
            Some(version) => versions.get(&version),
            None => {
                let runnable = versions
                    .values()
                    .rev()
                    .find(|version| matches!(version, Version::Runnable(_)));
                runnable.or_else(|| versions.values().next_back())
            }
        };
        match found.ok_or_else(unknown)? {
            Version::Runnable(chain) => Ok(Arc::clone(chain)),
            Version::Unusable { problems, .. } => Err(Missing::Unusable {
                reference: reference.to_owned(),
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
        let version = match Chain::read(&published.source, &key, resources) {
            Ok(chain) => Version::Runnable(Arc::new(chain)),
            Err(problems) => {
                tracing::warn!(
                    chain = key,
                    problems = problems.len(),
                    "published chain cannot run here: {}",
                    yaml::listed(&problems)
                );
                Version::Unusable {
                    digest: published.digest.clone(),
                    problems: problems.into(),
                }
            }
        };
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name
            .entry(published.name.clone())
            .or_default()
            .insert(published.version, version);
        drop(by_name);
        self.added.send_modify(|added| *added += 1);
        Ok(())
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

fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, LoadError> {
    let mut files = Vec::new();
    for path in paths {
        let unreadable = |source| LoadError::Read {
            path: path.clone(),
            source,
        };
        if !fs::metadata(path).map_err(unreadable)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
            .map_err(unreadable)?;
        inside.retain(|path| is_yaml(path));
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}
