//! Gets the parts once: Maven fetches what `parts/pom.xml` lists, PostgreSQL is unpacked, a broker's data folder is
//! formatted, and both JVM parts are started once to leave their class data archives.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::java::{Archive, Java};
use super::kafka::Seat;
use super::own::Broker;
use super::registry::Storage;
use super::{PartsError, failed, folder, kafka, port, registry};

const POM: &str = include_str!("../../parts/pom.xml");

/// What is there to start sets from.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub java: Java,
    /// Folder of jars.
    pub kafka: PathBuf,
    /// Contents of a formatted broker's data folder.
    pub format: PathBuf,
    pub logging: PathBuf,
    pub registry: PathBuf,
    /// With `bin/`, `lib/`, `share/` below it.
    pub postgres: PathBuf,
    archives: PathBuf,
}

impl Fetched {
    /// The archive to start `part` with, if an earlier start could leave one.
    pub fn archive(&self, part: &str) -> Archive {
        let path = self.java.archive(&self.archives, part);
        if path.is_file() {
            Archive::Use(path)
        } else {
            Archive::None
        }
    }
}

/// Quick when everything is there. Processes that want it at the same time wait for one of them.
pub async fn fetch() -> Result<Fetched, PartsError> {
    let root = folder::create(&folder::root())?;
    let java = Java::find()?;
    let lock_path = root.join("parts.lock");
    let lock = File::create(&lock_path).map_err(failed("open", &lock_path))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock));
    let _lock = lock
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(failed("lock", &lock_path))?;

    let parts = root.join("parts");
    let fetched = Fetched {
        java,
        kafka: parts.join("kafka"),
        format: parts.join("kafka-format"),
        logging: parts.join("log4j2.properties"),
        registry: parts.join("registry"),
        postgres: folder::enterable(&parts.join("postgres"))?,
        archives: parts.join("archives"),
    };
    // The pom itself is the mark: it is written last, and another pom means to fetch again.
    let mark = parts.join("pom.xml");
    let postgres_there = fetched.postgres.join("bin/postgres").is_file();
    if !postgres_there || fs::read_to_string(&mark).is_ok_and(|pom| pom != POM) || !mark.is_file() {
        fs::remove_dir_all(&parts).map_err(failed("remove", &parts))?;
        folder::create(&fetched.archives)?;
        maven(&root, &parts)?;
        unpack(&parts.join("postgres"), &folder::create(&fetched.postgres)?)?;
        fs::write(&fetched.logging, kafka::LOGGING).map_err(failed("write", &fetched.logging))?;
        let scratch = folder::run("format")?;
        kafka::format(&fetched, &scratch).await?;
        folder::clear(&scratch)?;
        fs::write(&mark, POM).map_err(failed("write", &mark))?;
    }
    train(&fetched).await?;
    Ok(fetched)
}

fn maven(root: &Path, parts: &Path) -> Result<(), PartsError> {
    tracing::info!("fetching Kafka, the schema registry and PostgreSQL with Maven (about 170 MB, once)");
    let pom = root.join("pom.xml");
    fs::write(&pom, POM).map_err(failed("write", &pom))?;
    let said = root.join("maven.log");
    let output = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "package", "--file"])
        .arg(&pom)
        .arg(format!("-Dparts={}", parts.display()))
        .arg(format!("-Dplatform={}", platform()?))
        .stdin(Stdio::null())
        .output()
        .map_err(|source| PartsError::Maven { source })?;
    fs::write(&said, [output.stdout.as_slice(), &output.stderr].concat()).map_err(failed("write", &said))?;
    if output.status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(&said).unwrap_or_default();
    let errors: Vec<&str> = text.lines().filter(|line| line.contains("ERROR")).take(3).collect();
    Err(PartsError::Fetch {
        status: output.status,
        log: said,
        said: errors.join("\n"),
    })
}

/// As the packager of the binaries names it.
fn platform() -> Result<&'static str, PartsError> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Ok("linux-amd64"),
        ("linux", "aarch64") => Ok("linux-arm64v8"),
        ("macos", "x86_64") => Ok("darwin-amd64"),
        ("macos", "aarch64") => Ok("darwin-arm64v8"),
        (os, arch) => Err(PartsError::Platform { os, arch }),
    }
}

/// Maven opens the jar; the archive inside it needs `tar`.
fn unpack(jar: &Path, to: &Path) -> Result<(), PartsError> {
    for entry in fs::read_dir(jar).map_err(failed("list", jar))? {
        let path = entry.map_err(failed("list", jar))?.path();
        if path.extension().is_none_or(|extension| extension != "txz") {
            continue;
        }
        let status = Command::new("tar")
            .arg("-xJf")
            .arg(&path)
            .args(["--no-same-owner", "-C"])
            .arg(to)
            .status();
        let tool = "tar with xz";
        let status = status.map_err(|error| PartsError::Unpack {
            tool,
            status: error.to_string(),
        })?;
        if !status.success() {
            return Err(PartsError::Unpack {
                tool,
                status: status.to_string(),
            });
        }
        fs::remove_file(&path).map_err(failed("remove", &path))?;
    }
    Ok(())
}

/// A start and an orderly stop of each JVM part that has no archive yet. A runtime that cannot write one starts slower.
async fn train(fetched: &Fetched) -> Result<(), PartsError> {
    let kafka_archive = fetched.java.archive(&fetched.archives, "kafka");
    let registry_archive = fetched.java.archive(&fetched.archives, "registry");
    if kafka_archive.exists() && registry_archive.exists() {
        return Ok(());
    }
    tracing::info!("starting Kafka and the registry once, to start them faster later");
    let draft = |path: &Path| Archive::Write(path.with_extension("draft"));
    port::with_others(async || {
        let scratch = folder::run("train")?;
        let (mut broker, _) = kafka::part(
            fetched,
            &scratch,
            &Seat::alone(port::any()?)?,
            &Broker::default(),
            &draft(&kafka_archive),
        )?;
        let (mut registry, _) = registry::part(
            fetched,
            &scratch,
            port::any()?,
            &Storage::Memory,
            &draft(&registry_archive),
        )?;
        tokio::try_join!(broker.start(), registry.start())?;
        tokio::try_join!(broker.stop(), registry.stop())?;
        folder::clear(&scratch)
    })
    .await?;
    for archive in [&kafka_archive, &registry_archive] {
        if let Err(error) = fs::rename(archive.with_extension("draft"), archive) {
            tracing::warn!(archive = %archive.display(), %error, "no class data archive was left; starts stay slow");
        }
    }
    Ok(())
}
