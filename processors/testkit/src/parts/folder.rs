//! Where the parts live: `.millrace/` at the root of the checkout, ignored by git.
//!
//! `parts/` is what Maven fetched and what was prepared from it, `run/NAME-PID-N/` is one running set: data and logs.
//! The data goes when the set ends, the logs stay for a day.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, getuid, test_kill_process};

use super::{PartsError, failed};

const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// `PARTS_FOLDER` overrides it.
pub fn root() -> PathBuf {
    match std::env::var_os("PARTS_FOLDER") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.millrace"),
    }
}

pub fn create(path: &Path) -> Result<PathBuf, PartsError> {
    fs::create_dir_all(path).map_err(failed("create", path))?;
    path.canonicalize().map_err(failed("find", path))
}

/// A fresh folder for one set. Also clears what ended sets left behind.
pub fn run(name: &str) -> Result<PathBuf, PartsError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let runs = create(&root().join("run"))?;
    sweep(&runs)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    create(&runs.join(format!("{name}-{}-{number}", std::process::id())))
}

/// Everything below `from`.
pub fn copy(from: &Path, to: &Path) -> Result<(), PartsError> {
    for entry in fs::read_dir(from).map_err(failed("list", from))? {
        let entry = entry.map_err(failed("list", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &create(&target)?)?;
        } else {
            fs::copy(&source, &target).map_err(failed("copy", &source))?;
        }
    }
    Ok(())
}

/// Removes the data of a set and keeps its logs.
pub fn clear(run: &Path) -> Result<(), PartsError> {
    for entry in fs::read_dir(run).map_err(failed("list", run))? {
        let path = entry.map_err(failed("list", run))?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
        }
    }
    let outside = outside(run);
    if outside.is_dir() {
        fs::remove_dir_all(&outside).map_err(failed("remove", &outside))?;
    }
    Ok(())
}

fn sweep(runs: &Path) -> Result<(), PartsError> {
    for entry in fs::read_dir(runs).map_err(failed("list", runs))? {
        let path = entry.map_err(failed("list", runs))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let owner = name
            .rsplit('-')
            .nth(1)
            .and_then(|pid| pid.parse().ok())
            .and_then(Pid::from_raw);
        if owner.is_none_or(|pid| test_kill_process(pid).is_ok()) {
            continue;
        }
        // another process may sweep the same folder at the same time
        let _ = clear(&path);
        let age = fs::metadata(&path)
            .and_then(|about| about.modified())
            .ok()
            .and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > KEPT) {
            let _ = fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

pub fn is_root() -> bool {
    getuid().is_root()
}

/// A folder in which an ordinary user can reach what it owns: `folder`, or for root, when a parent (often `/root`) lets
/// only its owner in, one under the temporary folder.
pub fn enterable(folder: &Path) -> Result<PathBuf, PartsError> {
    const OTHERS_ENTER: u32 = 0o001;
    let folder = create(folder)?;
    let open = |parent: &Path| fs::metadata(parent).is_ok_and(|about| about.mode() & OTHERS_ENTER == OTHERS_ENTER);
    if !is_root() || folder.ancestors().all(open) {
        return Ok(folder);
    }
    let outside = create(&outside(&folder))?;
    let owner = fs::metadata(&outside).map_err(failed("look at", &outside))?.uid();
    if owner != getuid().as_raw() {
        // anyone may have made it, and programs are started from it
        return Err(failed("trust", outside)(io::ErrorKind::PermissionDenied.into()));
    }
    Ok(outside)
}

fn outside(folder: &Path) -> PathBuf {
    let flat = folder.to_string_lossy().replace('/', "-");
    std::env::temp_dir().join(format!("millrace{flat}"))
}
