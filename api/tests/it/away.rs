//! Brokers, registry and Postgres are down when the api starts: it says so, and waits for them.

use api::ApiSettings;
use schemas::{Registry, RegistrySettings};
use serde_json::json;
use testkit::until;
use topics::KafkaSettings;

use crate::{
    SOON,
    running::{Api, free_address},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_down_at_the_start_is_named_and_waited_for() {
    let kafka: KafkaSettings = serde_json::from_value(json!({"bootstrap_servers": "127.0.0.1:9"})).unwrap();
    let registry: RegistrySettings = serde_json::from_value(json!({"url": "http://127.0.0.1:9"})).unwrap();
    let settings = ApiSettings {
        listen: free_address(),
        grace_seconds: 0,
        ..ApiSettings::default()
    };
    let postgres_url = "postgres://nobody@127.0.0.1:9/none".to_owned();
    let api = Api::start(settings, kafka, Registry::new(&registry).unwrap(), postgres_url);

    let listens = async || api.listens().await.then_some(());
    until(SOON, listens).await.expect("the api does not listen");
    let asked = async || {
        let problem = api.get("/readyz").await;
        problem.body["detail"]
            .as_str()
            .filter(|it| it.contains("requests cannot be encoded"))
            .map(str::to_owned)
    };
    let reason = until(SOON, asked).await.expect("the reason is not told");
    assert!(reason.starts_with("api: "), "{reason}");
    let refused = api.post("/chains/echo/invoke", &json!({"input": 1})).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(api.get("/healthz").await.status, 200);
    api.stop().await;
}
