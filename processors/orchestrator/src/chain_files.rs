//! Chain files: which there are, and the order in which they can be checked, because a chain may run others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::chain::{Chain, Draft, Position, Problem, Resources};

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

/// See [`crate::Chains::load`].
pub(crate) fn load(paths: &[PathBuf], resources: &Resources) -> Result<Vec<Arc<Chain>>, LoadError> {
    let mut problems = Vec::new();
    let mut drafts = Vec::new();
    for path in files(paths)? {
        match read(&path) {
            Ok(draft) => drafts.push(draft),
            Err(LoadError::Problems(found)) => problems.extend(found),
            Err(error @ LoadError::Read { .. }) => return Err(error),
        }
    }
    let chains = check(drafts, resources, &mut problems);
    if problems.is_empty() {
        Ok(chains.into_values().collect())
    } else {
        Err(LoadError::Problems(problems))
    }
}

/// Reads one chain file; the chains that it runs are looked for in its folder.
///
/// # Errors
/// It cannot be read, else every mistake in it and in those that it runs.
pub fn load_one(path: &Path, resources: &Resources) -> Result<Arc<Chain>, LoadError> {
    let draft = read(path)?;
    let key = draft.key();
    let mut needed = draft.chains();
    let mut drafts = vec![draft];
    let folder = path.parent().filter(|folder| !needed.is_empty() && folder.is_dir());
    let beside = folder.map_or(Ok(Vec::new()), |folder| files(&[folder.to_owned()]))?;
    // A neighbour that cannot be read matters only to those who run it, and they say that it is not there.
    let beside = beside.iter().filter(|neighbour| *neighbour != path);
    let mut others: Vec<Draft> = beside.filter_map(|path| read(path).ok()).collect();
    while let Some(next) = others
        .iter()
        .position(|other| other.key().is_some_and(|key| needed.remove(&key)))
    {
        let other = others.remove(next);
        needed.extend(other.chains());
        drafts.push(other);
    }
    let mut problems = Vec::new();
    let mut chains = check(drafts, resources, &mut problems);
    match key.and_then(|key| chains.remove(&key)) {
        Some(chain) if problems.is_empty() => Ok(chain),
        Some(_) | None => Err(LoadError::Problems(problems)),
    }
}

fn read(path: &Path) -> Result<Draft, LoadError> {
    let source = fs::read_to_string(path).map_err(|source| LoadError::Read {
        path: path.to_owned(),
        source,
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    Draft::read_in(folder, &source, &path.display().to_string()).map_err(LoadError::Problems)
}

/// Checks each chain after those that it runs.
fn check(mut drafts: Vec<Draft>, resources: &Resources, problems: &mut Vec<Problem>) -> BTreeMap<String, Arc<Chain>> {
    let mut resources = resources.clone();
    let mut checked: BTreeMap<String, Arc<Chain>> = BTreeMap::new();
    while !drafts.is_empty() {
        let open: BTreeSet<String> = drafts.iter().filter_map(Draft::key).collect();
        let is_ready = |draft: &Draft| draft.chains().is_disjoint(&open);
        let next = drafts.iter().position(is_ready).unwrap_or_else(|| {
            // Each of those that are left runs another of them: there is a circle, and some may only lead into it.
            for draft in &drafts {
                let runs: Vec<String> = draft.chains().intersection(&open).cloned().collect();
                let message = format!("chains that run each other: this one runs {}", runs.join(", "));
                let help = "a chain may run only what does not run it";
                draft.problems().add(Position::START, message, help);
                draft.key().into_iter().for_each(|key| resources.chains.add_wrong(key));
            }
            0
        });
        let draft = drafts.remove(next);
        let key = draft.key();
        if let Some(key) = key.as_ref().filter(|key| checked.contains_key(*key)) {
            let help = "change `metadata.name` or `metadata.version`";
            let message = format!("another file is chain `{key}` too");
            draft.problems().add(Position::START, message, help);
        }
        match draft.check(&resources) {
            Ok(chain) => {
                let chain = Arc::new(chain);
                resources.chains.add(Arc::clone(&chain));
                checked.insert(chain.key(), chain);
            }
            Err(found) => {
                problems.extend(found);
                key.into_iter().for_each(|key| resources.chains.add_wrong(key));
            }
        }
    }
    checked
}

/// The chain files there are: those that are named, and those in folders that are.
pub(crate) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, LoadError> {
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

/// The JSON files that chains of a folder may refer to: there, and in folders below it.
pub(crate) fn schemas(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            // A folder that is a link may lead back up.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(_) if path.extension().is_some_and(|extension| extension == "json") => found.push(path),
                Ok(_) | Err(_) => {}
            }
        }
    }
    found
}

fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}
