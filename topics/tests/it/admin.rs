use std::path::Path;

use testkit::Space;
use topics::{
    Catalog,
    admin::{Action, Admin, Finding, From, Options, Plan, plan},
};

use crate::space::{producer, record, settings, topic};

fn catalog(text: &str) -> Catalog {
    Catalog::parse(text, Path::new("topics.yaml")).unwrap()
}

async fn diff(space: &Space, catalog: &Catalog, options: Options) -> Plan {
    let admin = Admin::new(&settings(space)).unwrap();
    let state = admin.observe(catalog).await.unwrap();
    plan(catalog, &settings(space), &state, options)
}

async fn apply(space: &Space, catalog: &Catalog, options: Options) -> Plan {
    let plan = diff(space, catalog, options).await;
    Admin::new(&settings(space)).unwrap().apply(&plan).await.unwrap();
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_cluster_becomes_what_the_shipped_list_says_and_stays_so() {
    let space = Space::new("apply").await;
    let catalog = Catalog::embedded().unwrap();

    let planned = apply(&space, &catalog, Options::default()).await;
    let created = planned
        .actions
        .iter()
        .filter(|action| matches!(action, Action::CreateTopic { .. }))
        .count();
    assert_eq!(created, catalog.topics.len());

    let left = diff(&space, &catalog, Options::default()).await;
    assert_eq!(left, Plan::default(), "{left}");
    let state = Admin::new(&settings(&space)).unwrap().observe(&catalog).await.unwrap();
    let committed = &state.groups[&space.group("orchestrator")].committed;
    assert_eq!(committed.len(), 12);
    assert!(committed.values().all(|offset| *offset == 0));
}

const SMALL: &str = "
topics:
  - {name: events, key: any, partitions: 2, retention: 7d, max_message: 1MiB, writers: [clients], readers: [worker]}
groups:
  - {name: worker, inputs: [{topic: events}]}
";

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_added_only_by_somebody_who_accepts_the_reordering() {
    let space = Space::new("grow").await;
    apply(&space, &catalog(SMALL), Options::default()).await;
    let wider = catalog(&SMALL.replace("partitions: 2", "partitions: 4"));

    let refused = apply(&space, &wider, Options::default()).await;
    let topic = space.topic("events");
    assert_eq!(refused.actions, []);
    assert_eq!(
        refused.findings,
        [Finding::PartitionsWouldReorder {
            topic,
            have: 2,
            want: 4
        }]
    );

    apply(
        &space,
        &wider,
        Options {
            allow_reorder: true,
            from: None,
        },
    )
    .await;
    let left = diff(&space, &wider, Options::default()).await;
    assert_eq!(
        left,
        Plan::default(),
        "the engine claims an added partition itself: {left}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_setting_is_altered_and_the_topics_other_settings_stay() {
    let space = Space::new("alter").await;
    topic(
        &space,
        "events",
        2,
        &[("segment.ms", "600000"), ("retention.ms", "1000")],
    )
    .await;
    let catalog = catalog(SMALL);

    apply(&space, &catalog, Options::default()).await;

    let state = Admin::new(&settings(&space)).unwrap().observe(&catalog).await.unwrap();
    let events = &state.topics[&space.topic("events")];
    assert_eq!(events.config("retention.ms"), Some("604800000"));
    assert_eq!(events.config("segment.ms"), Some("600000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_new_group_begins_on_records_that_are_already_there_is_decided_by_a_person() {
    let space = Space::new("begin").await;
    let events = topic(&space, "events", 2, &[]).await;
    producer(&space)
        .send(record(&events, 1, "older than the group"))
        .await
        .unwrap();
    let catalog = catalog(SMALL);
    let group = space.group("worker");

    let undecided = apply(&space, &catalog, Options::default()).await;
    assert_eq!(
        undecided.findings,
        [Finding::StartUndecided {
            group: group.clone(),
            topic: events
        }]
    );

    apply(
        &space,
        &catalog,
        Options {
            allow_reorder: false,
            from: Some(From::Latest),
        },
    )
    .await;
    let state = Admin::new(&settings(&space)).unwrap().observe(&catalog).await.unwrap();
    let committed: Vec<i64> = state.groups[&group].committed.values().copied().collect();
    assert_eq!(committed, [0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_topic_is_asked_for_and_never_created() {
    let space = Space::new("users").await;
    let users = space.topic("tickets");
    let catalog = catalog(&format!(
        "
topics:
  - {{name: dead-letters, key: any, partitions: 1, retention: 1d, max_message: 1MiB, writers: [worker], readers: [clients]}}
groups:
  - {{name: worker, inputs: [{{topic: {users}, value: json, chain: triage@2, tenant: acme}}]}}
"
    ));

    let missing = apply(&space, &catalog, Options::default()).await;
    let group = space.group("worker");
    assert_eq!(
        missing.findings,
        [Finding::UserTopicMissing {
            topic: users.clone(),
            group
        }]
    );

    topic(&space, "tickets", 1, &[("max.message.bytes", "2000000")]).await;
    let too_small = apply(&space, &catalog, Options::default()).await;
    let [Finding::DeadLettersTooSmall { needs, .. }] = &too_small.findings[..] else {
        panic!("the dead letters of a larger topic do not fit: {too_small}");
    };
    assert_eq!(*needs, 2_000_000 + 65_536);
}
