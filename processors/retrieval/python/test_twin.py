"""Pinecone's own Python client against the twin at $TWIN_URL: every call the twin serves, and what it refuses.

Runs with client 10 (requirements.txt, API 2026-07) and with client 7 (requirements-7.txt, API 2025-04):
TWIN_URL=http://127.0.0.1:5081 pytest processors/retrieval/python
"""

import os
import uuid

import pytest
from pinecone import Pinecone, ServerlessSpec

try:
    from pinecone.exceptions import NotFoundException, PineconeApiException
except ImportError:
    from pinecone.errors.exceptions import ApiError as PineconeApiException, NotFoundError as NotFoundException

FILMS = [
    {"id": "alien", "values": [1.0, 0.0, 0.0], "metadata": {"year": 1979, "tags": ["horror", "sf"], "seen": True}},
    {"id": "brazil", "values": [0.9, 0.5, 0.0], "metadata": {"year": 1985, "tags": ["comedy", "sf"]}},
    {"id": "casablanca", "values": [0.0, 1.0, 0.0], "metadata": {"year": 1942, "tags": ["drama"], "seen": False}},
]


@pytest.fixture
def client():
    return Pinecone(api_key="any", host=os.environ["TWIN_URL"])


@pytest.fixture(params=["cosine", "dotproduct", "euclidean"])
def metric(request):
    return request.param


@pytest.fixture
def name(client, metric):
    name = f"films-{uuid.uuid4().hex[:12]}"
    client.create_index(name=name, dimension=3, metric=metric, spec=ServerlessSpec(cloud="aws", region="us-east-1"))
    yield name
    if client.has_index(name):
        client.delete_index(name)


@pytest.fixture
def index(client, name):
    return client.Index(name)


def ids(matches):
    return [match["id"] for match in matches]


def test_control_plane(client, name, metric):
    description = client.describe_index(name)
    assert (description.name, description.dimension, description.metric) == (name, 3, metric)
    assert description.status["ready"] and description.host.startswith("http://")
    assert name in client.list_indexes().names()

    with pytest.raises(PineconeApiException) as refused:
        client.create_index(name=name, dimension=3, spec=ServerlessSpec(cloud="aws", region="us-east-1"))
    assert "already exists" in str(refused.value)

    client.delete_index(name)
    with pytest.raises(NotFoundException):
        client.describe_index(name)


def test_query(index, metric):
    assert index.upsert(vectors=FILMS, namespace="a").upserted_count == 3

    found = index.query(vector=[1.0, 0.1, 0.0], top_k=2, namespace="a", include_metadata=True, include_values=True)
    assert ids(found.matches)[0] == "alien"
    assert found.matches[0].values == [1.0, 0.0, 0.0]
    assert found.matches[0].metadata["tags"] == ["horror", "sf"]
    assert found.matches[0].metadata["year"] == 1979
    scores = [match.score for match in found.matches]
    assert scores == sorted(scores, reverse=metric != "euclidean")
    assert found.namespace == "a"

    assert ids(index.query(id="casablanca", top_k=1, namespace="a").matches) == ["casablanca"]
    assert ids(index.query(vector=[1.0, 0.0, 0.0], top_k=3, namespace="nobody").matches) == []


@pytest.mark.parametrize("metric", ["cosine"], indirect=True)
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"tags": "sf"}, ["alien", "brazil"]),
        ({"year": {"$gte": 1979, "$lt": 1985}}, ["alien"]),
        ({"tags": {"$in": ["drama", "comedy"]}}, ["brazil", "casablanca"]),
        ({"tags": {"$nin": ["sf"]}}, ["casablanca"]),
        ({"seen": {"$exists": False}}, ["brazil"]),
        ({"seen": {"$ne": True}}, ["brazil", "casablanca"]),
        ({"$or": [{"year": 1942}, {"$and": [{"tags": "sf"}, {"seen": True}]}]}, ["alien", "casablanca"]),
    ],
)
def test_filters(index, condition, expected):
    index.upsert(vectors=FILMS)
    assert sorted(ids(index.query(vector=[1.0, 1.0, 0.0], top_k=9, filter=condition).matches)) == expected


