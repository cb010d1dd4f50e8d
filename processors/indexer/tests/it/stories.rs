use indexer::Error;
use retrieval::{IndexSpec, Query};
use schemas::Document;

use crate::world::World;

fn guide(content: &str) -> Document {
    Document {
        document_id: "guide.md".to_owned(),
        source: "https://example.com/guide.md".to_owned(),
        title: "Guide".to_owned(),
        content: content.to_owned(),
        content_type: "text/markdown".to_owned(),
        ..Document::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_holds_what_the_latest_record_of_a_document_says() {
    let mut world = World::new("index").await;
    let mut indexer = world.start_indexer();
    indexer.ready().await;
    let index = world.index().await;

    let first = guide("# Install\nUse apt.\n# Run\nCall make demo.\n");
    let src = world.send(&first).await;
    let committed = world.committed(&src).await;
    assert_eq!(
        (committed.run.outcome.as_str(), committed.run.chain.as_deref()),
        ("ok", Some("indexer"))
    );
    assert_eq!(
        (committed.run.tenant.as_str(), committed.attempts.len()),
        ("default", 1)
    );
    assert_eq!(committed.attempts[0].request_id, committed.run.request_id);
    let chunks = index.list("default", "").await.unwrap();
    assert_eq!(chunks.len(), 2);
    let chunk = &index.fetch("default", &chunks[..1]).await.unwrap()[0];
    assert_eq!(chunk.metadata["document_id"], "guide.md");
    assert_eq!(chunk.metadata["source"], "https://example.com/guide.md");

    let src = world.send(&first).await;
    let again = world.committed(&src).await;
    assert!(again.attempts.is_empty(), "what is stored is not embedded again");
    assert_eq!(index.list("default", "").await.unwrap(), chunks);

    let theirs = Document {
        tenant: "acme".to_owned(),
        ..first.clone()
    };
    let src = world.send(&theirs).await;
    assert_eq!(world.committed(&src).await.run.tenant, "acme");

    let src = world
        .send(&guide("# Install\nUse apt.\n# Run\nCall make test.\n"))
        .await;
    world.committed(&src).await;
    let changed = index.list("default", "").await.unwrap();
    assert_eq!(
        (changed.len(), changed.iter().filter(|id| chunks.contains(id)).count()),
        (2, 1)
    );
    let texts: Vec<_> = index.fetch("default", &changed).await.unwrap();
    assert!(texts.iter().any(|vector| vector.metadata["text"] == "Call make test."));

    let src = world.send(&Document { deleted: true, ..first }).await;
    world.committed(&src).await;
    assert!(index.list("default", "").await.unwrap().is_empty());
    assert_eq!(index.list("acme", "").await.unwrap().len(), 2);
    indexer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_document_is_paid_in_batches_and_a_change_of_it_only_for_what_changed() {
    let mut world = World::new("long").await;
    let mut indexer = world.start_indexer();
    indexer.ready().await;
    let content: String = (0..200)
        .map(|number| format!("# Part {number}\nThe text of part {number}.\n"))
        .collect();
    let src = world.send(&guide(&content)).await;
    let committed = world.committed(&src).await;
    assert_eq!(committed.attempts.len(), 3, "96 texts a call");
    assert_eq!(world.index().await.stats().await.unwrap().total_vector_count, 200);

    let src = world
        .send(&guide(&content.replace("text of part 77", "story of part 77")))
        .await;
    let changed = world.committed(&src).await;
    assert_eq!(changed.attempts.len(), 1);
    let prompt = changed.attempts[0].prompt.as_deref().unwrap();
    assert!(prompt.contains("part 77") && !prompt.contains("part 78"));
    assert_eq!(world.index().await.stats().await.unwrap().total_vector_count, 200);
    indexer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_indexed_is_found_by_what_it_says() {
    let mut world = World::new("found").await;
    let mut indexer = world.start_indexer();
    indexer.ready().await;
    let question = guide("How does the recorder write to Postgres?");
    let texts = [
        ("recorder.md", "The recorder writes batches to Postgres."),
        ("web.md", "A page shows results as they arrive."),
        ("question.md", question.content.as_str()),
    ];
    for (document_id, content) in texts {
        let document = Document {
            document_id: document_id.to_owned(),
            ..guide(content)
        };
        let src = world.send(&document).await;
        world.committed(&src).await;
    }
    let index = world.index().await;
    let asked = index.list("default", "question.md#").await.unwrap();
    let query = Query {
        namespace: "default".to_owned(),
        vector: index.fetch("default", &asked).await.unwrap()[0].values.clone(),
        top_k: 2,
        include_metadata: true,
        ..Query::default()
    };
    let nearest = index.query(&query).await.unwrap();
    let found: Vec<_> = nearest
        .iter()
        .map(|m| m.metadata["document_id"].as_str().unwrap())
        .collect();
    assert_eq!(found, ["question.md", "recorder.md"]);
    indexer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_document_is_a_dead_letter_with_its_bytes_and_stops_nobody() {
    let mut world = World::new("poison").await;
    let mut indexer = world.start_indexer();
    indexer.ready().await;

    let nameless = Document {
        document_id: String::new(),
        ..guide("text")
    };
    let too_much_metadata = Document {
        metadata: [("notes".to_owned(), "x".repeat(50_000))].into(),
        ..guide("text")
    };
    for (value, class) in [
        (b"not a frame".to_vec(), "corrupt_frame"),
        (b"\x00\xff\xff\xff\xffhello".to_vec(), "unknown_schema"),
        (world.encoded(&nameless), "invalid_document"),
        (world.encoded(&too_much_metadata), "index_refused"),
    ] {
        let src = world.send_raw("guide.md", &value).await;
        let committed = world.committed(&src).await;
        let letter = committed.dead_letter.unwrap();
        assert_eq!(
            (letter.class.as_str(), committed.run.outcome.as_str()),
            (class, class),
            "{}",
            letter.message
        );
        assert_eq!(format!("{}/{}/{}", letter.topic, letter.partition, letter.offset), src);
        assert_eq!(letter.value, Some(value));
    }
    let src = world.send(&guide("text")).await;
    assert!(world.committed(&src).await.dead_letter.is_none());
    indexer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_pinecone_is_away_documents_wait() {
    let mut world = World::new("away").await;
    world.stop_twin().await;
    let mut indexer = world.start_indexer();
    let waits = indexer
        .ready
        .wait_for(|ready| *ready == Err("waiting for Pinecone".to_owned()));
    waits.await.unwrap();
    world.start_twin().await;
    indexer.ready().await;

    world.stop_twin().await;
    let src = world.send(&guide("text")).await;
    world.start_twin().await;
    assert!(world.committed(&src).await.dead_letter.is_none());
    assert_eq!(world.index().await.stats().await.unwrap().total_vector_count, 1);
    indexer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_dimension_is_refused_at_the_start() {
    let world = World::new("differs").await;
    let small = IndexSpec {
        dimension: 8,
        ..world.spec.clone()
    };
    world.pinecone().create_index(&small).await.unwrap();
    let error = world.start_indexer().ended().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::IndexDiffers {
                found: 8,
                expected: 384,
                ..
            }
        ),
        "{error}"
    );
}
