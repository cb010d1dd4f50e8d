//! The supervisor's program, `parts`, beside the program that asks for it in the target folder; built when it is missing
//! or older than its sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use super::{PartsError, failed};

const NAME: &str = "parts";

pub fn supervisor() -> Result<PathBuf, PartsError> {
    let this = std::env::current_exe().map_err(failed("find", "this program"))?;
    if this.file_name().is_some_and(|name| name == NAME) {
        return Ok(this);
    }
    // target/PROFILE/deps/it-1234 or target/PROFILE/millrace
    let mut profile = this.parent().unwrap_or(&this);
    if profile.ends_with("deps") || profile.ends_with("examples") {
        profile = profile.parent().unwrap_or(profile);
    }
    let program = profile.join(NAME);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let newest = ["src", "parts", "Cargo.toml"]
        .iter()
        .filter_map(|name| newest(&sources.join(name)))
        .max();
    if modified(&program) < newest || !program.is_file() {
        build(profile)?;
    }
    Ok(program)
}

fn build(profile: &Path) -> Result<(), PartsError> {
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    command.args(["build", "--quiet", "--package", "testkit", "--bin", NAME]);
    command
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    command.arg("--target-dir").arg(profile.parent().unwrap_or(profile));
    match profile.file_name().map(|name| name.to_string_lossy()) {
        Some(name) if name != "debug" => command.arg("--profile").arg(&*name),
        Some(_) | None => &mut command,
    };
    let outcome = command.status();
    let status = match outcome {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    Err(PartsError::Build {
        command: format!("{command:?}"),
        status,
    })
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
