use topics::Headers;

use super::*;

pub(crate) fn run(request_id: &str) -> RunKey {
    RunKey {
        tenant: "acme".to_owned(),
        request_id: request_id.to_owned(),
    }
}

pub(crate) fn result(run: &RunKey, src: &str, value: &str) -> Arc<Record> {
    at(run, src, value, (0, 0))
}

/// One that lies at this partition and offset.
fn at(run: &RunKey, src: &str, value: &str, (partition, offset): (i32, i64)) -> Arc<Record> {
    let headers = Headers::new()
        .with(headers::TENANT, run.tenant.clone())
        .with(headers::REQUEST_ID, run.request_id.clone())
        .with(headers::SRC, src.to_owned());
    Arc::new(Record {
        topic: "results".into(),
        partition,
        offset,
        timestamp_ms: 0,
        append_time: true,
        read_ms: 0,
        key: None,
        value: Some(value.to_owned().into()),
        headers,
    })
}

#[test]
fn the_oldest_go_first_by_number_and_by_bytes() {
    let [a, b, c] = ["a", "b", "c"].map(run);
    let ring = Ring::new(2, 10_000);
    for key in [&a, &b, &c] {
        ring.insert(key.clone(), result(key, "t/0/1", "short"));
    }
    assert!(ring.find(&a, None).is_none());
    assert!(ring.find(&b, None).is_some() && ring.find(&c, None).is_some());

    let large = result(&a, "t/0/2", &"x".repeat(9_990));
    ring.insert(a, large);
    assert!(
        ring.find(&b, None).is_none() && ring.find(&c, None).is_none(),
        "it needs all the bytes for itself"
    );
    ring.insert(b.clone(), result(&b, "t/0/3", &"x".repeat(20_000)));
    let kept = ring.kept.lock().unwrap();
    assert_eq!(
        (kept.bytes, kept.oldest_first.len(), kept.by_run.len()),
        (0, 0, 0),
        "what never fits leaves nothing"
    );
}

#[test]
fn a_run_that_was_produced_twice_is_told_apart_by_src() {
    let key = run("twice");
    let ring = Ring::new(10, 10_000);
    ring.insert(key.clone(), result(&key, "t/0/1", "first"));
    ring.insert(key.clone(), result(&key, "t/0/2", "second"));
    let found = |src| ring.find(&key, src).and_then(|it| it.value.clone());
    assert_eq!(found(None).unwrap(), "first");
    assert_eq!(found(Some("t/0/2")).unwrap(), "second");
    assert!(found(Some("t/0/3")).is_none());
}

/// A ring of two, read from offset 10 of both partitions, through which results have gone.
fn after(arrived: &[(i32, i64)]) -> Ring {
    let ring = Ring::new(2, 10_000);
    let begun = [0, 1].map(|partition| (TopicPartition::new("results", partition), 10));
    ring.adopt(&begun.into());
    for place in arrived {
        ring.insert(run("a"), at(&run("a"), "t/0/1", "x", *place));
    }
    ring
}

fn seen(offsets: [i64; 2]) -> Positions {
    let mut positions = Positions::default();
    (0..)
        .zip(offsets)
        .for_each(|(partition, offset)| positions.set(partition, offset));
    positions
}

/// What a reader gets that goes on after `seen`.
fn resumed(ring: &Ring, seen: &Positions) -> Option<Vec<(i32, i64)>> {
    let mut place = ring.resume(seen)?;
    let Ahead::Results(results) = ring.after(&place, 100) else {
        return Some(Vec::new());
    };
    let places = results.iter().map(|it| (it.record.partition, it.record.offset));
    Some(
        places
            .filter(|(partition, offset)| place.positions.advance(*partition, *offset))
            .collect(),
    )
}

#[test]
fn a_reader_goes_on_exactly_where_it_was_or_learns_that_it_cannot() {
    let ring = after(&[]);
    assert_eq!(resumed(&ring, &seen([10, 10])), Some(vec![]), "nothing came since");
    assert_eq!(resumed(&ring, &seen([9, 10])), None, "what was at 9 was never here");

    let ring = after(&[(1, 10), (0, 12)]);
    assert_eq!(resumed(&ring, &seen([10, 10])), Some(vec![(1, 10), (0, 12)]));
    assert_eq!(
        resumed(&ring, &seen([13, 10])),
        Some(vec![(1, 10)]),
        "another instance had them the other way round"
    );
    assert_eq!(resumed(&ring, &ring.end(0).positions), Some(vec![]));

    let ring = after(&[(1, 10), (0, 12), (0, 13)]);
    assert_eq!(resumed(&ring, &seen([12, 10])), None, "(1, 10) has left the ring");
    assert_eq!(resumed(&ring, &seen([12, 11])), Some(vec![(0, 12), (0, 13)]));
    assert!(ring.has_reached(&seen([14, 11])) && !ring.has_reached(&seen([15, 11])));
}

#[test]
fn a_reader_that_falls_behind_the_ring_is_told_how_much_it_missed_and_goes_on_at_the_end() {
    let ring = after(&[(0, 10)]);
    let mut place = ring.end(0);
    assert!(matches!(ring.after(&place, 100), Ahead::Nothing));
    for offset in 11..15 {
        ring.insert(run("a"), at(&run("a"), "t/0/1", "x", (0, offset)));
    }
    let Ahead::Gap { missed, end } = ring.after(&place, 100) else {
        panic!("two of the four have left the ring");
    };
    assert_eq!((missed, &end), (4, &ring.end(0)));
    place = end;
    ring.insert(run("a"), at(&run("a"), "t/0/1", "x", (1, 10)));
    assert!(matches!(ring.after(&place, 100), Ahead::Results(results) if results.len() == 1));
    assert_eq!(ring.end(2).positions, seen([14, 10]));

    ring.restart();
    assert!(matches!(ring.after(&place, 100), Ahead::Gap { .. }));
    assert!(ring.find(&run("a"), None).is_none());
}
