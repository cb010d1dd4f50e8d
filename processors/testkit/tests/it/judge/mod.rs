//! The judge of fault runs on real parts: it must not see what was aborted, and must say so when a reader did.

mod run;

use std::path::Path;

use run::Run;
use testkit::chaos::{
    RunFolder,
    check::{Check, Isolation, Verdict, gather},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

fn whats(verdict: &Verdict, check: Check) -> Vec<&str> {
    let of_check = verdict.violations.iter().filter(|violation| violation.check == check);
    of_check.map(|violation| violation.what.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_what_is_not_committed_is_found_out() {
    let run = Run::new("judge-isolation").await;
    run.reader(Isolation::ReadCommitted).await;
    let verdict = run.judged(Isolation::ReadCommitted).await;
    assert_eq!((verdict.requests_in_log, verdict.results), (1, 1));
    assert_eq!((verdict.lost, verdict.duplicates, verdict.audit_missing), (0, 0, 0));
    assert_eq!(whats(&verdict, Check::Reader), [""; 0]);
    assert!(verdict.postgres_mismatches > 0, "nobody has recorded anything");

    run.reader(Isolation::ReadUncommitted).await;
    let verdict = run.judged(Isolation::ReadCommitted).await;
    assert_eq!(
        whats(&verdict, Check::Reader),
        [
            "the reader saw a result that was never committed",
            "the reader saw two results of one request"
        ]
    );

    // The judge himself: what was aborted is a second result to him.
    let verdict = run.judged(Isolation::ReadUncommitted).await;
    assert_eq!((verdict.results, verdict.duplicates), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_nobody_ends_is_found() {
    let run = Run::new("judge-hanging").await;
    run.reader(Isolation::ReadCommitted).await;
    run.hangs().await;
    let verdict = run.judged(Isolation::ReadCommitted).await;
    let hanging = [
        "a transaction is still open: readers cannot pass it",
        "offsets of a transaction are pending that nobody ends: nobody can take over",
    ];
    assert_eq!(whats(&verdict, Check::Hanging), hanging, "{:#?}", verdict.violations);
    let shown: Vec<&str> = verdict
        .violations
        .iter()
        .filter(|violation| violation.check == Check::Hanging)
        .flat_map(|violation| violation.evidence.iter().map(String::as_str))
        .collect();
    let places = [run.space.topic("results"), run.space.topic("requests")];
    for (shown, place) in shown.into_iter().zip(places) {
        assert!(shown.contains(&format!("{place}/0:")), "{shown}");
    }
    assert_eq!((verdict.results, verdict.duplicates), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_at_first_is_asked_again() {
    let run = Run::new("judge-patience").await;
    run.reader(Isolation::ReadCommitted).await;
    let mut plan = run.plan();
    for url in [&mut plan.postgres_url, &mut plan.registry_url, &mut plan.bootstrap] {
        let there = address(url).to_owned();
        *url = url.replace(&there, &away_at_first(there.clone()).await);
    }
    run.leave_plan(&plan);
    let verdict = run.judged(Isolation::ReadCommitted).await;
    assert_eq!((verdict.results, verdict.lost), (1, 0));
}

/// `host:port` of a door to this server, which throws out whoever comes first.
async fn away_at_first(upstream: String) -> String {
    let door = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = door.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        drop(door.accept().await.unwrap());
        loop {
            let (mut client, _) = door.accept().await.unwrap();
            let upstream = upstream.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(upstream).await.unwrap();
                // how it ends is the clients' business
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

/// `host:port` in a URL, or the first one in a list.
fn address(url: &str) -> &str {
    let rest = url
        .rsplit_once('@')
        .or_else(|| url.split_once("//"))
        .map_or(url, |(_, rest)| rest);
    rest.split(['/', ',']).next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judge_without_a_run_has_no_verdict() {
    let error = gather(&RunFolder::at(Path::new("/nowhere")), Isolation::ReadCommitted).await;
    assert!(error.unwrap_err().to_string().contains("/nowhere/plan.json"));
}
