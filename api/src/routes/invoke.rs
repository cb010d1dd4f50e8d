//! `POST /chains/{chain}/invoke`: LangServe's call. Waits for the result; past its time the run goes on and the answer
//! says where to collect it.

use std::{sync::Arc, time::Duration};

use bytes::Buf;
use futures::Stream;
use schemas::{RunError, RunResult, status};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use warp::{Filter, filters::BoxedFilter, http::HeaderMap};

use super::{Answer, Path, json, query, segment, with};
use crate::{
    api::Api,
    body,
    call::Call,
    problem::{Blame, Kind, Problem},
    query::Query,
    run,
    trace::Traceparent,
};

pub(super) const PATHS: &[Path] = &[Path::new("/chains/{chain}/invoke", "POST")];

/// However short the caller's wait for the result: an answer that does not know whether there is a run helps nobody.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn routes(api: &Arc<Api>) -> BoxedFilter<(Answer,)> {
    warp::path!("chains" / String / "invoke")
        .and(warp::post())
        .and(query())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .and(with(api))
        .then(
            |chain: String, query: String, headers, body, api: Arc<Api>| async move {
                invoke(&api, &chain, &query, headers, body).await
            },
        )
        .boxed()
}

/// LangServe's answer.
#[derive(Serialize)]
struct Invoked {
    output: Value,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Metadata {
    run_id: String,
    /// LangServe's; always empty.
    feedback_tokens: [(); 0],
}

async fn invoke<B: Buf>(
    api: &Api,
    chain: &str,
    query: &str,
    headers: HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Answer {
    let mut query = Query::of(query);
    let wait = query
        .duration("wait", api.settings.max_wait())
        .unwrap_or(api.settings.invoke_wait());
    query.finish()?;
    let body = body::json(&headers, body, api.settings.max_body_bytes).await?;
    let call = Call::invoke(segment(chain), body)?;
    api.accepts(&call)?;

    let until = Instant::now() + wait;
    let run = api.new_run();
    let trace = Traceparent::of(&headers);
    let mut waiter = api.wait_for(&run)?;
    let acknowledged = until.max(Instant::now() + ACKNOWLEDGED_WITHIN);
    let submitted = timeout_at(acknowledged, api.bridge.submit(&run, call, &trace)).await;
    let src = match submitted {
        Ok(Ok(src)) => src,
        Ok(Err(error)) => return Err(error.into_problem(&run).traced(&trace)),
        Err(_) => return Err(Problem::unconfirmed(&run.request_id).traced(&trace)),
    };
    let Some(record) = api.bridge.result(&mut waiter, Some(&src), until).await else {
        let detail = format!("the run goes on: collect its result from /runs/{}", run.request_id);
        return Err(Problem::new(Kind::WaitExpired, detail)
            .of_run(&run.request_id)
            .traced(&trace));
    };
    match api.bridge.decode(&record, until).await {
        Ok(result) => answer(result).map_err(|problem| problem.of_run(&run.request_id).traced(&trace)),
        Err(problem) => Err(problem.of_run(&run.request_id).traced(&trace)),
    }
}

fn answer(result: RunResult) -> Answer {
    if result.status == status::COMPLETED {
        let output = result.output.as_deref().map_or(Value::Null, run::json);
        return json(&Invoked {
            output,
            metadata: Metadata {
                run_id: result.request_id,
                feedback_tokens: [],
            },
        });
    }
    if result.status == status::INTERRUPTED {
        let detail = format!(
            "decide with POST /runs/{}/resume; /runs/{0} says about what",
            result.request_id
        );
        return Err(Problem::new(Kind::Interrupted, detail));
    }
    let error = result.error.unwrap_or_else(|| RunError {
        class: result.status.clone(),
        message: format!("the run is {}", result.status),
        step: None,
    });
    let place = error.step.map(|step| format!(" (step {step})")).unwrap_or_default();
    let detail = format!("{}: {}{place}", error.class, error.message);
    Err(Problem::new(Kind::RunFailed(Blame::of(&error.class)), detail))
}
