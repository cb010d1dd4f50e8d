//! Connections: hyper's HTTP/1.1, with bounds that warp's own server does not set.

mod host;
mod refusal;

use std::{future::ready, pin::pin, time::Duration};

use futures::future::Either;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use warp::{filters::BoxedFilter, reply::Response};

use self::refusal::Socket;

/// For the head of a request, from the first moment on: also the longest pause between two of them. Longer than the
/// minute for which proxies keep a connection, so that it is they who close it.
const HEAD: Duration = Duration::from_secs(65);
/// What is written and not yet taken by the kernel. A stream whose reader stalls holds no more than this.
const BUFFER_BYTES: usize = 64 * 1024;
/// After an error of accept, which is mostly a lack of file descriptors.
const AGAIN: Duration = Duration::from_millis(100);

/// Serves until `stop`, and then until all connections are closed.
pub(crate) async fn serve(listener: TcpListener, routes: BoxedFilter<(Response,)>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, routes.clone(), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(AGAIN).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, routes: BoxedFilter<(Response,)>, stop: CancellationToken) {
    // An event must not wait for the next one to fill a packet.
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(warp::service(routes));
    let service = service_fn(move |mut request: Request<Incoming>| match host::settle(&mut request) {
        Ok(()) => Either::Left(routes.call(request)),
        Err(problem) => Either::Right(ready(Ok(problem.into_response(request.uri().path())))),
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(Socket::new(stream)), service)
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Callers that hang up, or send what is no HTTP.
        tracing::debug!(%error, "a connection broke");
    }
}
