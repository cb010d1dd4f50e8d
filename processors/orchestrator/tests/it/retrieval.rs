//! What a retrieval can do besides asking for the nearest passages.

use orchestrator::Ending;
use serde_json::{Value, json};

use crate::run::Run;

const QUESTION: &str = "Where does the broker keep its offsets?";

async fn ids(run: &Run, retrieve: Value) -> Vec<String> {
    let chain = run.chain(
        &json!([{"id": "docs", "retrieve": retrieve}]),
        "{{ steps.docs.items | map(attribute='id') | list }}",
    );
    match run.run(&chain, json!({"q": QUESTION})).await.ending {
        Ending::Completed(ids) => serde_json::from_value(ids).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rankings_of_several_questions_become_one() {
    let run = Run::new().await;
    let texts = [
        ("offsets", "The broker keeps its offsets in a topic."),
        ("bananas", "Bananas are yellow and sweet."),
        ("both", "The broker keeps offsets of bananas that are yellow."),
        ("other", "Nothing of this."),
    ];
    run.index("millrace-docs", "acme", &texts).await;

    let queries = json!(["{{ input.q }}", "Which bananas are yellow?"]);
    let mut fused = ids(&run, json!({"index": "millrace-docs", "queries": queries, "top_k": 3})).await;
    fused.sort();
    assert_eq!(fused, ["bananas", "both", "offsets"], "each passage once");

    for (weights, first) in [([100, 1], "offsets"), ([1, 100], "bananas")] {
        let fuse = json!({"rrf": {"weights": weights}});
        let weighted = json!({"index": "millrace-docs", "queries": queries, "top_k": 2, "fuse": fuse});
        assert_eq!(ids(&run, weighted).await[0], first);
    }
}

#[tokio::test]
async fn what_repeats_a_passage_comes_later() {
    let run = Run::new().await;
    let texts = [
        ("first", "The broker keeps its offsets in a topic."),
        ("again", "The broker keeps its offsets in a topic!"),
        ("else", "Offsets are committed in a transaction."),
    ];
    run.index("millrace-docs", "acme", &texts).await;

    let nearest = json!({"index": "millrace-docs", "query": "{{ input.q }}", "top_k": 2});
    let mut nearest = ids(&run, nearest).await;
    nearest.sort();
    assert_eq!(nearest, ["again", "first"]);
    let diverse = json!({"index": "millrace-docs", "query": "{{ input.q }}", "top_k": 2, "mmr": {"lambda": 0.3}});
    assert_eq!(ids(&run, diverse).await[1], "else");
}

#[tokio::test]
async fn a_part_stands_for_the_whole() {
    let run = Run::new().await;
    let of = |whole: &str| json!({"parent_id": whole});
    let texts = [
        ("page", "A page about everything, far from any question.", json!({})),
        ("page#1", "The broker keeps its offsets in a topic.", of("page")),
        ("page#2", "The broker keeps offsets.", of("page")),
        ("lost#1", "A broker has offsets.", of("lost")),
    ];
    run.index_with("millrace-docs", "acme", &texts).await;

    let parents =
        json!({"index": "millrace-docs", "query": "{{ input.q }}", "top_k": 3, "parents": {"field": "parent_id"}});
    let mut found = ids(&run, parents).await;
    found.sort();

    assert_eq!(
        found,
        ["lost#1", "page"],
        "the whole once, and a part whose whole is gone"
    );
}

#[tokio::test]
async fn a_filter_that_fits_what_the_index_declares_is_let_through() {
    let run = Run::new().await;
    let films = [
        (
            "alien",
            "A film.",
            json!({"lang": "en", "year": 1979, "draft": false, "tags": ["horror", "space"]}),
        ),
        (
            "brazil",
            "A film.",
            json!({"lang": "en", "year": 1985, "draft": true, "tags": ["comedy"]}),
        ),
        (
            "metropolis",
            "A film.",
            json!({"lang": "de", "year": 1927, "tags": ["space"]}),
        ),
    ];
    run.index_with("films", "acme", &films).await;

    for (filter, expected) in [
        (
            json!({"lang": "{{ 'en' }}", "year": {"$gte": 1980, "$lt": "{{ input.q | length * 100 }}"}}),
            vec!["brazil"],
        ),
        (
            json!({"$or": [{"draft": {"$exists": false}}, {"draft": {"$eq": false}}]}),
            vec!["alien", "metropolis"],
        ),
        (
            json!({"$and": [{"tags": "space"}, {"lang": {"$in": ["de", "fr"]}}]}),
            vec!["metropolis"],
        ),
    ] {
        let mut found = ids(
            &run,
            json!({"index": "films", "query": "{{ input.q }}", "filter": filter}),
        )
        .await;
        found.sort();
        assert_eq!(found, expected, "{filter}");
    }
}
