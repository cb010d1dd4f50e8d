use std::net::SocketAddr;

use schemas::{Registry, RegistrySettings, Request, status};
use tokio::net::{TcpListener, TcpStream};
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
