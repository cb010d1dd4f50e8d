//! The Java runtime and how it starts quickly: class data archives, the serial collector, and only the first compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::PartsError;

const NEEDED: u32 = 17;

/// The `java` on the path (or of `JAVA_HOME`) and its version, as it prints it.
#[derive(Debug, Clone)]
pub struct Java {
    pub program: PathBuf,
    version: String,
}

/// What a JVM part may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heap {
    pub megabytes: u32,
    /// Both compilers: slower to start, faster to run.
    pub optimise: bool,
}

/// Class data that an earlier start left behind: halves the time to start.
#[derive(Debug, Clone)]
pub enum Archive {
    Use(PathBuf),
    Write(PathBuf),
    None,
}

impl Java {
    pub fn find() -> Result<Self, PartsError> {
        let program = match std::env::var_os("JAVA_HOME") {
            Some(home) => Path::new(&home).join("bin/java"),
            None => PathBuf::from("java"),
        };
        let output = Command::new(&program).arg("-version").output();
        let output = output.map_err(|error| PartsError::Java {
            found: format!("{} says: {error}", program.display()),
        })?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // openjdk version "17.0.15" 2025-04-15
        let version = said.split('"').nth(1).unwrap_or_default().to_owned();
        let major = version
            .split(['.', '-', '+'])
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        match major {
            Some(major) if major >= NEEDED => Ok(Self { program, version }),
            Some(_) => Err(PartsError::Java {
                found: format!("found {version}"),
            }),
            None => Err(PartsError::Java {
                found: format!("{} -version says: {}", program.display(), said.trim()),
            }),
        }
    }

    /// Archives fit one version of the runtime only.
    pub fn archive(&self, folder: &Path, part: &str) -> PathBuf {
        folder.join(format!("{part}-java-{}.jsa", self.version))
    }
}

impl Heap {
    pub fn flags(self, archive: &Archive) -> Vec<String> {
        let mut flags = vec![
            format!("-Xmx{}m", self.megabytes),
            "-XX:+UseSerialGC".to_owned(),
            // it would leave files in the system's temporary folder
            "-XX:-UsePerfData".to_owned(),
        ];
        if !self.optimise {
            flags.push("-XX:TieredStopAtLevel=1".to_owned());
        }
        match archive {
            Archive::Use(path) => {
                flags.push(format!("-XX:SharedArchiveFile={}", path.display()));
                flags.push("-Xshare:auto".to_owned());
            }
            Archive::Write(path) => flags.push(format!("-XX:ArchiveClassesAtExit={}", path.display())),
            Archive::None => {}
        }
        flags
    }
}
