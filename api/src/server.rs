//! The api role from its settings to its end.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use schemas::{ChainRecord, Encoder, Instance, Registry, RegistryError, Request};
use tokio::{
    sync::{Mutex, Semaphore, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use topics::{
    Catalog, EndsError, KafkaSettings, ProduceError, Producer, ProducerSettings, Start,
    standing::{Standing, StandingError},
};

use crate::{
    ApiSettings,
    api::Api,
    bridge::Bridge,
    chains::Chains,
    cluster::Cluster,
    health::{Health, say},
    history::History,
    instances::{Instances, RECENT},
    listener::{bind, serve},
    metrics,
    recorder::Recorder,
    records::Records,
    reporting,
    ring::Ring,
    routes,
    tail::Following,
    waiters::Waiters,
};

/// A request that the brokers did not take in this time is not waited for any longer.
const PRODUCE_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two attempts to reach the registry.
const AGAIN: Duration = Duration::from_secs(1);

/// What the api role needs from its process.
pub struct Dependencies {
    pub kafka: KafkaSettings,
    /// Whose groups `/health` shows.
    pub catalog: Catalog,
    pub registry: Registry,
    /// `postgres://…`. Only read; while it is away there is no history, and everything else works.
    pub postgres_url: String,
    /// All roles of the process, this one among them: what `/readyz` and `/metrics` show.
    pub health: Health,
}

/// Why the api cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error(
        "api cannot listen on {0}: it is not a loopback address, and without API keys everybody who reaches the port could \
         use it. Listen on 127.0.0.1 or [::1]; what shall be reached from elsewhere needs a proxy in front that authenticates"
    )]
    NotLoopback(SocketAddr),
    #[error("api cannot listen on {listen}. Is another process using the port? Choose another with `listen:`")]
    Bind {
        listen: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("api cannot read Postgres: its URL is not valid")]
    PostgresUrl(#[source] sqlx::Error),
    #[error("api cannot produce requests")]
    Producer(#[source] ProduceError),
    #[error("api cannot look at the groups")]
    Standing(#[source] StandingError),
    #[error("api cannot ask where topics end")]
    Ends(#[source] EndsError),
    #[error("api cannot read records")]
    Schema(#[source] RegistryError),
}

/// Runs the api until `shutdown`; then no new callers are taken, and those that wait have the grace period.
///
/// Ready means: the tail of `results` stands at the end of every partition, the published chains are read, and a request
/// can be encoded. Postgres is not part of it.
///
/// # Errors
/// See [`ApiError`]. What can heal (brokers, registry, Postgres away) is waited for instead.
pub async fn run(
    settings: ApiSettings,
    dependencies: Dependencies,
    ready: watch::Sender<Result<(), String>>,
    shutdown: CancellationToken,
) -> Result<(), ApiError> {
    metrics::describe();
    let Dependencies {
        kafka,
        catalog,
        registry,
        postgres_url,
        health,
    } = dependencies;
    let listener = bind(settings.listen).await?;
    let history = History::new(&postgres_url, &kafka).map_err(ApiError::PostgresUrl)?;
    let producer = ProducerSettings {
        timeout: PRODUCE_TIMEOUT,
        ..ProducerSettings::new("api-requests")
    };
    let bridge = Arc::new(Bridge {
        requests: kafka.topic("requests.interactive"),
        producer: Producer::new(&kafka, producer).map_err(ApiError::Producer)?,
        encoder: OnceLock::new(),
        decoder: registry.decoder().map_err(ApiError::Schema)?,
        ring: Ring::new(settings.ring_results, settings.ring_bytes),
        waiters: Waiters::new(settings.max_waiters),
        closing: CancellationToken::new(),
    });
    let recent = i64::try_from(settings.ring_results).unwrap_or(i64::MAX);
    let results = Following::new(&kafka, "results", Start::Recent(recent));
    let published = Following::new(&kafka, "chains", Start::Beginning);
    let reports = Following::new(&kafka, reporting::TOPIC, Start::Recent(RECENT));
    let decoder = registry.decoder::<ChainRecord>().map_err(ApiError::Schema)?;
    let reports_decoder = registry.decoder::<Instance>().map_err(ApiError::Schema)?;
    let encodes = watch::Sender::new(Err("the schema registry has not been asked yet".to_owned()));

    let grace = settings.grace();
    let api = Arc::new(Api {
        streams: Arc::new(Semaphore::new(settings.max_streams)),
        stopping: shutdown.clone(),
        cluster: Cluster::new(Standing::new(&kafka, &catalog).map_err(ApiError::Standing)?),
        instances: Instances::default(),
        counted: Mutex::default(),
        encodes: encodes.subscribe(),
        results: results.standing(),
        settings,
        bridge: Arc::clone(&bridge),
        chains: Arc::new(Chains::default()),
        recorder: Recorder::new(&kafka, &catalog, history.clone()).map_err(ApiError::Ends)?,
        history,
        records: Records::new(&kafka, &registry),
        ready: ready.subscribe(),
        chains_known: published.standing(),
        instances_known: reports.standing(),
    });
    let conditions = [encodes.subscribe(), results.standing(), published.standing()];
    tokio::select! {
        () = serve(listener, health.metrics.clone(), routes::all(&api, &health), shutdown.clone(), grace) => {}
        () = bridge.listen(results) => {}
        () = api.chains.keep_up(published, &decoder) => {}
        () = api.instances.keep_up(reports, &reports_decoder) => {}
        () = learn_to_encode(&registry, &bridge.requests, &bridge.encoder, &encodes) => {}
        () = tell(conditions, &ready, &shutdown) => {}
        () = close(&bridge.closing, &shutdown, grace) => {}
        () = api.cluster.sample(&health.metrics) => {}
    }
    bridge.producer.close().await;
    Ok(())
}

/// Asks the registry until it answers.
async fn learn_to_encode(
    registry: &Registry,
    topic: &str,
    encoder: &OnceLock<Encoder<Request>>,
    encodes: &watch::Sender<Result<(), String>>,
) {
    loop {
        match registry.encoder::<Request>(topic).await {
            Ok(found) => {
                encoder.get_or_init(|| found);
                say(encodes, Ok(()));
                return std::future::pending().await;
            }
            Err(error) => {
                let reason = format!("requests cannot be encoded yet: {error}");
                if encodes.borrow().as_ref().err() != Some(&reason) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "requests cannot be encoded yet"
                    );
                }
                say(encodes, Err(reason));
            }
        }
        sleep(AGAIN).await;
    }
}

/// Says that this role is ready while all conditions hold, else the first reason why not; and at the end that it stops.
async fn tell(
    mut conditions: [watch::Receiver<Result<(), String>>; 3],
    ready: &watch::Sender<Result<(), String>>,
    shutdown: &CancellationToken,
) {
    while !shutdown.is_cancelled() {
        say(
            ready,
            conditions
                .iter_mut()
                .try_for_each(|condition| condition.borrow_and_update().clone()),
        );
        let [encodes, results, chains] = &mut conditions;
        tokio::select! {
            Ok(()) = encodes.changed() => {}
            Ok(()) = results.changed() => {}
            Ok(()) = chains.changed() => {}
            () = shutdown.cancelled() => {}
        }
    }
    say(ready, Err("stopping".to_owned()));
    std::future::pending::<()>().await;
}

/// Ends the waiting of all callers when the grace period is over.
async fn close(closing: &CancellationToken, shutdown: &CancellationToken, grace: Duration) {
    shutdown.cancelled().await;
    sleep(grace).await;
    closing.cancel();
    std::future::pending::<()>().await;
}
