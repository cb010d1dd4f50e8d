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
    let this = std::env::current_exe().map_err(|source| BinaryError::This { source })?;
    if this.file_name().is_some_and(|own| own == name) {
        return Ok(this);
    }
    // target/PROFILE/deps/it-1234 or target/PROFILE/millrace
    let mut profile = this.parent().unwrap_or(&this);
    if profile.ends_with("deps") || profile.ends_with("examples") {
        profile = profile.parent().unwrap_or(profile);
    }
    let program = profile.join(name);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let newest = ["src", "parts", "Cargo.toml"]
        .iter()
        .filter_map(|name| newest(&sources.join(name)))
        .max();
    if modified(&program) < newest || !program.is_file() {
        build(profile, name)?;
    }
    Ok(program)
}

fn build(profile: &Path, name: &str) -> Result<(), BinaryError> {
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    command.args(["build", "--quiet", "--package", "testkit", "--bin", name]);
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
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(BinaryError::Build { command: said, status }),
        Err(source) => Err(BinaryError::Cargo { command: said, source }),
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
