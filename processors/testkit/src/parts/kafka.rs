//! A broker that is its own controller (KRaft), on loopback; alone, or one of a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::fetch::Fetched;
use super::java::{Archive, Heap};
use super::own::Broker;
use super::part::{Part, Probe, READY_WITHIN};
use super::{PartsError, failed, folder, port};
use crate::Launch;

pub type Client = BaseConsumer;

/// Any 16 bytes in base64; sets never meet, so their clusters need no identities of their own.
const CLUSTER: &str = "bWlsbHJhY2UtdGVzdGtpdA";

pub const LOGGING: &str = "\
rootLogger.level=INFO
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601}{UTC} %p %c{1} %m%n
";

/// What a broker for one laptop needs to differ from a broker for a rack. `auto.create.topics.enable` is off, as in any
/// production cluster: a misspelt topic must fail here too. After a `kill -9` the controller refuses the same broker until
/// its old session is over (9 s by default).
const PROPERTIES: &str = "\
process.roles=broker,controller
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DOOR:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
num.network.threads=2
num.io.threads=4
background.threads=2
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
log.cleaner.dedupe.buffer.size=2097152
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
";

/// Partitions of the two topics in which coordinators keep groups and transactions.
pub const COORDINATED: i32 = 4;

/// Where a broker sits.
#[derive(Debug, Clone)]
pub struct Seat {
    /// From 1.
    pub id: usize,
    pub port: u16,
    /// Of all nodes of the cluster, in the order of their ids.
    pub controllers: Vec<u16>,
    pub door: Option<Door>,
}

/// A second listener, for clients that come through something in between: where it is, and where it tells them to come.
#[derive(Debug, Clone, Copy)]
pub struct Door {
    pub port: u16,
    pub advertised: u16,
}

impl Seat {
    pub fn alone(port: u16) -> Result<Self, PartsError> {
        let controllers = vec![port::any()?];
        Ok(Self {
            id: 1,
            port,
            controllers,
            door: None,
        })
    }

    fn name(&self) -> String {
        if self.controllers.len() == 1 {
            "kafka".to_owned()
        } else {
            format!("kafka-{}", self.id)
        }
    }
}

pub fn part(
    fetched: &Fetched,
    run: &Path,
    seat: &Seat,
    broker: &Broker,
    archive: &Archive,
) -> Result<(Part, String), PartsError> {
    let name = seat.name();
    let folder = folder::create(&run.join(&name))?;
    let properties = write_properties(&folder, seat, &broker.properties)?;
    let data = folder::create(&folder.join("data"))?;
    folder::copy(&fetched.format, &data)?;
    sign(&data, seat.id)?;
    let launch = Launch::new(&name, &fetched.java.program, run.join(format!("{name}.log")))
        .args(broker.heap().flags(archive))
        .args([format!("-Dlog4j2.configurationFile={}", fetched.logging.display())])
        .args([format!("-Djava.io.tmpdir={}", folder.display())])
        .args(["-cp", &class_path(&fetched.kafka)?, "kafka.Kafka"])
        .args([properties])
        .folder(&folder);
    let bootstrap = format!("127.0.0.1:{}", seat.port);
    Ok((
        Part::new(launch, Probe::Kafka(Arc::new(client(&bootstrap)?))),
        bootstrap,
    ))
}

/// The prepared folder is that of node 1; each other node has its own id, and its folder too.
fn sign(data: &Path, id: usize) -> Result<(), PartsError> {
    if id == 1 {
        return Ok(());
    }
    let path = data.join("meta.properties");
    let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
    let directory = URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4());
    let signed: Vec<String> = text
        .lines()
        .map(|line| match line.split_once('=') {
            Some(("node.id", _)) => format!("node.id={id}"),
            Some(("directory.id", _)) => format!("directory.id={directory}"),
            Some(_) | None => line.to_owned(),
        })
        .collect();
    fs::write(&path, signed.join("\n") + "\n").map_err(failed("write", &path))
}

/// Formats a data folder. It says nothing about ports or paths, so a copy of it serves every set.
pub async fn format(fetched: &Fetched, scratch: &Path) -> Result<(), PartsError> {
    let folder = folder::create(&scratch.join("kafka-format"))?;
    let properties = write_properties(&folder, &Seat::alone(port::any()?)?, &[])?;
    let heap = Heap {
        megabytes: 128,
        optimise: false,
    };
    let mut format = Launch::new("kafka-format", &fetched.java.program, scratch.join("kafka-format.log"))
        .args(heap.flags(&Archive::None))
        .args([format!("-Dlog4j2.configurationFile={}", fetched.logging.display())])
        .args([
            "-cp",
            &class_path(&fetched.kafka)?,
            "kafka.tools.StorageTool",
            "format",
            "-t",
            CLUSTER,
            "-c",
        ])
        .args([properties])
        .start()?;
    format.succeeded(READY_WITHIN).await?;
    let data = folder.join("data");
    fs::rename(&data, &fetched.format).map_err(failed("move", &data))
}

fn write_properties(folder: &Path, seat: &Seat, changed: &[(String, String)]) -> Result<PathBuf, PartsError> {
    let Seat {
        id,
        port,
        controllers,
        door,
    } = seat;
    let voters: Vec<String> = (1..)
        .zip(controllers)
        .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
        .collect();
    let controller = controllers.get(id - 1).copied().unwrap_or_default();
    let replicas = controllers.len();
    let in_sync = replicas.min(2);
    let (mut listeners, mut advertised) = (String::new(), String::new());
    if let Some(door) = door {
        listeners = format!(",DOOR://127.0.0.1:{}", door.port);
        advertised = format!(",DOOR://127.0.0.1:{}", door.advertised);
    }
    let mut text = format!(
        "{PROPERTIES}node.id={id}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}\n\
         controller.quorum.voters={voters}\n\
         default.replication.factor={replicas}\n\
         min.insync.replicas={in_sync}\n\
         offsets.topic.replication.factor={replicas}\n\
         transaction.state.log.replication.factor={replicas}\n\
         transaction.state.log.min.isr={in_sync}\n\
         share.coordinator.state.topic.replication.factor={replicas}\n\
         share.coordinator.state.topic.min.isr={in_sync}\n\
         log.dirs={data}\n",
        voters = voters.join(","),
        data = folder.join("data").display(),
    );
    // of a property that is named twice the last one counts
    for (name, value) in changed {
        text.push_str(&format!("{name}={value}\n"));
    }
    let path = folder.join("server.properties");
    fs::write(&path, text).map_err(failed("write", &path))?;
    Ok(path)
}

/// Explicit and sorted: class data archives refuse wildcards and another order.
fn class_path(jars: &Path) -> Result<String, PartsError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(jars).map_err(failed("list", jars))? {
        paths.push(entry.map_err(failed("list", jars))?.path().display().to_string());
    }
    paths.sort();
    Ok(paths.join(":"))
}

fn client(bootstrap: &str) -> Result<Client, PartsError> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "100")
        .create()
        .map_err(|source| PartsError::Client { source })
}

/// True once the broker lists itself: it is registered with its controller and no longer fenced.
pub async fn answers(client: Arc<Client>) -> bool {
    let ask = move || {
        client
            .fetch_metadata(None, Duration::from_secs(2))
            .is_ok_and(|it| !it.brokers().is_empty())
    };
    tokio::task::spawn_blocking(ask).await.unwrap_or(false)
}