@pytest.mark.parametrize("metric", ["cosine"], indirect=True)
def test_fetch_list_delete_and_stats(index):
    index.upsert(vectors=FILMS, namespace="a")
    index.upsert(vectors=[(f"many-{number:03}", [1.0, 2.0, float(number)]) for number in range(250)], namespace="b")

    fetched = index.fetch(ids=["alien", "nobody"], namespace="a")
    assert list(fetched.vectors) == ["alien"] and fetched.vectors["alien"].values == [1.0, 0.0, 0.0]

    pages = list(index.list(prefix="many-", namespace="b"))
    listed = [getattr(item, "id", item) for page in pages for item in getattr(page, "vectors", page)]
    assert listed == [f"many-{number:03}" for number in range(250)]

    stats = index.describe_index_stats()
    assert (stats.dimension, stats.total_vector_count) == (3, 253)
    assert {name: summary.vector_count for name, summary in stats.namespaces.items()} == {"a": 3, "b": 250}

    index.delete(ids=["alien", "nobody"], namespace="a")
    index.delete(filter={"year": {"$lt": 1950}}, namespace="a")
    index.delete(delete_all=True, namespace="b")
    assert index.describe_index_stats().total_vector_count == 1


@pytest.mark.parametrize("metric", ["cosine"], indirect=True)
def test_the_namespace_without_a_name(index):
    index.upsert(vectors=FILMS)
    assert index.fetch(ids=["alien"], namespace="__default__").vectors
    assert list(index.describe_index_stats().namespaces) == ["__default__"]


@pytest.mark.parametrize("metric", ["cosine"], indirect=True)
def test_refusals(index):
    for call, part in [
        (lambda: index.upsert(vectors=[("x", [1.0, 2.0])]), "does not match the dimension of the index 3"),
        (lambda: index.upsert(vectors=[("x", [0.0, 0.0, 0.0])]), "all zeros"),
        (lambda: index.query(vector=[1.0, 0.0, 0.0], top_k=1, filter={"year": {"$near": 1}}), "is not one of"),
        (lambda: index.upsert(vectors=[{"id": "x", "values": [1.0, 0.0, 0.0], "metadata": {"text": "x" * 41_000}}]), "40960"),
        (lambda: index.upsert(vectors=[(str(at), [float(at + 1)] * 3) for at in range(1_001)]), "1 to 1000"),
        (lambda: index.upsert(vectors=[("x", [1.0, 0.0, 0.0], {"text": "x" * 3_000_000})]), "length too large"),
        (lambda: index.update(id="x", set_metadata={"year": 1}), "does not serve POST"),
    ]:
        with pytest.raises(PineconeApiException) as refused:
            call()
        assert part in str(refused.value)
    assert index.describe_index_stats().total_vector_count == 0


DOCUMENTS = [
    {"id": "a", "text": "Bananas are yellow.", "title": "Fruit"},
    {"id": "b", "text": "The broker keeps its offsets in a topic.", "title": "Offsets"},
    {"id": "c", "text": "The broker is away.", "title": "Brokers"},
]


def test_rerank(client):
    rerank = client.inference.rerank
    ask = {"model": "bge-reranker-v2-m3", "query": "Where does the broker keep offsets?"}

    ranked = rerank(documents=DOCUMENTS, **ask)
    assert [found["index"] for found in ranked.data] == [1, 2, 0]
    assert ranked.data[0]["document"]["title"] == "Offsets"
    scores = [found["score"] for found in ranked.data]
    assert scores == sorted(scores, reverse=True) and 0 <= scores[-1] < scores[0] <= 1
    assert ranked.model == "twin-by-words", "it says what it is"

    texts = [document["text"] for document in DOCUMENTS]
    first = rerank(documents=texts, top_n=1, return_documents=False, parameters={"truncate": "END"}, **ask)
    assert [found["index"] for found in first.data] == [1] and first.data[0]["score"] == scores[0]
    by_title = rerank(documents=DOCUMENTS, rank_fields=["title"], model="any", query="fruit")
    assert by_title.data[0]["index"] == 0


def test_rerank_refusals(client):
    for change, part in [
        ({"rank_fields": ["body"]}, "no text `body`"),
        ({"documents": ["x"] * 201}, "1 to 200 documents"),
    ]:
        with pytest.raises(PineconeApiException) as refused:
            client.inference.rerank(**{"model": "any", "query": "x", "documents": DOCUMENTS, **change})
        assert part in str(refused.value)
