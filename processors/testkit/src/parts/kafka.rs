//! One broker that is its own controller (KRaft), on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::fetch::Fetched;
use super::java::{Archive, Heap};
use super::own::Broker;
use super::part::{Part, Probe};
use super::{PartsError, failed, folder, port};
use crate::Launch;

pub type Client = BaseConsumer;

/// Any 16 bytes in base64; a set has one broker, so clusters need no identities of their own.
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
node.id=1
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
num.network.threads=2
num.io.threads=4
background.threads=2
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
log.cleaner.dedupe.buffer.size=2097152
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
";

pub fn part(
    fetched: &Fetched,
    run: &Path,
    port: u16,
    broker: &Broker,
    archive: &Archive,
) -> Result<(Part, String), PartsError> {
    let folder = folder::create(&run.join("kafka"))?;
    let properties = write_properties(&folder, port, &broker.properties)?;
    let data = folder::create(&folder.join("data"))?;
    folder::copy(&fetched.format, &data)?;
    let launch = Launch::new("kafka", &fetched.java.program, run.join("kafka.log"))
        .args(broker.heap().flags(archive))
        .args([format!("-Dlog4j2.configurationFile={}", fetched.logging.display())])
        .args([format!("-Djava.io.tmpdir={}", folder.display())])
        .args(["-cp", &class_path(&fetched.kafka)?, "kafka.Kafka"])
        .args([properties])
        .folder(&folder);
    let bootstrap = format!("127.0.0.1:{port}");
    Ok((
        Part::new(launch, Probe::Kafka(Arc::new(client(&bootstrap)?))),
        bootstrap,
    ))
}

/// Formats a data folder. It says nothing about ports or paths, so a copy of it serves every set.
pub async fn format(fetched: &Fetched, scratch: &Path) -> Result<(), PartsError> {
    let folder = folder::create(&scratch.join("kafka-format"))?;
    let properties = write_properties(&folder, port::any()?, &[])?;
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
    format.succeeded(Duration::from_secs(60)).await?;
    let data = folder.join("data");
    fs::rename(&data, &fetched.format).map_err(failed("move", &data))
}

fn write_properties(folder: &Path, port: u16, changed: &[(String, String)]) -> Result<PathBuf, PartsError> {
    let controller = port::any()?;
    let mut text = format!(
        "{PROPERTIES}listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         log.dirs={}\n",
        folder.join("data").display(),
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
            .fetch_metadata(None, Duration::from_millis(500))
            .is_ok_and(|it| !it.brokers().is_empty())
    };
    tokio::task::spawn_blocking(ask).await.unwrap_or(false)
}
