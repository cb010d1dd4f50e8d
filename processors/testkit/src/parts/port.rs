//! Ports of loopback for programs that must be told theirs before they bind it.
//!
//! Between the choice and the bind a port belongs to nobody, so two test runs on one machine chose the same one. Hence a
//! lease: a lock on a file of the port's number, in a folder that all processes of the machine share, held until the
//! process that chose it has ended, however it ends. Not port 0 and the part's own word for what it got: a broker must
//! name its port in what it advertises, and a part that is killed comes back at its old address. A stranger knows nothing of
//! leases: whatever starts parts does so in [`with_others`].

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use super::PartsError;
use crate::ProcessError;

/// Below the range that systems take the ports of outgoing connections from, so that none of those gets in between.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
/// Anybody may make and lock files there, as in the temporary folder itself.
const FOR_ALL: u32 = 0o1777;

/// What this process has leased.
static LEASED: Mutex<BTreeMap<u16, File>> = Mutex::new(BTreeMap::new());

/// A port that nobody listens on and nobody else of this machine chooses while this process lives.
pub fn any() -> Result<u16, PartsError> {
    (0..1_000)
        .map(|_| rand::random_range(RANGE))
        .find(|port| lease(*port) == Lease::Taken && is_free(*port))
        .ok_or(PartsError::NoPort)
}

/// `wanted`, if it is free, or any.
pub fn preferably(wanted: u16) -> Result<u16, PartsError> {
    if lease(wanted) != Lease::OfAnother && is_free(wanted) {
        return Ok(wanted);
    }
    any()
}

/// `wanted` and no other, or any.
pub fn choose(part: &'static str, wanted: Option<u16>, variable: &'static str) -> Result<u16, PartsError> {
    match wanted {
        Some(port) if lease(port) != Lease::OfAnother && is_free(port) => Ok(port),
        Some(port) => Err(PartsError::PortTaken { part, port, variable }),
        None => any(),
    }
}

/// Starts what asks for ports, and once more with others when one of them was taken between its choice and its bind.
pub async fn with_others<T>(mut start: impl AsyncFnMut() -> Result<T, PartsError>) -> Result<T, PartsError> {
    const TRIES: usize = 3;
    for _ in 1..TRIES {
        match start().await {
            Err(error) if found_taken(&error) => {
                tracing::warn!(%error, "somebody took a port first; another try with others");
            }
            outcome => return outcome,
        }
    }
    start().await
}

/// By what the part that ended for it has said.
fn found_taken(error: &PartsError) -> bool {
    let PartsError::Process(ProcessError::Ended { log, .. }) = error else {
        return false;
    };
    let said = fs::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    // of the JVM and PostgreSQL; of Quarkus
    ["Address already in use", "seems to be in use"]
        .iter()
        .any(|taken| said.contains(taken))
}

#[derive(Debug, PartialEq, Eq)]
enum Lease {
    Taken,
    /// This process has it from before.
    Held,
    OfAnother,
}

fn lease(port: u16) -> Lease {
    let mut leased = LEASED.lock().unwrap_or_else(PoisonError::into_inner);
    if leased.contains_key(&port) {
        return Lease::Held;
    }
    // A file that cannot be opened or locked for whatever reason is a port that is not to be had.
    let Ok(file) = open(port) else { return Lease::OfAnother };
    if file.try_lock().is_err() {
        return Lease::OfAnother;
    }
    leased.insert(port, file);
    Lease::Taken
}

fn open(port: u16) -> io::Result<File> {
    let folder = folder();
    if !folder.is_dir() {
        fs::create_dir_all(&folder)?;
        // Another user may have made it at the same moment, with the same rights.
        let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(FOR_ALL));
    }
    let path = folder.join(port.to_string());
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o666)
        .open(path)
}

fn folder() -> PathBuf {
    std::env::temp_dir().join("millrace-ports")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_though_nothing_listens_on_it_yet() {
        let ports: std::collections::BTreeSet<u16> = (0..500).map(|_| any().unwrap()).collect();
        assert_eq!(ports.len(), 500);
        let one = *ports.first().unwrap();
        assert_eq!(preferably(one).unwrap(), one, "it is this process's own");
        let other = open(one).unwrap();
        assert!(other.try_lock().is_err(), "whoever asks from outside does not get it");
    }

    #[tokio::test]
    async fn who_finds_a_port_taken_tries_others_and_who_ends_for_another_reason_does_not() {
        let logs = tempfile::tempdir().unwrap();
        let tries = async |says: &str| {
            let mut tries = 0;
            let outcome = with_others(async || {
                tries += 1;
                let port = any()?;
                if tries < 3 {
                    let log = logs.path().join(port.to_string());
                    let program = crate::Launch::new("part", "sh", log).args(["-c", &format!("echo {says}; exit 1")]);
                    program.start()?.succeeded(std::time::Duration::from_secs(60)).await?;
                }
                Ok(port)
            });
            let outcome = outcome.await;
            (tries, outcome)
        };
        for says in [
            "java.net.BindException: Address already in use",
            "Port 20123 seems to be in use by another process",
        ] {
            let (tries, outcome) = tries(says).await;
            assert_eq!((tries, outcome.is_ok()), (3, true), "{says}");
        }
        let (tries, outcome) = tries("no space left").await;
        assert_eq!((tries, outcome.is_err()), (1, true));
    }

    #[test]
    fn a_port_of_another_process_is_passed_over() {
        let port = any().unwrap();
        let elsewhere = LEASED.lock().unwrap().remove(&port).unwrap();
        assert!(matches!(
            choose("it", Some(port), "PORT"),
            Err(PartsError::PortTaken { .. })
        ));
        assert_ne!(preferably(port).unwrap(), port);
        drop(elsewhere);
        assert_eq!(choose("it", Some(port), "PORT").unwrap(), port);
    }
}
