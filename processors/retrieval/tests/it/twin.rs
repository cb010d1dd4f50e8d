use std::{fs, path::Path};

use retrieval::{
    ApiKey, Delete, IndexSpec, Metric, Pinecone, PineconeSettings, Query, RetrievalError, Vector,
    twin::{Twin, TwinError, TwinSettings},
};
use serde_json::json;

async fn start(folder: &Path) -> (Twin, Pinecone) {
    let twin = Twin::start(TwinSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: folder.to_owned(),
    })
    .await
    .unwrap();
    let pinecone = Pinecone::new(&PineconeSettings {
        control_url: twin.url().to_owned(),
        api_key: ApiKey::new("any"),
        ..PineconeSettings::default()
    });
    (twin, pinecone.unwrap())
}

fn spec(dimension: u32) -> IndexSpec {
    IndexSpec {
        name: "docs".to_owned(),
        index: "films".to_owned(),
        embedding: "local".to_owned(),
        dimension,
        metric: Metric::Cosine,
        text_key: "text".to_owned(),
        fields: std::collections::BTreeMap::new(),
    }
}

fn film(id: &str, values: [f32; 2], year: u32) -> Vector {
    Vector {
        id: id.to_owned(),
        values: values.to_vec(),
        metadata: json!({"year": year, "tags": ["film"]}).as_object().unwrap().clone(),
    }
}

fn ids(vectors: impl IntoIterator<Item = Vector>) -> Vec<String> {
    let mut ids: Vec<_> = vectors.into_iter().map(|vector| vector.id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn an_index_is_created_filled_asked_emptied_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (twin, pinecone) = start(folder.path()).await;

    assert!(matches!(
        pinecone.index("films").await,
        Err(RetrievalError::NotFound { .. })
    ));
    let created = pinecone.create_index(&spec(2)).await.unwrap();
    assert_eq!((created.dimension, created.metric), (Some(2), Metric::Cosine));
    assert!(matches!(
        pinecone.create_index(&spec(2)).await,
        Err(RetrievalError::AlreadyExists { .. })
    ));
    assert_eq!(pinecone.list_indexes().await.unwrap(), [created]);

    let index = pinecone.index("films").await.unwrap();
    let films = [
        film("alien", [1.0, 0.0], 1979),
        film("brazil", [1.0, 1.0], 1985),
        film("c", [0.0, 1.0], 1942),
    ];
    let lsn = index.upsert("a", &films).await.unwrap().unwrap();
    assert!(
        index
            .wait_for_lsn("a", lsn, std::time::Duration::from_secs(60))
            .await
            .unwrap()
    );
    index.upsert("b", &films[..1]).await.unwrap();

    let query = Query {
        namespace: "a".to_owned(),
        vector: vec![2.0, 0.1],
        top_k: 2,
        filter: Some(json!({"year": {"$gt": 1950}, "tags": "film"})),
        include_metadata: true,
        ..Query::default()
    };
    let matches = index.query(&query).await.unwrap();
    assert_eq!(
        matches.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(),
        ["alien", "brazil"]
    );
    assert!(matches[0].score > 0.99 && matches[0].values.is_empty());
    assert_eq!(matches[0].metadata["year"], json!(1979.0));

    let stats = index.stats().await.unwrap();
    assert_eq!((stats.total_vector_count, stats.namespaces["a"].vector_count), (4, 3));
    assert_eq!(
        index
            .fetch("a", &["c".to_owned(), "nobody".to_owned()])
            .await
            .unwrap()
            .len(),
        1
    );

    index.delete("a", &Delete::Filter(json!({"year": 1942}))).await.unwrap();
    index
        .delete("a", &Delete::Ids(vec!["alien".to_owned(), "nobody".to_owned()]))
        .await
        .unwrap();
    assert_eq!(index.list("a", "").await.unwrap(), ["brazil"]);
    index.delete("a", &Delete::All).await.unwrap();
    assert_eq!(index.delete("a", &Delete::All).await.unwrap(), None);
    assert_eq!(index.stats().await.unwrap().total_vector_count, 1);

    pinecone.delete_index("films").await.unwrap();
    assert_eq!(pinecone.list_indexes().await.unwrap(), []);
    twin.stop().await;
}

#[tokio::test]
async fn more_than_one_request_takes_is_split_and_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (_twin, pinecone) = start(folder.path()).await;
    pinecone.create_index(&spec(100)).await.unwrap();
    let index = pinecone.index("films").await.unwrap();
    let vectors: Vec<_> = (0..3_500)
        .map(|number: u32| Vector {
            id: format!("{number:05}"),
            values: (0..100).map(|at| (number * 100 + at) as f32 / 7.0).collect(),
            ..Vector::default()
        })
        .collect();
    index.upsert("a", &vectors).await.unwrap();

    let expected: Vec<_> = vectors.iter().map(|vector| vector.id.clone()).collect();
    assert_eq!(index.list("a", "").await.unwrap(), expected);
    assert_eq!(index.list("a", "0001").await.unwrap(), expected[10..20]);
    let mut fetched = index.fetch("a", &expected).await.unwrap();
    fetched.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(fetched, vectors);
    index.delete("a", &Delete::Ids(expected)).await.unwrap();
    assert_eq!(index.stats().await.unwrap().total_vector_count, 0);
}

