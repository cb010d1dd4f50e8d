//! Starts everything, in order: brokers behind proxies, registry and Postgres, topics and schemas, the models, Millrace.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use rdkafka::ClientConfig;
use testkit::{
    Broker, Proxy, ScriptedModel, build_with,
    chaos::{Plan, RunFolder, schedule::WORKERS},
    parts::{self, Cluster, ClusterConfig, Door},
};
use tokio::process::Command;
use topics::KafkaSettings;

use crate::{
    Arguments,
    board::Board,
    faults::FaultLog,
    lanes::{self, Stage},
    load::{ASKING, FICKLE, KEPT, script},
    maps::Maps,
    running::Running,
    witness::Witness,
    world::{Starts, World},
};

const PREFIX: &str = "chaos.";
const SESSION_TIMEOUT_MS: u64 = 6_000;
const TRANSACTION_TIMEOUT_MS: u64 = 10_000;
/// A run must outlive the outages of a short run: cancelled in time proves nothing.
const DEADLINE: &str = "300s";

pub struct Setup {
    pub world: Arc<World>,
    pub stage: Stage,
    pub witness: Witness,
}

pub async fn start(arguments: &Arguments, seed: u64, folder: PathBuf) -> anyhow::Result<Setup> {
    tracing::info!("building millrace with crash points, and the judge");
    let program = self::program(&folder, "millrace", "millrace", "crash-points").await?;
    let judge = self::program(&folder, "testkit", "check-history", "").await?;
    let (mut proxies, mut doors) = (Vec::new(), Vec::new());
    for _ in 0..arguments.brokers {
        let port = parts::free_port()?;
        let proxy = Proxy::of_kafka(loopback(port)).await?;
        let advertised = proxy.port();
        doors.push(Door { port, advertised });
        proxies.push(proxy);
    }
    let cluster = ClusterConfig {
        name: "chaos".to_owned(),
        broker: Broker::default(),
        durable: true,
        doors,
    };
    let Cluster {
        parts,
        brokers,
        registry,
        postgres,
        data,
    } = Cluster::start(cluster).await?;
    tracing::info!(logs = %data.folder().display(), "brokers, registry and Postgres are up");
    let own: SocketAddr = postgres_address(&parts.postgres_url).context("the URL of Postgres has no port")?;
    let postgres_proxy = Proxy::of_anything(own).await?;
    let proxied: Vec<String> = proxies
        .iter()
        .map(|proxy| format!("127.0.0.1:{}", proxy.port()))
        .collect();

    let kafka = KafkaSettings {
        bootstrap_servers: parts.bootstrap.clone(),
        prefix: PREFIX.to_owned(),
        client: BTreeMap::new(),
    };
    let plan = Plan {
        seed,
        seconds: arguments.seconds,
        rate: arguments.rate,
        brokers: usize::from(arguments.brokers),
        bootstrap: parts.bootstrap.clone(),
        registry_url: parts.registry_url.clone(),
        postgres_url: parts.postgres_url.clone(),
        prefix: PREFIX.to_owned(),
        group: kafka.group("orchestrator"),
        emits: [(KEPT, "owner.kept"), (FICKLE, "owner.fickle")]
            .map(|(chain, topic)| (chain.to_owned(), topic.to_owned()))
            .into(),
        request_topics: ["requests", "requests.interactive"]
            .map(|name| kafka.topic(name))
            .to_vec(),
        session_timeout_ms: SESSION_TIMEOUT_MS,
        transaction_timeout_ms: TRANSACTION_TIMEOUT_MS,
    };
    let folder = RunFolder::at(folder);
    fs::write(folder.plan(), serde_json::to_string_pretty(&plan)?).context("cannot write the plan")?;
    let chains = chains(folder.path(), &plan.emits)?;
    let admin = ClientConfig::new().set("bootstrap.servers", &plan.bootstrap).create()?;
    for topic in plan.emits.values() {
        lanes::topics::make(&admin, topic, plan.brokers).await?;
    }
    let environment = [
        ("CONFIG", "/dev/null".to_owned()),
        ("KAFKA__BOOTSTRAP_SERVERS", proxied.join(",")),
        ("KAFKA__PREFIX", PREFIX.to_owned()),
        ("REGISTRY__URL", parts.registry_url.clone()),
        (
            "POSTGRES__URL",
            format!("postgres://postgres@127.0.0.1:{}/postgres", postgres_proxy.port()),
        ),
        ("CHAINS", chains.display().to_string()),
        ("ORCHESTRATOR__SESSION_TIMEOUT_MS", SESSION_TIMEOUT_MS.to_string()),
        (
            "ORCHESTRATOR__TRANSACTION_TIMEOUT_MS",
            TRANSACTION_TIMEOUT_MS.to_string(),
        ),
        // shorter than the slowest answers: some runs are cut off by SIGTERM
        ("ORCHESTRATOR__GRACE_MS", "5000".to_owned()),
        ("LOG", "info".to_owned()),
    ];
    let environment: Vec<(String, String)> = environment
        .map(|(name, value)| (format!("MILLRACE_{name}"), value))
        .to_vec();
    for command in [["topics", "apply"], ["schemas", "register"]] {
        prepare(&program, &environment, command).await?;
    }

    // An answer of half a minute is what models do; a short run would spend its time waiting for the last of them.
    let tail = Duration::from_secs(if arguments.seconds < 300 { 10 } else { 30 });
    let model = ScriptedModel::start(script(seed, tail)).await?;
    let board = Arc::new(Board::new());
    let witness = Witness::start(&plan.bootstrap, &kafka.topic("results"), &folder, &board)?;
    let world = Arc::new(World {
        maps: Maps::watch(&plan.bootstrap, &plan.group, &plan.request_topics),
        log: FaultLog::create(&folder.faults())?,
        proxied_bootstrap: proxied.join(","),
        api_address: format!("127.0.0.1:{}", parts::free_port()?),
        http: reqwest::Client::builder().no_proxy().build()?,
        starts: Starts::default(),
        folder,
        plan,
        program,
        predecessor: arguments.predecessor.clone(),
        judge,
        environment,
        model,
        tail,
        board,
    });

    let mut workers = Vec::new();
    for number in 1..=WORKERS {
        workers.push(Running::start(&world, &format!("w{number}"), "orchestrator", None)?);
    }
    let mut recorder = Running::start(&world, "recorder", "recorder", None)?;
    let mut api = Running::start(&world, "api", "api", None)?;
    for process in workers.iter_mut().chain([&mut recorder, &mut api]) {
        process.ready(&world.http).await?;
    }
    let stage = Stage {
        brokers,
        proxies,
        workers,
        registry,
        postgres,
        postgres_proxy,
        recorder,
        api,
        data,
    };
    Ok(Setup { world, stage, witness })
}

