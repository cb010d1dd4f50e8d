//! From settings to running threads, and back.

use std::{cell::RefCell, sync::Arc, thread, time::Duration};

use rdkafka::{
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer as _},
    error::RDKafkaErrorCode,
};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    EngineError, EngineSettings, Input, Node, canary, clients,
    committer::Committer,
    core::{Limits, Member, Turns},
    membership::Group,
    monitor::Monitor,
    observe::Observer,
    others::Others,
    poll::Poll,
    producer::TransactionalProducer,
    runs::Runs,
    takeovers::{Takeovers, chain},
};

const ANSWER: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// Of the committer, after everything is committed and released.
const LAST_CALL: Duration = Duration::from_secs(5);
/// The writer's name travels in each commit's metadata, beside a map of at most 2,750 characters.
const LONGEST_GROUP: usize = 200;

pub(super) async fn run<N: Node>(
    settings: EngineSettings,
    node: Arc<N>,
    ready: watch::Sender<Result<(), String>>,
    shutdown: CancellationToken,
) -> Result<(), EngineError> {
    check(&settings)?;
    ready.send_modify(|state| *state = Err(format!("connecting to Kafka at {}", settings.kafka.bootstrap_servers)));
    // Fresh for each process start: nobody has to number the copies.
    let writer = format!("{}.{}", settings.group, Uuid::new_v4());
    let Some((producer, partitions)) = first_producer(&settings, &writer, &ready, &shutdown).await? else {
        return Ok(());
    };

    let monitor = Arc::new(Monitor::new(member(&settings, &writer)));
    monitor.trouble().joining = Some(format!("joining group {}", settings.group));
    let asked = Arc::clone(&node);
    let takeovers = Takeovers {
        settings: settings.clone(),
        writer: writer.clone(),
        writes_also: Box::new(move || asked.writes_also()),
        unstable: clients::reader(&settings, &settings.group, "read_uncommitted")?,
    };
    let group = Group::new(Arc::clone(&monitor), takeovers, settings.history.clone());
    let mut consumer: BaseConsumer<Group> =
        BaseConsumer::from_config_and_context(&clients::member(&settings, partitions), group).map_err(|source| {
            EngineError::Client {
                client: "member",
                source,
            }
        })?;
    let bell = Arc::clone(&monitor);
    consumer.set_nonempty_callback(move || bell.bell.ring());
    let consumer = Arc::new(consumer);
    rdkafka::consumer::Consumer::context(&*consumer).attach(&consumer);

    let runs = Arc::new(Runs::new(Arc::clone(&monitor), node, settings.history.clone(), writer));
    let committer = Committer {
        settings: settings.clone(),
        runs: Arc::clone(&runs),
        producer: Some(producer),
        others: Others::new(settings.outputs.clone()),
        kept: Vec::new(),
        consumer: Arc::clone(&consumer),
    };
    let poll = Poll {
        settings,
        consumer: Arc::clone(&consumer),
        runs: Arc::clone(&runs),
        shutdown: shutdown.clone(),
        fetching: RefCell::default(),
    };

    let observer = Observer {
        group: poll.settings.group.clone(),
        monitor: Arc::clone(&monitor),
        // Weak: the consumer's end takes its time, and takes it on the thread that polls.
        consumer: Arc::downgrade(&consumer),
        ready: ready.clone(),
    };
    drop(consumer);
    let observer = tokio::spawn(observer.run());
    let stop = {
        let monitor = Arc::clone(&monitor);
        tokio::spawn(async move {
            shutdown.cancelled().await;
            monitor.bell.ring();
        })
    };
    let mut committing = on_thread("engine-committer", move || committer.run());
    let mut polling = on_thread("engine-poll", move || poll.run());
    let ended = tokio::select! {
        ended = &mut polling => ended.unwrap_or(Err(EngineError::Thread { thread: "poll" })),
        ended = &mut committing => match ended {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) | Err(_) => Err(EngineError::Thread { thread: "committer" }),
        },
    };
    observer.abort();
    stop.abort();
    ready.send_modify(|state| *state = Err("stopped".to_owned()));
    monitor.end();
    if ended.is_ok() {
        // Nothing is left for it to do. A call to brokers that are away is not waited out.
        let _ = tokio::time::timeout(LAST_CALL, committing).await;
    }
    // What is left are runs that were cancelled, and then what they put out: what was paid for is settled. Brokers that are
    // away are not waited for: an attempt that cannot be settled shows as unresolved.
    runs.tasks.close();
    let _ = tokio::time::timeout(LAST_CALL, runs.tasks.wait()).await;
    runs.discard();
    let _ = tokio::time::timeout(LAST_CALL, runs.tasks.wait()).await;
    ended
}

