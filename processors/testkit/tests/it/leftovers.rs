//! Nothing that a test started outlives it for long, however it ended.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::{Launch, Parts, Process, Signal, parts, until};

/// A set gets so long to come up, and to go.
const UP: Duration = Duration::from_secs(240);
const SOON: Duration = Duration::from_secs(120);
const PARTS: &str = env!("CARGO_BIN_EXE_parts");

#[tokio::test]
async fn after_a_kill_of_the_last_holder_no_process_and_no_port_is_left() {
    let home = home().await;
    let holder = hold(home.path());
    let (supervisor, children, set) = up(home.path()).await;
    holder.kill().unwrap();
    gone(&[vec![supervisor], children].concat(), &set, SOON).await;
}

#[tokio::test]
async fn after_a_kill_of_the_supervisor_its_parts_die_even_when_they_are_stopped() {
    let home = home().await;
    let _holder = hold(home.path());
    let (supervisor, children, set) = up(home.path()).await;
    for pid in &children {
        signal(*pid, Signal::STOP);
    }
    signal(supervisor, Signal::KILL);
    gone(&children, &set, SOON).await;
}

/// A state folder of its own over the parts that are fetched already.
async fn home() -> tempfile::TempDir {
    parts().await;
    let home = tempfile::tempdir().unwrap();
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../.millrace/parts")
        .canonicalize()
        .unwrap();
    symlink(fetched, home.path().join("parts")).unwrap();
    home
}

fn hold(home: &Path) -> Process {
    let launch = Launch::new("holder", PARTS, home.join("holder.log"));
    launch
        .args(["with", "sleep", "600"])
        .env("PARTS_FOLDER", home)
        .start()
        .unwrap()
}

/// The supervisor, its children, and where they answer.
async fn up(home: &Path) -> (i32, Vec<i32>, Parts) {
    let log = home.join("tests.log");
    let ready = until(UP, async || {
        std::fs::read_to_string(&log)
            .is_ok_and(|log| log.contains("parts are up"))
            .then_some(())
    });
    ready.await.unwrap();
    let state: Value = serde_json::from_slice(&std::fs::read(home.join("tests.json")).unwrap()).unwrap();
    let supervisor = i32::try_from(state["pid"].as_i64().unwrap()).unwrap();
    let children = Command::new("pgrep")
        .args(["-P", &supervisor.to_string()])
        .output()
        .unwrap();
    let children: Vec<i32> = String::from_utf8(children.stdout)
        .unwrap()
        .lines()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert_eq!(children.len(), 3, "Kafka, registry, PostgreSQL");
    let said = Command::new(PARTS)
        .arg("status")
        .env("PARTS_FOLDER", home)
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let address = |name: &str| {
        said.lines()
            .find_map(|line| line.trim().strip_prefix(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    let set = Parts {
        bootstrap: address("Kafka"),
        registry_url: address("registry"),
        postgres_url: address("PostgreSQL"),
    };
    (supervisor, children, set)
}

async fn gone(pids: &[i32], set: &Parts, within: Duration) {
    let ports = [&set.bootstrap, &set.registry_url, &set.postgres_url].map(|address| crate::parts::port(address));
    let mut left = Vec::new();
    let gone = until(within, async || {
        let running = pids
            .iter()
            .filter(|pid| runs(**pid))
            .map(|pid| format!("process {pid}"));
        let bound = ports
            .iter()
            .filter(|port| TcpListener::bind(("127.0.0.1", **port)).is_err());
        left = running.chain(bound.map(|port| format!("port {port}"))).collect();
        left.is_empty().then_some(())
    });
    assert!(gone.await.is_ok(), "left after {within:?}: {left:?}");
}

/// A zombie has ended; that its parent did not look yet is another matter.
fn runs(pid: i32) -> bool {
    let state = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8(state.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

fn signal(pid: i32, signal: Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}
