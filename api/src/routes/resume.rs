//! `POST /runs/{id}/resume`: somebody decides where a run waits, and it goes on as its next turn.

use std::sync::Arc;

use bytes::Buf;
use futures::Stream;
use schemas::{RunResult, status};
use tokio::time::{Instant, timeout_at};
use warp::{
    Filter,
    filters::BoxedFilter,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};

use super::{Answer, Path, json, query, runs, with};
use crate::{
    api::Api,
    body,
    bridge::SubmitError,
    call::Decisions,
    history::{Claim, Claimed, HANDED_OVER, LastTurn, Waiting},
    problem::{Kind, Problem},
    query::Query,
    ring::RunKey,
    run::{QUEUED, Run},
    trace::Traceparent,
};

pub(super) const PATHS: &[Path] = &[Path::new("/runs/{id}/resume", "POST")];

pub(super) fn routes(api: &Arc<Api>) -> BoxedFilter<(Answer,)> {
    warp::path!("runs" / String / "resume")
        .and(warp::post())
        .and(query())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .and(with(api))
        .then(|id: String, query: String, headers, body, api: Arc<Api>| async move {
            resume(&api, &id, &query, headers, body).await
        })
        .boxed()
}

async fn resume<B: Buf>(
    api: &Api,
    id: &str,
    query: &str,
    headers: HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Answer {
    let mut query = Query::of(query);
    let wait = query.duration("wait", api.settings.max_wait());
    let run = api.asked_for(id, query)?;
    let body = body::json(&headers, body, api.settings.max_body_bytes).await?;
    api.is_ready()?;
    let until = Instant::now() + wait.unwrap_or_default();
    let waiting = waiting(api, &run).await?;
    let waits = serde_json::from_value(waiting.output.clone()).unwrap_or_default();
    let decisions = Decisions::read(body, &waits)?;

    let trace = Traceparent::of(&headers);
    let mut waiter = api.wait_for(&run)?;
    let src = submit(api, &run, &waiting, &decisions, &trace).await?;
    let turn = waiting.turn + 1;
    if wait.is_some()
        && let Some(record) = api.bridge.result(&mut waiter, Some(&src), until).await
    {
        let result = api.bridge.decode(&record, until).await?;
        let known = runs::look(api, &run, Some(turn), until).await.ok();
        return json(&runs::known_with(known, result));
    }
    let queued = Run {
        turn,
        status: QUEUED.to_owned(),
        request_src: Some(src),
        ..Run::queued(&run)
    };
    let mut response = json(&queued)?;
    *response.status_mut() = StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    if let Ok(location) = HeaderValue::try_from(format!("/runs/{}?turn={turn}", run.request_id)) {
        headers.insert(header::LOCATION, location);
    }
    Ok(response)
}

/// What the last turn of a run waits for. A run that comes to wait between two looks is not refused for that.
async fn waiting(api: &Api, run: &RunKey) -> Result<Waiting, Problem> {
    const LOOKS: usize = 3;
    let mut looks = 0;
    let detail = loop {
        let status = match last(api, run).await? {
            (_, Some(waiting)) => return Ok(waiting),
            (status, None) => status,
        };
        if status.as_deref() == Some(status::INTERRUPTED) {
            break format!("the result of run {} cannot be resumed", run.request_id);
        }
        let known = runs::look(api, run, None, Instant::now()).await?;
        looks += 1;
        if known.status != status::INTERRUPTED || looks == LOOKS {
            break format!("run {} is {}", run.request_id, known.status);
        }
    };
    Err(Problem::new(Kind::NotInterrupted, detail).of_run(&run.request_id))
}

/// How the last turn stands, and what it waits for: Postgres has it, or the ring if that is behind.
async fn last(api: &Api, run: &RunKey) -> Result<(Option<String>, Option<Waiting>), Problem> {
    let newest = runs::newest(api, run, None, Instant::now()).await?;
    Ok(match (newest, api.history.last_turn(run).await?) {
        (Some(result), recorded) if is_newer(&result, recorded.as_ref()) => {
            (Some(result.status.clone()), Waiting::of(result))
        }
        (newest, Some(LastTurn { turn, status, waiting })) => {
            // The turn after it was begun: who decides the same joins.
            let before = newest.filter(|result| status == QUEUED && result.turn + 1 == turn);
            (Some(status), waiting.or_else(|| before.and_then(Waiting::of)))
        }
        (_, None) => (None, None),
    })
}

fn is_newer(result: &RunResult, recorded: Option<&LastTurn>) -> bool {
    recorded
        .is_none_or(|LastTurn { turn, status, .. }| result.turn > *turn || (result.turn == *turn && status == QUEUED))
}

/// Puts the request on the stream, unless that was done: who decides second joins who decided the same, and is told if it
/// was something else. Returns its source.
async fn submit(
    api: &Api,
    run: &RunKey,
    waiting: &Waiting,
    decisions: &Decisions,
    trace: &Traceparent,
) -> Result<String, Problem> {
    let turn = waiting.turn + 1;
    let mut began = Instant::now();
    let claimed = match api.history.claim(run, waiting, decisions).await? {
        Claim::Mine(claimed) => claimed,
        Claim::Same(src) => return Ok(src),
        Claim::Unconfirmed => return Err(unconfirmed(run, AGAIN)),
        Claim::Stale(stale) => {
            if !api.recorder.has_passed_requests().await? {
                return Err(unconfirmed(run, WHEN_RECORDED));
            }
            began = Instant::now();
            let taken = api.history.take_over(run, turn, stale).await?;
            taken.ok_or_else(|| unconfirmed(run, WHEN_RECORDED))?
        }
        Claim::Other => {
            let detail = format!(
                "somebody else has decided; /runs/{}?turn={turn} goes on",
                run.request_id
            );
            return Err(Problem::new(Kind::Decided, detail).of_run(&run.request_id));
        }
        Claim::Begun => {
            let detail = format!("turn {turn} of run {} was begun past this api", run.request_id);
            return Err(Problem::new(Kind::NotInterrupted, detail).of_run(&run.request_id));
        }
    };
    produce(api, run, waiting, decisions, trace, (claimed, began)).await
}

/// Within the time for which the claim is certainly this caller's.
async fn produce(
    api: &Api,
    run: &RunKey,
    waiting: &Waiting,
    decisions: &Decisions,
    trace: &Traceparent,
    (claimed, began): (Claimed, Instant),
) -> Result<String, Problem> {
    let turn = waiting.turn + 1;
    if began.elapsed() > HANDED_OVER / 2 {
        let _ = api.history.give_back(run, turn, claimed).await;
        return Err(unconfirmed(run, AGAIN));
    }
    let resumed = timeout_at(began + HANDED_OVER, api.bridge.resume(run, waiting, decisions, trace)).await;
    match resumed {
        Ok(Ok(src)) => {
            // It is on its way. Without this line whoever comes again waits for the recorder.
            if api.history.confirm(run, turn, &src).await.is_err() {
                tracing::warn!(
                    request_id = run.request_id,
                    turn,
                    src,
                    "a resume could not be confirmed in Postgres"
                );
            }
            Ok(src)
        }
        Ok(Err(error)) => {
            if error.is_certain() {
                // It was told why; who comes again finds the claim free.
                let _ = api.history.give_back(run, turn, claimed).await;
            }
            Err(SubmitError::into_problem(error, run).traced(trace))
        }
        Err(_elapsed) => Err(unconfirmed(run, AGAIN).traced(trace)),
    }
}

/// Until nobody can be producing the request any more, in seconds.
const AGAIN: u32 = 30;
/// Until a recorder that is behind may have passed it.
const WHEN_RECORDED: u32 = 5;

fn unconfirmed(run: &RunKey, seconds: u32) -> Problem {
    let detail = "the same was decided before, and whether its request is on the stream is not known yet: the brokers have not \
                  confirmed it, nor has the recorder passed it. Send it again in a moment; it is never done twice";
    Problem::new(Kind::Unconfirmed, detail)
        .of_run(&run.request_id)
        .retry_after(seconds)
}
