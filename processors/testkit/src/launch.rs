//! A child never outlives its owner. That is held without platform calls: a shell stands between, forks a watcher that
//! reads a pipe from the owner, and becomes the program. When the owner ends, however it ends, the pipe closes and the
//! watcher kills the group.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Process, ProcessError};

/// How to start a [`Process`]; can be used again for a restart.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    program: OsString,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    log: PathBuf,
    user: Option<User>,
}

/// Numeric user and group of a child, for programs that refuse to run as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// The watcher is forked twice, so that it is not a child of the program. It kills the program's children first:
/// PostgreSQL's leave the group for sessions of their own, and a stopped one would not notice that its parent died.
/// It ignores the hang-up that the kernel sends to an orphaned group with a stopped member.
const WATCHED: &str =
    r#"exec 3<&0 </dev/null; ((trap '' HUP; read -r _ <&3; pkill -KILL -P $$; kill -KILL 0) &); exec "$@" 3<&-"#;

impl Launch {
    /// `log` receives stdout and stderr, appended.
    pub fn new(name: impl Into<String>, program: impl Into<OsString>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            envs: Vec::new(),
            folder: None,
            log: log.into(),
            user: None,
        }
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    pub fn run_as(mut self, user: Option<User>) -> Self {
        self.user = user;
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    pub fn start(&self) -> Result<Process, ProcessError> {
        let log_error = |source| ProcessError::Log {
            path: self.log.clone(),
            source,
        };
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(log_error)?;
        let errors = log.try_clone().map_err(log_error)?;
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(WATCHED)
            .arg(&self.name)
            .arg(&self.program)
            .args(&self.args);
        command.envs(self.envs.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        let start_error = |source| ProcessError::Start {
            name: self.name.clone(),
            program: self.program.clone(),
            source,
        };
        let mut child = command.spawn().map_err(start_error)?;
        let lifeline = child
            .stdin
            .take()
            .ok_or_else(|| start_error(io::ErrorKind::BrokenPipe.into()))?;
        Ok(Process::new(self.name.clone(), child, lifeline, self.log.clone()))
    }
}