/// The files of a running twin, copied, are what `kill -9` would leave.
#[tokio::test]
async fn what_was_acknowledged_survives_the_end_of_the_process() {
    let (folder, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_running, pinecone) = start(folder.path()).await;
    pinecone.create_index(&spec(2)).await.unwrap();
    let index = pinecone.index("films").await.unwrap();
    index
        .upsert(
            "a",
            &[film("alien", [1.0, 0.0], 1979), film("brazil", [0.0, 1.0], 1985)],
        )
        .await
        .unwrap();
    index.upsert("a", &[film("alien", [0.5, 0.5], 1980)]).await.unwrap();
    index
        .delete("a", &Delete::Ids(vec!["brazil".to_owned()]))
        .await
        .unwrap();
    fs::copy(folder.path().join("films.log"), left.path().join("films.log")).unwrap();

    let (_twin, pinecone) = start(left.path()).await;
    let index = pinecone.index("films").await.unwrap();
    let films = index
        .fetch("a", &["alien".to_owned(), "brazil".to_owned()])
        .await
        .unwrap();
    assert_eq!(films[0].values, [0.5, 0.5]);
    assert_eq!(ids(films), ["alien"]);
}

#[tokio::test]
async fn mistakes_are_refused_in_words_that_help() {
    let folder = tempfile::tempdir().unwrap();
    let (_twin, pinecone) = start(folder.path()).await;
    let refusal = pinecone.create_index(&spec(0)).await.unwrap_err();
    assert!(refusal.to_string().contains("1 to 20000"), "{refusal}");

    pinecone.create_index(&spec(2)).await.unwrap();
    let index = pinecone.index("films").await.unwrap();
    for (vector, part) in [
        (
            Vector {
                id: "x".to_owned(),
                values: vec![1.0; 3],
                ..Vector::default()
            },
            "dimension 3 does not match",
        ),
        (film("ü", [1.0, 0.0], 1), "ASCII"),
        (film(&"x".repeat(513), [1.0, 0.0], 1), "512"),
        (film("x", [0.0, 0.0], 1), "all zeros"),
        (
            Vector {
                metadata: json!({"text": "x".repeat(41_000)}).as_object().unwrap().clone(),
                ..film("x", [1.0, 0.0], 1)
            },
            "the limit is 40960",
        ),
        (
            Vector {
                metadata: json!({"a": {"b": 1}}).as_object().unwrap().clone(),
                ..film("x", [1.0, 0.0], 1)
            },
            "list of strings",
        ),
    ] {
        let refusal = index.upsert("a", &[vector]).await.unwrap_err();
        assert!(refusal.to_string().contains(part), "{refusal}");
        assert!(!refusal.is_transient());
    }
    assert_eq!(index.stats().await.unwrap().total_vector_count, 0);
}

#[tokio::test]
async fn a_twin_serves_this_machine_only() {
    let folder = tempfile::tempdir().unwrap();
    let settings = TwinSettings {
        listen: "0.0.0.0:0".parse().unwrap(),
        data_dir: folder.path().to_owned(),
    };
    assert!(matches!(Twin::start(settings).await, Err(TwinError::NotLoopback(_))));
}
