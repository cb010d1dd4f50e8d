//! `POST /runs/{id}/resume`: somebody decides where a run waits, and it goes on as its next turn.

use std::sync::Arc;

use bytes::Buf;
use futures::Stream;
use schemas::status;
use tokio::time::Instant;
use warp::{
    Filter,
    filters::BoxedFilter,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};

use super::{Answer, Path, json, query, runs, with};
use crate::{
    api::{Api, unknown},
    body,
    bridge::SubmitError,
    call::Decisions,
    history::{Claim, Waiting},
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

/// What the last turn of a run waits for: Postgres has it, or the ring if that is behind.
async fn waiting(api: &Api, run: &RunKey) -> Result<Waiting, Problem> {
    let recorded = api.history.waiting(run).await?;
    let turn = recorded.as_ref().map_or(-1, |(turn, ..)| *turn);
    let newest = runs::newest(api, run, None, Instant::now()).await?;
    let (status, waiting) = match (newest, recorded) {
        (Some(result), recorded)
            if result.turn > turn
                || recorded
                    .as_ref()
                    .is_some_and(|(_, known, _)| known == QUEUED && result.turn == turn) =>
        {
            (result.status.clone(), Waiting::of(result))
        }
        (_, Some((_, status, waiting))) => (status, waiting),
        (_, None) if run.is_young() => (QUEUED.to_owned(), None),
        (_, None) => return Err(unknown(run)),
    };
    waiting.ok_or_else(|| {
        let detail = match status.as_str() {
            status::INTERRUPTED => format!("the result of run {} cannot be resumed", run.request_id),
            status => format!("run {} is {status}", run.request_id),
        };
        Problem::new(Kind::NotInterrupted, detail).of_run(&run.request_id)
    })
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
    match api.history.claim(run, waiting, decisions).await? {
        Claim::Mine => {}
        Claim::Same(src) => return Ok(src),
        Claim::Unconfirmed => {
            let detail = "the same was decided a moment ago, and it is not confirmed yet";
            return Err(Problem::new(Kind::Unconfirmed, detail)
                .of_run(&run.request_id)
                .retry_after(30));
        }
        Claim::Other => {
            let detail = format!(
                "somebody else has decided; /runs/{}?turn={} goes on",
                run.request_id,
                waiting.turn + 1
            );
            return Err(Problem::new(Kind::Decided, detail).of_run(&run.request_id));
        }
    }
    let turn = waiting.turn + 1;
    match api.bridge.resume(run, waiting, decisions, trace).await {
        Ok(src) => {
            // The request is on its way; without this line, the same decision could be made once more.
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
        Err(error) => {
            if error.is_certain() {
                // It was told why; who comes again half a minute later finds the claim free.
                let _ = api.history.give_back(run, turn).await;
            }
            Err(SubmitError::into_problem(error, run).traced(trace))
        }
    }
}
