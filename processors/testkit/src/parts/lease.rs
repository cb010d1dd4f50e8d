//! Finding the shared set, starting its supervisor when there is none, and holding it up.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::supervisor::{DOWN, Found, Greeting, hello};
use super::{Parts, PartsError, failed, folder};
use crate::{binary, until};

/// Which shared set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Slot {
    /// Of the tests: free ports, ends by itself.
    Tests,
    /// Of a person at the keyboard: known ports, stays until `parts down`.
    Up,
}

/// Keeps the shared set up until it is dropped.
#[derive(Debug)]
pub struct Lease {
    pub parts: Parts,
    // Of the standard library, because it outlives the runtime of the test that happened to come first.
    _connection: std::net::TcpStream,
}

/// The set that all tests of a run share. It is held until this test binary ends.
///
/// # Panics
/// With the reason when the set cannot be started: no test that asks for it can go on.
#[expect(
    clippy::panic,
    reason = "a test that needs the parts fails without them, and says why"
)]
pub async fn parts() -> &'static Parts {
    static SHARED: OnceCell<Lease> = OnceCell::const_new();
    match SHARED.get_or_try_init(|| lease(Slot::Tests, &[])).await {
        Ok(lease) => &lease.parts,
        Err(error) => panic!("the parts are not up: {}", super::describe(&error)),
    }
}

/// Takes a lease on a set, which is started first, with `args` for its supervisor, when there is none.
pub async fn lease(slot: Slot, args: &[String]) -> Result<Lease, PartsError> {
    const TRIES: usize = 3;
    for _ in 0..TRIES {
        let connection = {
            let _lock = slot.lock().await?;
            match connect(slot).await {
                Some(connection) => Some(connection),
                None => {
                    start_supervisor(slot, args).await?;
                    connect(slot).await
                }
            }
        };
        // without a greeting the supervisor ended at this moment: its last lease had just been given back
        if let Some(lease) = greeted(connection).await? {
            return Ok(lease);
        }
    }
    Err(PartsError::Supervisor { log: slot.log() })
}

/// Where the set answers, if there is one. Waits while it starts.
pub async fn status(slot: Slot) -> Result<Option<Parts>, PartsError> {
    Ok(greeted(connect(slot).await).await?.map(|lease| lease.parts))
}

/// Ends the set; false if there was none. Returns when it is gone.
pub async fn down(slot: Slot) -> Result<bool, PartsError> {
    let Some(mut connection) = connect(slot).await else {
        return Ok(false);
    };
    let said = connection.write_all(format!("{DOWN}\n").as_bytes()).await;
    if said.is_ok() {
        let mut rest = Vec::new();
        // the connection ends with the supervisor's process; how makes no difference
        let _ = connection.read_to_end(&mut rest).await;
    }
    Ok(true)
}

/// A connection on which a supervisor has said hello.
async fn connect(slot: Slot) -> Option<BufReader<TcpStream>> {
    const AT_ONCE: Duration = Duration::from_secs(30);
    let found = Slot::read(&slot.state())?;
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, found.port)).await.ok()?;
    let mut connection = BufReader::new(socket);
    let mut line = String::new();
    timeout(AT_ONCE, connection.read_line(&mut line)).await.ok()?.ok()?;
    (line.trim_end() == hello(found.pid)).then_some(connection)
}

async fn greeted(connection: Option<BufReader<TcpStream>>) -> Result<Option<Lease>, PartsError> {
    let Some(mut connection) = connection else {
        return Ok(None);
    };
    let mut line = String::new();
    if connection.read_line(&mut line).await.is_err() {
        return Ok(None);
    }
    let Ok(greeting) = serde_json::from_str::<Greeting>(&line) else {
        return Ok(None);
    };
    let parts = greeting.map_err(PartsError::Start)?;
    let connection = connection
        .into_inner()
        .into_std()
        .map_err(failed("hold", "the lease"))?;
    Ok(Some(Lease {
        parts,
        _connection: connection,
    }))
}

async fn start_supervisor(slot: Slot, args: &[String]) -> Result<(), PartsError> {
    const BOUND_WITHIN: Duration = Duration::from_secs(120);
    let program = tokio::task::spawn_blocking(|| binary("parts"))
        .await
        .map_err(|_| PartsError::Supervisor { log: slot.log() })??;
    let log = File::create(slot.log()).map_err(failed("write", slot.log()))?;
    let errors = log.try_clone().map_err(failed("write", slot.log()))?;
    let mut supervisor = Command::new(&program)
        .args(["supervise", "--slot", slot.name()])
        .args(args)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // a Ctrl-C in the terminal of a test is not for it: it ends with the last lease
        .process_group(0)
        .spawn()
        .map_err(failed("start", &program))?;
    let pid = supervisor.id();
    let bound = until(BOUND_WITHIN, async || {
        let announced = Slot::read(&slot.state()).is_some_and(|found| found.pid == pid);
        let ended = supervisor.try_wait().is_ok_and(|status| status.is_some());
        (announced || ended).then_some(announced)
    });
    match bound.await {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(PartsError::Supervisor { log: slot.log() }),
    }
}

impl Slot {
    fn name(self) -> &'static str {
        match self {
            Self::Tests => "tests",
            Self::Up => "up",
        }
    }

    pub(super) fn state(self) -> PathBuf {
        folder::root().join(format!("{}.json", self.name()))
    }

    pub fn log(self) -> PathBuf {
        folder::root().join(format!("{}.log", self.name()))
    }

    pub(super) fn read(state: &Path) -> Option<Found> {
        serde_json::from_slice(&fs::read(state).ok()?).ok()
    }

    /// Held while looking for a supervisor and starting one, so that two who come at the same time share one.
    pub(super) async fn lock(self) -> Result<File, PartsError> {
        let path = folder::create(&folder::root())?.join(format!("{}.lock", self.name()));
        let file = File::create(&path).map_err(failed("open", &path))?;
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        locked
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(failed("lock", path))
    }
}
