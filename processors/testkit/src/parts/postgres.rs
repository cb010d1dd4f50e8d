//! PostgreSQL on loopback TCP. It refuses to run as root; then it runs as `nobody`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use sqlx::{ConnectOptions, Connection, Executor};

use super::fetch::Fetched;
use super::part::{Part, Probe, READY_WITHIN};
use super::{PartsError, failed, folder};
use crate::{Launch, User};

/// Tests that run in parallel, with a pool each.
const CONNECTIONS: u32 = 300;

/// Creates the data folder and says how to start the server in it. `durable`: acknowledged means on disk.
pub async fn part(fetched: &Fetched, run: &Path, port: u16, durable: bool) -> Result<(Part, String), PartsError> {
    let user = user()?;
    let data = folder::create(&folder::enterable(run)?.join("postgres"))?;
    let bin = fetched.postgres.join("bin");
    if let Some(user) = user {
        chown(&data, Some(user.uid), Some(user.gid)).map_err(failed("change the owner of", &data))?;
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).map_err(failed("change the rights of", &data))?;

    let mut initdb = Launch::new("initdb", bin.join("initdb"), run.join("postgres.log"))
        .args([
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
            "--no-instructions",
        ])
        .args(["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"])
        .args(["-D".as_ref(), data.as_os_str()])
        .folder(&data)
        .run_as(user)
        .start()?;
    initdb.succeeded(READY_WITHIN).await?;

    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        format!("max_connections={CONNECTIONS}"),
        "shared_buffers=64MB".to_owned(),
        "jit=off".to_owned(),
    ];
    if !durable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(str::to_owned));
    }
    let launch = Launch::new("postgres", bin.join("postgres"), run.join("postgres.log"))
        .args(["-D".as_ref(), data.as_os_str()])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .folder(&data)
        .run_as(user);
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    Ok((Part::new(launch, Probe::Postgres { url: url.clone() }), url))
}

pub async fn answers(url: &str) -> bool {
    execute(url, "SELECT 1").await.is_ok()
}

/// One statement on a connection of its own.
pub async fn execute(url: &str, statement: &str) -> Result<(), sqlx::Error> {
    let options: sqlx::postgres::PgConnectOptions = url.parse()?;
    let mut connection = options.disable_statement_logging().connect().await?;
    connection.execute(sqlx::AssertSqlSafe(statement.to_owned())).await?;
    connection.close().await
}

fn user() -> Result<Option<User>, PartsError> {
    if !folder::is_root() {
        return Ok(None);
    }
    let id = |flag: &str| {
        let output = Command::new("id").args([flag, "nobody"]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    match (id("-u"), id("-g")) {
        (Some(uid), Some(gid)) => Ok(Some(User { uid, gid })),
        _ => Err(PartsError::NoUser),
    }
}
