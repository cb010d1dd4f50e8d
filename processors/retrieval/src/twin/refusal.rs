//! Why the twin refuses a call, in the error shapes of Pinecone: vector calls answer `{code, message, details}` (the
//! gRPC status), the control plane `{status, error: {code, message}}`, and a missing key is answered in plain text.

use hyper::StatusCode;
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    InvalidArgument,
    NotFound,
    AlreadyExists,
    TooLarge,
    /// Pinecone has this call, the twin does not serve it yet.
    Unimplemented,
    Internal,
}

impl Refusal {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Reason::InvalidArgument, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Reason::NotFound, message)
    }

    pub(super) fn unimplemented(what: &str) -> Self {
        Self::new(
            Reason::Unimplemented,
            format!("the Pinecone twin does not support {what} yet"),
        )
    }

    pub(super) fn status(&self) -> StatusCode {
        self.reason.codes().0
    }

    pub(super) fn as_rpc_status(&self) -> Value {
        json!({"code": self.reason.codes().1, "message": self.message, "details": []})
    }

    pub(super) fn as_control_error(&self) -> Value {
        let (status, _, code) = self.reason.codes();
        json!({"status": status.as_u16(), "error": {"code": code, "message": self.message}})
    }
}

impl Reason {
    /// HTTP status, number and name of the gRPC status (github.com/grpc/grpc, doc/statuscodes.md).
    fn codes(self) -> (StatusCode, u8, &'static str) {
        match self {
            Self::InvalidArgument => (StatusCode::BAD_REQUEST, 3, "INVALID_ARGUMENT"),
            Self::NotFound => (StatusCode::NOT_FOUND, 5, "NOT_FOUND"),
            Self::AlreadyExists => (StatusCode::CONFLICT, 6, "ALREADY_EXISTS"),
            Self::TooLarge => (StatusCode::BAD_REQUEST, 11, "OUT_OF_RANGE"),
            Self::Unimplemented => (StatusCode::NOT_IMPLEMENTED, 12, "UNIMPLEMENTED"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 13, "INTERNAL"),
        }
    }
}
