//! Kafka, a schema registry and PostgreSQL, for real, on this machine.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use testkit::parts::{self, OwnParts, Parts, PartsConfig, Ports, Slot, Stay};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(
    version,
    about = "Kafka, a schema registry and PostgreSQL, for real, on this machine"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start them and leave them running
    Up(FixedPorts),
    /// Stop what `up` started; its data goes too
    Down,
    /// Say which sets are up and where they answer
    Status,
    /// Print the addresses of what `up` started as the environment of `millrace`, for `eval`
    Env,
    /// Hold the shared set of the tests up while a command runs
    With {
        #[arg(required = true, trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Start a set of its own so many times, and say how long each start took
    Again {
        #[arg(default_value_t = 20)]
        times: usize,
    },
    /// Own a set (started by the others)
    #[command(hide = true)]
    Supervise {
        #[arg(long)]
        slot: Slot,
        #[arg(long)]
        kafka_port: Option<u16>,
        #[arg(long)]
        registry_port: Option<u16>,
        #[arg(long)]
        postgres_port: Option<u16>,
    },
}

/// Away from the usual ones, which may be taken by what a developer runs anyway.
#[derive(clap::Args)]
struct FixedPorts {
    #[arg(long, env = "PARTS_KAFKA_PORT", default_value_t = 19092)]
    kafka_port: u16,
    #[arg(long, env = "PARTS_REGISTRY_PORT", default_value_t = 18081)]
    registry_port: u16,
    #[arg(long, env = "PARTS_POSTGRES_PORT", default_value_t = 15432)]
    postgres_port: u16,
}

/// Longer than the gap between two test binaries of one `cargo test`.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(Arguments::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("parts: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(ports) => print(&parts::lease(Slot::Up, &ports.arguments()).await?.parts),
        Command::Down => println!(
            "{}",
            if parts::down(Slot::Up).await? {
                "down"
            } else {
                "nothing was up"
            }
        ),
        Command::Status => {
            for (slot, name) in [(Slot::Up, "up"), (Slot::Tests, "tests")] {
                match parts::status(slot).await? {
                    Some(parts) => {
                        println!("{name}:");
                        print(&parts);
                    }
                    None => println!("{name}: none"),
                }
            }
        }
        Command::Env => match parts::status(Slot::Up).await? {
            Some(parts) => exports(&parts)
                .iter()
                .for_each(|(name, value)| println!("export {name}='{value}'")),
            None => bail!("nothing is up; start it with: parts up"),
        },
        Command::With { command } => return with(&command).await,
        Command::Again { times } => again(times).await?,
        Command::Supervise {
            slot,
            kafka_port,
            registry_port,
            postgres_port,
        } => {
            let ports = Ports {
                kafka: kafka_port,
                registry: registry_port,
                postgres: postgres_port,
            };
            let (name, stay) = match slot {
                Slot::Up => ("up", Stay::UntilDown),
                Slot::Tests => ("tests", Stay::WhileLeased(GRACE)),
            };
            let config = PartsConfig {
                name: name.to_owned(),
                ports,
                ..PartsConfig::default()
            };
            parts::supervise(slot, stay, config).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn with(command: &[String]) -> anyhow::Result<ExitCode> {
    let lease = parts::lease(Slot::Tests, &[]).await?;
    let (program, args) = command.split_first().context("no command given")?;
    let mut child = tokio::process::Command::new(program);
    child.args(args).envs(exports(&lease.parts)).kill_on_drop(true);
    let status = child.status().await.with_context(|| format!("cannot run {program}"))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

async fn again(times: usize) -> anyhow::Result<()> {
    let mut took = Vec::new();
    for number in 1..=times {
        let began = Instant::now();
        let set = OwnParts::start(PartsConfig {
            name: "again".to_owned(),
            ..PartsConfig::default()
        });
        let set = set.await.with_context(|| format!("start {number} of {times}"))?;
        took.push(began.elapsed().as_secs_f64());
        println!("{number}: {:.1} s", began.elapsed().as_secs_f64());
        set.end()?;
    }
    took.sort_by(f64::total_cmp);
    if let (Some(shortest), Some(median), Some(longest)) = (took.first(), took.get(took.len() / 2), took.last()) {
        println!("{times} starts: {shortest:.1} to {longest:.1} s, half of them within {median:.1} s");
    }
    Ok(())
}

fn print(parts: &Parts) {
    println!("  Kafka       {}", parts.bootstrap);
    println!("  registry    {}", parts.registry_url);
    println!("  PostgreSQL  {}", parts.postgres_url);
}

fn exports(parts: &Parts) -> [(&'static str, &str); 3] {
    [
        ("MILLRACE_KAFKA__BOOTSTRAP_SERVERS", parts.bootstrap.as_str()),
        ("MILLRACE_REGISTRY__URL", parts.registry_url.as_str()),
        ("MILLRACE_POSTGRES__URL", parts.postgres_url.as_str()),
    ]
}

impl FixedPorts {
    fn arguments(&self) -> [String; 3] {
        [
            format!("--kafka-port={}", self.kafka_port),
            format!("--registry-port={}", self.registry_port),
            format!("--postgres-port={}", self.postgres_port),
        ]
    }
}
