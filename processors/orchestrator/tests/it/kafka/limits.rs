use std::{fs, sync::Arc, time::Duration};

use models::Models;
use orchestrator::Resources;
use schemas::{Request, status};
use testkit::{
    Script, ScriptedModel,
    scripted::{Rule, When},
    until,
};
use topics::{Headers, engine::EngineTuning};

use super::world::World;

const CHAINS: [(&str, &str); 2] = [
    ("slow", "chat: {model: slow, messages: [{role: user, content: hello}]}"),
    (
        "quick",
        "chat: {model: quick, messages: [{role: user, content: hello}]}",
    ),
];

/// Two providers: one takes a single call at a time and never answers, the other echoes.
async fn providers() -> (ScriptedModel, ScriptedModel, Models) {
    let hangs = Rule {
        when: When::default(),
        answer: Some("hang".parse().unwrap()),
        ..Rule::default()
    };
    let hangs = Script {
        rules: vec![hangs],
        ..Script::default()
    };
    let stuck = ScriptedModel::start(hangs).await.unwrap();
    let well = ScriptedModel::start(Script::default()).await.unwrap();
    let models = format!(
        "providers:\n  stuck: {{dialect: openai, base_url: {}, concurrency: 1}}\n  well: {{dialect: openai, base_url: {}}}\n\
         models:\n  slow: {{provider: stuck, model: m, price: free, retry: {{max_attempts: 1}}}}\n  quick: {{provider: well, model: m, price: free}}\n",
        stuck.url, well.url
    );
    let models = Models::load(&models, "models.yaml").unwrap();
    (stuck, well, models)
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_wait_for_a_full_provider_leave_their_slots_to_others() {
    let mut world = World::new("orchestrator-limits").await;
    let (stuck, _well, models) = providers().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, step) in CHAINS {
        let chain = format!(
            "apiVersion: chain/v1\nkind: Chain\nmetadata: {{name: {name}, version: 1}}\ninput: {{schema: {{}}}}\n\
             steps: [{{id: a, {step}}}]\noutput: {{value: \"{{{{ steps.a.text }}}}\"}}\n"
        );
        fs::write(folder.path().join(format!("{name}.yaml")), chain).unwrap();
    }
    let resources = Resources::of(Arc::new(models));
    let tuning = EngineTuning {
        in_flight: 2,
        ..EngineTuning::default()
    };
    let mut running = world.start_tuned(folder.path().to_owned(), world.registry.clone(), resources, tuning);
    running.ready().await;

    for _ in 0..5 {
        ask(&world, "slow").await;
    }
    until(Duration::from_secs(60), async || {
        (stuck.summary().in_flight == 1).then_some(())
    })
    .await
    .unwrap();

    for _ in 0..4 {
        let src = ask(&world, "quick").await;
        assert_eq!(world.committed(&src).await.result.status, status::COMPLETED);
    }
    assert_eq!(stuck.summary().calls, 1, "the full provider has not answered meanwhile");

    // Who waits for it is told that it is gone.
    drop(stuck);
    running.stop().await;
}

/// Without a key, so that no request waits for another.
async fn ask(world: &World, chain: &str) -> String {
    let request = Request {
        chain: chain.to_owned(),
        input: "1".to_owned(),
        ..Request::default()
    };
    let value = world.requests.encode(&request).unwrap();
    world.send_keyed("requests", None, Some(value), Headers::new()).await
}
