//! One of the topics that results go to takes nothing, or not all: what that costs the others. Not in seconds: in transactions
//! that failed, by the history, and in results.

use std::sync::{Arc, atomic::Ordering};

use rdkafka::admin::AdminOptions;
use topics::Record;

use super::{
    in_order_per_key, noise,
    story::{Copy, Seen, Story, each_once},
};
use crate::space::{admin, topic};

const REQUESTS: usize = 2_000;
/// Every tenth goes there.
const BAD: usize = REQUESTS / 10;

fn is_bad(record: &Record) -> bool {
    let number: Option<usize> = record
        .value
        .as_deref()
        .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    number.is_some_and(|number| number % 10 == 7)
}

/// Produces the requests in turns of a hundred, so that there are many transactions.
async fn ask(story: &Story) -> Vec<Seen> {
    let mut results = story.results();
    let mut seen = Vec::new();
    for _ in 0..REQUESTS / 100 {
        story.produce(100, |number| Some(format!("key-{}", number % 25))).await;
        seen.extend(results.take(100).await);
    }
    results.is_over().await;
    each_once(&seen, REQUESTS);
    in_order_per_key(&seen);
    seen
}

fn of(seen: &[Seen], class: &str) -> usize {
    seen.iter().filter(|seen| seen.value == class).count()
}

/// A client waits for a topic that is not there to appear, for two seconds, with everybody's transaction open.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_gone_fails_its_results_without_a_transaction() {
    let story = Story::begin("engine-gone", 4).await;
    let mut copy = Copy::at_once();
    copy.also = Some(format!("{}gone", story.space.prefix));
    copy.also_of = is_bad;
    let spared = Arc::clone(&copy.spared);
    let (engine, log) = story.start_logged("gone", copy, story.settings());

    let seen = ask(&story).await;

    assert_eq!(of(&seen, "output_topic_unknown"), BAD);
    assert_eq!(
        spared.load(Ordering::Acquire),
        BAD,
        "the results themselves were for another topic"
    );
    assert_eq!(log.count("aborted"), 0, "transactions that failed");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_too_small_costs_at_most_a_transaction_for_each_result_and_none_of_the_others_fails() {
    let story = Story::begin("engine-small", 4).await;
    let small = topic(&story.space, "small", 4, &[("max.message.bytes", "2000")]).await;
    let mut copy = Copy::at_once();
    copy.value = |record| is_bad(record).then(|| noise(5_000));
    copy.also = Some(small);
    copy.also_of = is_bad;
    let (engine, log) = story.start_logged("small", copy, story.settings());

    let seen = ask(&story).await;

    assert_eq!(of(&seen, "output_too_large"), BAD);
    let failed = log.count("aborted");
    println!("{failed} transactions failed for {BAD} results");
    assert!(failed <= BAD + BAD / 10, "{failed} transactions failed");
    engine.stop().await;
}

/// It is made while results for it wait, and none of them fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_and_made_again_gets_what_comes_then() {
    let story = Story::begin("engine-again-there", 1).await;
    let theirs = topic(&story.space, "theirs", 1, &[]).await;
    let mut copy = Copy::at_once();
    copy.also = Some(theirs.clone());
    let mut results = story.results();
    let engine = story.start(copy);
    story.produce(10, |_| None).await;
    each_once(&results.take(10).await, 10);

    admin(&story.space)
        .delete_topics(&[&theirs], &AdminOptions::new())
        .await
        .unwrap();
    let gone = async {
        loop {
            story.produce(1, |_| None).await;
            if results.next().await.value == "output_topic_unknown" {
                break;
            }
        }
    };
    tokio::time::timeout(3 * crate::space::SOON, gone)
        .await
        .expect("it is found out");
    topic(&story.space, "theirs", 1, &[]).await;
    let back = async {
        loop {
            story.produce(1, |_| None).await;
            if results.next().await.value != "output_topic_unknown" {
                break;
            }
        }
    };
    tokio::time::timeout(3 * crate::space::SOON, back)
        .await
        .expect("it is found again");
    engine.stop().await;
}
