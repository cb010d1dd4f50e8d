//! Pinecone's own Python clients, an old and a new one, take the twin for Pinecone.

use std::{path::Path, process::Command};

use testkit::{Launch, parts, python, until};

use crate::world::{SOON, get, repository};

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_today_is_content() {
    passes("requirements.txt").await;
}

/// What langchain-pinecone pins.
#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_langchain_is_content() {
    passes("requirements-7.txt").await;
}

async fn passes(requirements: &str) {
    let tests = repository().join("processors/retrieval/python");
    let python = python::environment(&tests.join(requirements)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", parts::free_port().unwrap());
    let _twin = twin(&address, folder.path());
    let url = format!("http://{address}");
    until(SOON, async || get(&url).await.ok().map(drop)).await.unwrap();
    let output = Command::new(python)
        .args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"])
        .arg(&tests)
        .env("TWIN_URL", &url)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn twin(address: &str, folder: &Path) -> testkit::Process {
    Launch::new("twin", env!("CARGO_BIN_EXE_millrace"), folder.join("twin.log"))
        .args(["pinecone", "--listen", address, "--data"])
        .args([folder.join("data")])
        .start()
        .unwrap()
}
