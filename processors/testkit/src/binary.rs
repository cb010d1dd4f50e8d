//! This crate's other programs, beside the one that asks in the target folder; built when missing or older than their
//! sources.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::SystemTime;

#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    #[error("cannot find the running program")]
    This { source: io::Error },
    #[error("cannot start `{command}`")]
    Cargo { command: String, source: io::Error },
    #[error("`{command}` failed ({status})")]
    Build { command: String, status: ExitStatus },
}

/// `parts` or `scripted-model`. Takes as long as a build the first time.
pub fn binary(name: &str) -> Result<PathBuf, BinaryError> {
    let this = this()?;
    if this.file_name().is_some_and(|own| own == name) {
        return Ok(this);
    }
    let program = profile(&this).join(name);
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program_source = format!("src/bin/{name}.rs");
    let sources = [
        "Cargo.toml",
        "parts",
        "src/parts",
        "src/process.rs",
        "src/scripted",
        &program_source,
    ];
    let newest = sources.iter().filter_map(|source| newest(&package.join(source))).max();
    if modified(&program) < newest || !program.is_file() {
        return build("testkit", name);
    }
    Ok(program)
}

/// A program of any package of this workspace, as new as its sources: asks Cargo, which takes its time.
pub fn build(package: &str, name: &str) -> Result<PathBuf, BinaryError> {
    build_with(package, name, "")
}

/// The same with these features, separated by commas. The next build without them replaces it: whoever needs it longer
/// copies it.
pub fn build_with(package: &str, name: &str, features: &str) -> Result<PathBuf, BinaryError> {
    let this = this()?;
    let profile = profile(&this);
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    command.args(["build", "--quiet", "--package", package, "--bin", name]);
    if !features.is_empty() {
        command.args(["--features", features]);
    }
    command
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    command.arg("--target-dir").arg(profile.parent().unwrap_or(profile));
    match profile.file_name().map(|name| name.to_string_lossy()) {
        Some(name) if name != "debug" => command.arg("--profile").arg(&*name),
        Some(_) | None => &mut command,
    };
    let said = format!("{command:?}");
    match command.status() {
        Ok(status) if status.success() => Ok(profile.join(name)),
        Ok(status) => Err(BinaryError::Build { command: said, status }),
        Err(source) => Err(BinaryError::Cargo { command: said, source }),
    }
}

fn this() -> Result<PathBuf, BinaryError> {
    std::env::current_exe().map_err(|source| BinaryError::This { source })
}

/// The folder of target/PROFILE/deps/it-1234 or target/PROFILE/bench that is named for the profile.
fn profile(program: &Path) -> &Path {
    let folder = program.parent().unwrap_or(program);
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    }
}

fn newest(path: &Path) -> Option<SystemTime> {
    let Ok(entries) = fs::read_dir(path) else {
        return modified(path);
    };
    entries.filter_map(|entry| newest(&entry.ok()?.path())).max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}
