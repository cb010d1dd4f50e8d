//! `POST /runs`: begin one and do not wait. `GET /runs/{id}`: how it stands, or how it ends. `GET /runs`: those that
//! were.

use std::sync::Arc;

use bytes::Buf;
use futures::Stream;
use schemas::{RunResult, status};
use serde::Serialize;
use tokio::time::Instant;
use warp::{
    Filter,
    filters::BoxedFilter,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};

use super::{Answer, Path, json, query, reading, with};
use crate::{
    api::{Api, unknown, unknown_turn},
    body,
    call::Call,
    history::{Cursor, Wanted},
    problem::Problem,
    query::Query,
    ring::RunKey,
    run::{Run, STATUSES},
    trace::Traceparent,
};

pub(super) const PATHS: &[Path] = &[
    Path::new("/runs", "GET, HEAD, POST"),
    Path::new("/runs/{id}", "GET, HEAD"),
];

/// Runs of one page, unless the caller says otherwise.
const PAGE: u32 = 50;

pub(super) fn routes(api: &Arc<Api>) -> BoxedFilter<(Answer,)> {
    let begin = warp::path!("runs")
        .and(warp::post())
        .and(query())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .and(with(api))
        .then(|query: String, headers, body, api: Arc<Api>| async move { begin(&api, &query, headers, body).await });
    let list = warp::path!("runs")
        .and(reading())
        .and(query())
        .and(with(api))
        .then(|query: String, api: Arc<Api>| async move { list(&api, &query).await });
    let show = warp::path!("runs" / String)
        .and(reading())
        .and(query())
        .and(with(api))
        .then(|id: String, query: String, api: Arc<Api>| async move { show(&api, &id, &query).await });
    begin.or(list).unify().or(show).unify().boxed()
}

