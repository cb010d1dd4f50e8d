use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use schemas::{Registry, RegistrySettings, Request, status};
use testkit::until;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use topics::Headers;

use super::world::{World, folder_with};

/// The way to the registry, which can be cut.
struct Way {
    at: SocketAddr,
    registry: String,
    cut: CancellationToken,
}

impl Way {
    async fn to(registry: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Self {
            at: listener.local_addr().unwrap(),
            registry: registry.to_owned(),
            cut: CancellationToken::new(),
        };
        way.serve(listener);
        way
    }

    fn serve(&self, listener: TcpListener) {
        let (registry, cut) = (self.registry.clone(), self.cut.clone());
        tokio::spawn(cut.clone().run_until_cancelled_owned(async move {
            loop {
                let (mut from, _) = listener.accept().await.unwrap();
                let mut to = TcpStream::connect(&registry).await.unwrap();
                let cut = cut.clone();
                tokio::spawn(async move {
                    cut.run_until_cancelled(tokio::io::copy_bidirectional(&mut from, &mut to))
                        .await
                });
            }
        }));
    }

    async fn mend(&mut self) {
        self.cut = CancellationToken::new();
        let listener = TcpListener::bind(self.at).await.unwrap();
        self.serve(listener);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_registry_is_away_requests_wait_and_none_becomes_a_dead_letter() {
    let mut world = World::new("orchestrator-outage").await;
    let url = url::Url::parse(&world.registry_url).unwrap();
    let mut way = Way::to(&format!("127.0.0.1:{}", url.port().unwrap())).await;
    let settings = RegistrySettings {
        url: format!("http://{}{}", way.at, url.path()),
        username: None,
        password: None,
    };
    let chains = folder_with("mine", 1, "one");
    let mut running = world.start_at(chains.path().to_owned(), Registry::new(&settings).unwrap());
    running.ready().await;

    // The schema of requests has not been asked for yet.
    way.cut.cancel();
    let src = world
        .ask(
            &Request {
                chain: "mine".to_owned(),
                ..Request::default()
            },
            Headers::new(),
        )
        .await;
    running.waiting_for("registry").await;
    way.mend().await;

    let committed = world.committed(&src).await;
    assert_eq!(
        committed.result.status,
        status::COMPLETED,
        "{:?}",
        committed.result.error
    );
    running.stop().await;
}

/// A node of the registry that does not have the schemas yet which another one gave ids to.
#[derive(Clone)]
struct Follower {
    registry: String,
    lags: Arc<AtomicBool>,
    unknown: Arc<AtomicU32>,
}

impl Follower {
    async fn of(registry: &str) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let follower = Self {
            registry: registry.to_owned(),
            lags: Arc::default(),
            unknown: Arc::default(),
        };
        let serving = follower.clone();
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().answer(connection));
            }
        });
        (follower, at)
    }

    /// One request a connection.
    async fn answer(self, mut from: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        while !request.windows(4).any(|four| four == b"\r\n\r\n") {
            if from.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        if self.lags.load(Ordering::SeqCst) && request.lines().next().unwrap_or_default().contains("/schemas/ids/") {
            self.unknown.fetch_add(1, Ordering::SeqCst);
            let body = r#"{"error_code":40403,"message":"Schema not found"}"#;
            let answer = format!(
                "HTTP/1.1 404 Not Found\r\ncontent-type: application/vnd.schemaregistry.v1+json\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            return from.write_all(answer.as_bytes()).await;
        }
        let mut to = TcpStream::connect(&self.registry).await?;
        let closing = request.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
        to.write_all(closing.as_bytes()).await?;
        tokio::io::copy_bidirectional(&mut from, &mut to).await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_the_registry_does_not_have_yet_is_waited_for() {
    let mut world = World::new("orchestrator-lag").await;
    let url = url::Url::parse(&world.registry_url).unwrap();
    let (follower, at) = Follower::of(&format!("127.0.0.1:{}", url.port().unwrap())).await;
    let settings = RegistrySettings {
        url: format!("http://{at}{}", url.path()),
        username: None,
        password: None,
    };
    let chains = folder_with("mine", 1, "one");
    let mut running = world.start_at(chains.path().to_owned(), Registry::new(&settings).unwrap());
    running.ready().await;

    follower.lags.store(true, Ordering::SeqCst);
    let mine = Request {
        chain: "mine".to_owned(),
        ..Request::default()
    };
    let src = world.ask(&mine, Headers::new()).await;
    let asked = until(std::time::Duration::from_secs(60), async || {
        (follower.unknown.load(Ordering::SeqCst) > 2).then_some(())
    });
    assert!(asked.await.is_ok(), "the id was not asked for again");
    follower.lags.store(false, Ordering::SeqCst);

    let committed = world.committed(&src).await;
    assert_eq!(
        committed.result.status,
        status::COMPLETED,
        "{:?}",
        committed.result.error
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_was_published_before_the_request_is_never_unknown() {
    let mut world = World::new("orchestrator-barrier").await;
    let url = url::Url::parse(&world.registry_url).unwrap();
    let mut way = Way::to(&format!("127.0.0.1:{}", url.port().unwrap())).await;
    let settings = RegistrySettings {
        url: format!("http://{}{}", way.at, url.path()),
        username: None,
        password: None,
    };
    let ask = |chain: &str| Request {
        chain: chain.to_owned(),
        ..Request::default()
    };
    let mine = folder_with("mine", 1, "one");
    let mut running = world.start_at(mine.path().to_owned(), Registry::new(&settings).unwrap());
    running.ready().await;
    let src = world.ask(&ask("mine"), Headers::new()).await;
    assert_eq!(world.committed(&src).await.result.status, status::COMPLETED);

    // From here on it learns no chain whose topic it must ask about, and so none behind it.
    way.cut.cancel();
    let theirs = folder_with("theirs", 1, "{kind: run}");
    let path = theirs.path().join("chain.yaml");
    let source = std::fs::read_to_string(&path).unwrap();
    let emit = format!("emit: {{topic: {}, value: avro}}\n", world.kafka.topic("refunds"));
    world
        .registry
        .register(&world.kafka.topic("refunds"), schemas::Definition::of::<Request>())
        .await
        .unwrap();
    std::fs::write(&path, source + &emit).unwrap();
    std::fs::write(
        theirs.path().join("late.yaml"),
        std::fs::read_to_string(folder_with("late", 1, "two").path().join("chain.yaml")).unwrap(),
    )
    .unwrap();
    let mut other = world.start_with(theirs.path().to_owned());
    other.ready().await;
    other.stop().await;
    let src = world.ask(&ask("late@1"), Headers::new()).await;
    // Longer than anybody is patient by the clock.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    way.mend().await;

    let result = world.committed(&src).await.result;
    assert_eq!(
        (result.status.as_str(), result.output.as_deref()),
        (status::COMPLETED, Some(r#""two""#)),
        "{:?}",
        result.error
    );
    running.stop().await;
}