fn check(settings: &EngineSettings) -> Result<(), EngineError> {
    let problem = if settings.inputs.is_empty() {
        "there is no request topic to read".to_owned()
    } else if settings.outputs.is_empty() {
        "there is no topic to write results to".to_owned()
    } else if settings.group.is_empty() || settings.group.len() > LONGEST_GROUP {
        format!("the group's name must have 1 to {LONGEST_GROUP} bytes")
    } else if settings.tuning.in_flight == 0 {
        "in_flight must be at least 1".to_owned()
    } else {
        return Ok(());
    };
    Err(EngineError::Settings(problem))
}

fn member(settings: &EngineSettings, writer: &str) -> Member {
    let tuning = &settings.tuning;
    let limits = Limits {
        order: tuning.order,
        in_flight: tuning.in_flight,
        waiting: tuning.waiting,
        bytes: tuning.bytes_in_flight,
        partition_bytes: tuning.partition_bytes_in_flight,
        batch: tuning.batch,
    };
    let turns = Turns::new(settings.inputs.iter().map(|input| (input.topic.as_str(), input.weight)));
    Member::new(writer, limits, turns)
}

/// The producer, after it has shown that these brokers keep what exactly-once needs. Brokers that are away are waited
/// for; `None` if the shutdown came first.
async fn first_producer(
    settings: &EngineSettings,
    writer: &str,
    ready: &watch::Sender<Result<(), String>>,
    shutdown: &CancellationToken,
) -> Result<Option<(TransactionalProducer, usize)>, EngineError> {
    let mut retry = FIRST_RETRY;
    let mut told = String::new();
    loop {
        let (owned, id) = (settings.clone(), writer.to_owned());
        // Not on tokio's pool: its end would wait for a call that may take its time.
        let attempt = on_thread("engine-start", move || {
            let producer = TransactionalProducer::open(&owned, &id)?;
            canary::sing(&owned, &id, &producer)?;
            Ok((producer, partitions(&owned)?))
        });
        let attempted = tokio::select! {
            attempted = attempt => attempted,
            () = shutdown.cancelled() => return Ok(None),
        };
        let error = match attempted.unwrap_or(Err(EngineError::Thread { thread: "start" })) {
            Ok(first) => return Ok(Some(first)),
            Err(error) if is_passing(&error) => error,
            Err(error) => return Err(error),
        };
        let why = why_waiting(settings, &error);
        if why != told {
            tracing::warn!("{why}");
            told.clone_from(&why);
        }
        ready.send_modify(|state| *state = Err(why));
        tokio::select! {
            () = tokio::time::sleep(retry) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
        retry = (retry * 2).min(LAST_RETRY);
    }
}

/// How many this process can be given, as far as that is known: those of a topic that is not there yet are not.
fn partitions(settings: &EngineSettings) -> Result<usize, EngineError> {
    let reader = clients::reader(settings, &settings.group, "read_committed")?;
    let of_topic = |input: &Input| {
        let metadata = reader.fetch_metadata(Some(&input.topic), ANSWER);
        metadata.map_or(0, |metadata| {
            metadata.topics().iter().map(|topic| topic.partitions().len()).sum()
        })
    };
    Ok(settings.inputs.iter().map(of_topic).sum())
}

fn why_waiting(settings: &EngineSettings, error: &EngineError) -> String {
    let (EngineError::Producer { source, .. } | EngineError::Canary { source, .. }) = error else {
        return chain(error);
    };
    match (source.rdkafka_error_code(), settings.inputs.first()) {
        (Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic), Some(input)) => {
            format!(
                "the request topic {} does not exist; millrace topics apply creates Millrace's own",
                input.topic
            )
        }
        _ => format!(
            "waiting for Kafka at {}: {}",
            settings.kafka.bootstrap_servers,
            chain(error)
        ),
    }
}

/// Whether waiting may mend it: brokers that are away, or a topic that is not there yet.
fn is_passing(error: &EngineError) -> bool {
    let (EngineError::Producer { source, .. } | EngineError::Canary { source, .. }) = error else {
        return false;
    };
    !matches!(
        source.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::TransactionalIdAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::InvalidTransactionTimeout
                | RDKafkaErrorCode::UnsupportedFeature
        )
    )
}

/// librdkafka's calls block, some for seconds: they have threads of their own.
fn on_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> oneshot::Receiver<Result<T, EngineError>> {
    let (done, ended) = oneshot::channel();
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // The receiver is gone only if the engine is.
        let _ = done.send(work());
    });
    if let Err(error) = spawned {
        tracing::error!(%error, name, "cannot start a thread");
    }
    ended
}
