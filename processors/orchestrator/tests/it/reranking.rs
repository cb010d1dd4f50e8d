//! What a reranker makes of the order of documents: of a retrieval's, of another step's, of plain texts.

use orchestrator::Ending;
use serde_json::{Value, json};

use crate::run::{Run, failure};

const QUESTION: &str = "Where does the broker keep its offsets?";

async fn output(run: &Run, steps: Value, output: &str, input: Value) -> Value {
    match run.run(&run.chain(&steps, output), input).await.ending {
        Ending::Completed(output) => output,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn documents_come_back_in_their_new_order_with_their_new_score() {
    let run = Run::new().await;
    let rerank = json!({"model": "bge-reranker-v2-m3", "query": "{{ input.q }}", "documents": "{{ input.docs }}", "top_n": "{{ input.n }}"});
    let steps = json!([{"id": "best", "rerank": rerank}]);
    let docs = json!([
        {"id": "away", "text": "The broker is away.", "score": 0.9, "metadata": {"page": 1}},
        {"id": "kept", "text": "The broker does keep its offsets in a topic.", "score": 0.1, "retrieval_score": 0.2},
        "Where?"]);

    let input = json!({"q": QUESTION, "docs": docs, "n": 2});
    let mut best = output(&run, steps.clone(), "{{ steps.best.items }}", input).await;

    let scores = [0, 1].map(|place| best[place]["score"].take().as_f64().unwrap());
    assert!(scores[0] > scores[1] && scores[0] <= 1.0, "{scores:?}");
    assert_eq!(
        best,
        json!([
            {"id": "kept", "text": "The broker does keep its offsets in a topic.", "score": null, "retrieval_score": 0.2},
            {"id": "away", "text": "The broker is away.", "score": null, "metadata": {"page": 1}, "retrieval_score": 0.9}])
    );
    let texts = json!({"q": QUESTION, "docs": ["Bananas", "the broker"], "n": 200});
    let texts = output(&run, steps, "{{ steps.best.items }}", texts).await;
    assert_eq!(texts[0]["text"], "the broker");
    assert_eq!(texts[1], json!({"text": "Bananas", "score": 0.0}));
}

#[tokio::test]
async fn no_documents_are_ranked_without_a_call_and_too_many_not_at_all() {
    let run = Run::new().await;
    let of = |documents: Value| {
        let rerank = json!({"model": "any", "query": "hello", "documents": documents});
        json!([{"id": "best", "rerank": rerank}])
    };

    assert_eq!(
        output(&run, of(json!([])), "{{ steps.best.items }}", json!({})).await,
        json!([])
    );
    for (documents, class) in [
        (json!(vec!["hello"; 201]), "too_many"),
        (json!(7), "invalid_option"),
        (json!([{"body": "hello"}]), "invalid_option"),
    ] {
        let chain = run.chain(&of(json!("{{ input.documents }}")), "1");
        let outcome = run.run(&chain, json!({"documents": documents})).await;
        assert_eq!(failure(&outcome).class, class);
        assert_eq!(failure(&outcome).step.as_deref(), Some("best"));
    }
}

#[tokio::test]
async fn a_retrieval_ends_with_the_order_of_the_reranker() {
    let run = Run::new().await;
    let of = |whole: &str| json!({"parent_id": whole});
    let texts = [
        (
            "page",
            "Where the broker does keep its offsets, and all the rest.",
            json!({}),
        ),
        ("page#1", "Offsets, offsets: keep offsets.", of("page")),
        ("near", "The broker has offsets.", json!({})),
        ("far", "Bananas are yellow.", json!({})),
    ];
    run.index_with("millrace-docs", "acme", &texts).await;
    let retrieve = json!({
        "index": "millrace-docs", "query": "{{ input.q }}", "top_k": 4, "filter": {"source": "test"},
        "parents": {"field": "parent_id"}, "rerank": {"model": "bge-reranker-v2-m3", "top_n": 2}});
    let chain = run.chain(&json!([{"id": "docs", "retrieve": retrieve}]), "{{ steps.docs.items }}");

    let outcome = run.run(&chain, json!({"q": QUESTION})).await;

    let Ending::Completed(items) = &outcome.ending else {
        panic!("{:?}", outcome.ending)
    };
    assert_eq!((&items[0]["id"], &items[1]["id"]), (&json!("page"), &json!("near")));
    assert_eq!(items.as_array().unwrap().len(), 2);
    assert!(items[0]["retrieval_score"].is_number(), "{items}");
    let audited: Vec<(&str, f64)> = outcome
        .bill
        .documents
        .iter()
        .map(|document| (document.id.as_str(), document.score))
        .collect();
    let given = |place: usize| items[place]["score"].as_f64().unwrap();
    assert_eq!(
        audited,
        [("page", given(0)), ("near", given(1))],
        "the audit has what came of it"
    );
}

#[tokio::test]
async fn passages_of_several_questions_are_ranked_by_the_one_that_is_named() {
    let run = Run::new().await;
    let texts = [("fruit", "Bananas are yellow."), ("kafka", "The broker keeps offsets.")];
    run.index("millrace-docs", "acme", &texts).await;
    for (query, first) in [("yellow bananas", "fruit"), ("offsets of the broker", "kafka")] {
        let retrieve = json!({
            "index": "millrace-docs", "queries": ["bananas", "{{ input.q }}"],
            "rerank": {"model": "bge-reranker-v2-m3", "query": query}});
        let steps = json!([{"id": "docs", "retrieve": retrieve}]);
        let ids = output(
            &run,
            steps,
            "{{ steps.docs.items | map(attribute='id') | list }}",
            json!({"q": QUESTION}),
        );
        assert_eq!(ids.await[0], first);
    }
}
