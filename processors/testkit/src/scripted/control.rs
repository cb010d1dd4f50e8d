//! The server's own door, for drivers in other processes:
//!
//! `PUT /control/script` takes a [`Script`] as YAML or JSON, `GET /control/script` shows it, `GET /control/calls` lists
//! the calls (`?request_id=` only some), `GET /control/summary` counts them, `POST /control/reset` forgets them.

use hyper::{Method, Response};
use serde_json::json;

use super::Script;
use super::reply::{Body, problem, whole};
use super::server::State;

pub fn answer(method: &Method, path: &str, query: Option<&str>, body: &[u8], state: &State) -> Response<Body> {
    match (method, path) {
        (&Method::PUT, "script") => match serde_yaml_ng::from_slice::<Script>(body) {
            Ok(script) => {
                state.set_script(script);
                show(&json!({}))
            }
            Err(error) => problem(400, &format!("no such script: {error}")),
        },
        (&Method::GET, "script") => show(&*state.script()),
        (&Method::GET, "calls") => {
            let wanted = query.and_then(|query| query.strip_prefix("request_id="));
            let mut calls = state.calls.list();
            calls.retain(|call| wanted.is_none_or(|wanted| call.request_id == wanted));
            show(&calls)
        }
        (&Method::GET, "summary") => show(&state.calls.summary()),
        (&Method::POST, "reset") => {
            state.calls.reset();
            show(&json!({}))
        }
        _ => problem(404, "unknown control"),
    }
}

fn show(value: &impl serde::Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(json) => whole(200, json.into()),
        Err(error) => problem(500, &error.to_string()),
    }
}
