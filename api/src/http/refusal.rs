//! What hyper answers by itself, to a head that it cannot read: a status and nothing else. Callers were promised a
//! problem of [`crate::problem`] for every error, and hyper has no hook for these, so they are told apart on their way
//! to the socket: one write that is a whole head, of an error, with an empty body and no type. No answer of ours looks
//! like that, because each of our errors has a body.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use warp::http::StatusCode;

use crate::problem::{Kind, Problem};

/// The socket of one connection.
pub(super) struct Socket {
    stream: TcpStream,
    /// What stands for hyper's own answer, and how much of it is written.
    refusal: Option<(Vec<u8>, usize)>,
}

impl Socket {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, refusal: None }
    }

    /// Until all of it is with the kernel.
    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((bytes, written)) = &mut self.refusal {
            let rest = bytes.get(*written..).unwrap_or_default();
            if rest.is_empty() {
                self.refusal = None;
                break;
            }
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(more)) => *written += more,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(status) = own_answer(bytes) {
            self.refusal = Some((refusal(status), 0));
            return Poll::Ready(Ok(bytes.len()));
        }
        match self.poll_refusal(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.stream).poll_write(cx, bytes),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_refusal(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.stream).poll_flush(cx),
            other => other,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_refusal(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.stream).poll_shutdown(cx),
            other => other,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [bytes] = slices {
            return self.poll_write(cx, bytes);
        }
        match self.poll_refusal(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

/// The status, when this is an answer that hyper made.
fn own_answer(bytes: &[u8]) -> Option<StatusCode> {
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let status = StatusCode::from_bytes(status.as_bytes()).ok()?;
    let is_bare = lines.all(|line| {
        let name = line.split(':').next().unwrap_or_default();
        ["content-length", "connection", "date"].contains(&name) && (name != "content-length" || line.ends_with(": 0"))
    });
    (is_bare && status.is_client_error()).then_some(status)
}

/// All of it, as it goes over the wire.
fn refusal(status: StatusCode) -> Vec<u8> {
    let problem = match status {
        StatusCode::URI_TOO_LONG => Problem::new(
            Kind::TargetTooLong,
            "the request's target is longer than 65,534 bytes; what is long belongs into the body",
        ),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Problem::new(
            Kind::HeadersTooLarge,
            "the request has more than 100 headers, or its head is larger than 64 KiB",
        ),
        _ => Problem::new(
            Kind::MalformedRequest,
            "this is no HTTP/1.1 request: look at its first line (one space between its three parts, none inside of the \
             target), its header names and values, and that it has at most one Content-Length, a whole number",
        ),
    };
    let (status, body) = problem.into_text("");
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_head_of_an_error_is_an_answer_of_hyper() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(own_answer(bare), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        for other in [
            "HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\ncontent-length: 120\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 120\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n{}",
            "data: HTTP/1.1 400 Bad Request\r\n\r\n",
            "",
        ] {
            assert_eq!(own_answer(other.as_bytes()), None, "{other}");
        }
    }
}