async fn begin<B: Buf>(
    api: &Api,
    query: &str,
    headers: HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Answer {
    Query::of(query).finish()?;
    let body = body::json(&headers, body, api.settings.max_body_bytes).await?;
    let call = Call::run(body)?;
    api.accepts(&call)?;
    let run = api.new_run();
    let trace = Traceparent::of(&headers);
    let submitted = api.bridge.submit(&run, call, &trace).await;
    submitted.map_err(|error| error.into_problem(&run).traced(&trace))?;

    let mut response = json(&Run::queued(&run))?;
    *response.status_mut() = StatusCode::ACCEPTED;
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    if let Ok(location) = HeaderValue::try_from(format!("/runs/{}", run.request_id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Registers, looks into the ring, then into Postgres, then waits: no result slips between.
async fn show(api: &Api, id: &str, query: &str) -> Answer {
    let mut query = Query::of(query);
    let wait = query.duration("wait", api.settings.max_wait());
    let turn = query.number("turn", 0..=i32::MAX);
    let run = api.asked_for(id, query)?;
    let Some(wait) = wait else {
        return standing(&look(api, &run, turn, Instant::now()).await?);
    };

    let until = Instant::now() + wait;
    let mut waiter = api.wait_for(&run)?;
    let before = look(api, &run, turn, until).await;
    if let Ok(known) = &before
        && known.end.is_some()
    {
        return json(known);
    }
    let src = before.as_ref().ok().and_then(Run::awaited);
    match api.bridge.result(&mut waiter, src.as_deref(), until).await {
        Some(record) => {
            let result = api.bridge.decode(&record, until).await?;
            match (before, turn) {
                (Ok(known), _) => json(&known.ended_by(result)),
                // Without Postgres: it may be another turn's, or have been resumed since.
                (Err(_), Some(turn)) if turn == result.turn => json(&Run::from(result)),
                (Err(_), None) if result.status != status::INTERRUPTED => json(&Run::from(result)),
                (Err(problem), _) => Err(problem),
            }
        }
        None => standing(&look(api, &run, turn, until).await?),
    }
}

/// A run that has not ended is asked for again.
fn standing(run: &Run) -> Answer {
    let mut response = json(run)?;
    if run.end.is_none() {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// How a turn of a run stands, or its last one: a state that it had, and none that comes before one that was told already.
///
/// # Errors
/// 404 when no request of such a run was accepted before this was asked. 503 when it cannot be told how it stands: Postgres
/// cannot be read, or the recorder is behind results that this api does not hold any more, and the run's may be among them.
pub(super) async fn look(api: &Api, run: &RunKey, turn: Option<i32>, until: Instant) -> Result<Run, Problem> {
    if let Some(known) = known(api, run, turn, until).await? {
        return Ok(known);
    }
    let queued = match turn {
        Some(turn) if turn > 0 => {
            let resumed = api.history.resumed(run, turn).await?;
            Run {
                turn,
                request_src: resumed.ok_or_else(|| unknown_turn(run, turn))?,
                ..Run::queued(run)
            }
        }
        Some(_) | None if run.is_young() || !api.recorder.has_passed_requests().await? => Run::queued(run),
        // By now its request is recorded, if there is one.
        Some(_) | None => return known(api, run, turn, until).await?.ok_or_else(|| unknown(run)),
    };
    api.recorder.has_what_left(&api.bridge.ring).await?;
    Ok(queued)
}

/// What the ring and Postgres know of it.
async fn known(api: &Api, run: &RunKey, turn: Option<i32>, until: Instant) -> Result<Option<Run>, Problem> {
    // A turn that has ended stays as it is; one that waits for a decision may have been followed by another.
    let is_over = |status: &str| turn.is_some() || status != status::INTERRUPTED;
    let recent = newest(api, run, turn, until).await?;
    let nothing_is_missing = match &recent {
        Some(result) if is_over(&result.status) => Ok(()),
        // Before the row is read: what was recorded by then is in it.
        Some(_) | None => api.recorder.has_what_left(&api.bridge.ring).await,
    };
    let known = match (recent, api.history.run(run, turn).await) {
        (Some(result), Ok(Some(known))) if known.turn > result.turn => known,
        (Some(result), Ok(Some(known))) if known.turn < result.turn => Run::from(result),
        (_, Ok(Some(known))) if known.end.is_some() => known,
        (Some(result), Err(problem)) if !is_over(&result.status) => return Err(problem),
        (Some(result), known) => known_with(known.ok().flatten(), result),
        (None, Ok(Some(known))) => known,
        (None, Ok(None)) => return Ok(None),
        (None, Err(problem)) => return Err(problem),
    };
    if known.end.is_some() && is_over(&known.status) {
        return Ok(Some(known));
    }
    nothing_is_missing?;
    if known.status == status::INTERRUPTED
        && let Some(Some(src)) = api.history.resumed(run, known.turn + 1).await?
    {
        return Ok(Some(Run {
            turn: known.turn + 1,
            request_src: Some(src),
            ..Run::queued(run)
        }));
    }
    Ok(Some(known))
}

/// The result of that turn, or of the last one that has one, as far as it is in the ring. The first one counts.
pub(super) async fn newest(
    api: &Api,
    run: &RunKey,
    turn: Option<i32>,
    until: Instant,
) -> Result<Option<RunResult>, Problem> {
    let mut newest: Option<RunResult> = None;
    for record in api.bridge.ring.of(run) {
        let result = api.bridge.decode(&record, until).await?;
        let wanted = turn.is_none_or(|turn| turn == result.turn);
        if wanted && newest.as_ref().is_none_or(|newest| newest.turn < result.turn) {
            newest = Some(result);
        }
    }
    Ok(newest)
}

pub(super) fn known_with(known: Option<Run>, result: RunResult) -> Run {
    match known {
        Some(known) => known.ended_by(result),
        None => Run::from(result),
    }
}

#[derive(Serialize)]
struct Page {
    /// The latest first.
    runs: Vec<Run>,
    /// Give it as `cursor` to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

async fn list(api: &Api, query: &str) -> Answer {
    let mut query = Query::of(query);
    let limit = query.number("limit", 1..=200).unwrap_or(PAGE);
    let wanted = Wanted {
        tenant: api.tenant(&mut query),
        chain: query.text("chain"),
        key: query.text("key"),
        status: query.one_of("status", &STATUSES),
        before: query.text("cursor").and_then(|text| {
            let cursor = Cursor::parse(&text);
            if cursor.is_none() {
                query.mistake("cursor", "not a next_cursor of an earlier page", "value_error");
            }
            cursor
        }),
    };
    query.finish()?;
    let (runs, next) = api.history.runs(&wanted, limit).await?;
    json(&Page {
        runs,
        next_cursor: next.map(|cursor| cursor.to_string()),
    })
}
