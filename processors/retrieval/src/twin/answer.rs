//! What the twin answers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Serialize;

use super::refusal::{Reason, Refusal};

pub(super) struct Answer {
    status: StatusCode,
    pub(super) body: Bytes,
    lsn: Option<(&'static str, u64)>,
}

impl Answer {
    pub(super) fn of(body: &impl Serialize) -> Result<Self, Refusal> {
        let body = serde_json::to_vec(body).map_err(|error| {
            Refusal::new(
                Reason::Internal,
                format!("the answer cannot be written as JSON: {error}"),
            )
        })?;
        Ok(Self {
            status: StatusCode::OK,
            body: body.into(),
            lsn: None,
        })
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            body: Bytes::new(),
            lsn: None,
        }
    }

    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The log sequence number a write got.
    pub(super) fn written(mut self, lsn: u64) -> Self {
        self.lsn = Some(("x-pinecone-request-lsn", lsn));
        self
    }

    /// The one a read has reached.
    pub(super) fn read_at(mut self, lsn: u64) -> Self {
        self.lsn = Some(("x-pinecone-max-indexed-lsn", lsn));
        self
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = json_response(self.status, self.body);
        if let Some((name, lsn)) = self.lsn {
            response.headers_mut().insert(name, lsn.into());
        }
        response
    }
}

pub(super) fn json_response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