/// A copy: the next ordinary build puts another binary in its place.
async fn program(
    folder: &Path,
    package: &'static str,
    name: &'static str,
    features: &'static str,
) -> anyhow::Result<PathBuf> {
    let built = tokio::task::spawn_blocking(move || build_with(package, name, features)).await??;
    let copy = folder.join(name);
    fs::copy(&built, &copy).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(copy)
}

async fn prepare(program: &Path, environment: &[(String, String)], command: [&str; 2]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(command)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()
        .await?;
    anyhow::ensure!(
        output.status.success(),
        "millrace {} failed: {}",
        command.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// One call, three calls in a row, one that then waits for a person, and those that emit what a call gave.
fn chains(folder: &Path, emits: &BTreeMap<String, String>) -> anyhow::Result<PathBuf> {
    let chains = folder.join("chains");
    fs::create_dir_all(&chains).with_context(|| format!("cannot make {}", chains.display()))?;
    let head = |name: &str| {
        format!(
            "apiVersion: chain/v1
kind: Chain
metadata: {{name: {name}, version: 1}}
input:
  schema: {{type: object, required: [question], properties: {{question: {{type: string}}}}}}
budget: {{deadline: {DEADLINE}}}
steps:
"
        )
    };
    let step = |id: &str, prompt: &str| {
        format!("  - id: {id}\n    chat: {{model: paid, messages: [{{role: user, content: \"{prompt}\"}}]}}\n")
    };
    let one = head("one") + &step("answer", "{{ input.question }}") + "output: {value: \"{{ steps.answer.text }}\"}\n";
    let three = head("three")
        + &step("draft", "{{ input.question }}")
        + &step("review", "review: {{ steps.draft.text }}")
        + &step("final", "final: {{ steps.review.text }}")
        + "output: {value: \"{{ steps.final.text }}\"}\n";
    let emitting = emits.iter().map(|(name, topic)| {
        let output = "output: {value: {text: \"{{ steps.answer.text }}\"}}\n";
        let emit = format!("emit: {{topic: {topic}, value: json}}\n");
        (
            name.as_str(),
            head(name) + &step("answer", "{{ input.question }}") + output + &emit,
        )
    });
    let asking = head(ASKING)
        + &step("answer", "{{ input.question }}")
        + "  - id: approval
    approve:
      message: \"{{ steps.answer.text }}\"
      value: {n: 0}
      schema: {type: object, required: [n], additionalProperties: false, properties: {n: {type: integer}}}
output: {value: {n: \"{{ steps.approval.value.n }}\"}}
";
    for (name, text) in emitting.chain([(ASKING, asking), ("one", one), ("three", three)]) {
        fs::write(chains.join(format!("{name}.yaml")), text).with_context(|| format!("cannot write {name}.yaml"))?;
    }
    Ok(chains)
}

fn postgres_address(url: &str) -> Option<SocketAddr> {
    let (_, rest) = url.split_once('@')?;
    rest.split('/').next()?.parse().ok()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
