//! The address that a process answers on: loopback only, and given back in time.

use std::{net::SocketAddr, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use warp::{filters::BoxedFilter, reply::Response};

use crate::{ApiError, http, metrics};

/// Answers that are still being written when the server stops get this long.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
const SEND_BUFFER_BYTES: u32 = 128 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// # Errors
/// The address is not loopback, or cannot be bound.
pub(crate) async fn bind(listen: SocketAddr) -> Result<TcpListener, ApiError> {
    if !listen.ip().is_loopback() {
        return Err(ApiError::NotLoopback(listen));
    }
    listener(listen).map_err(|source| ApiError::Bind { listen, source })
}

/// With the bound that its connections inherit on what the kernel keeps for a reader who stalls.
fn listener(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if listen.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop`; callers that wait then have `grace`, and answers a little longer.
pub(crate) async fn serve(
    listener: TcpListener,
    counted: PrometheusHandle,
    routes: BoxedFilter<(Response,)>,
    stop: CancellationToken,
    grace: Duration,
) {
    let server = http::serve(listener, routes, stop.clone());
    let overdue = async {
        stop.cancelled().await;
        sleep(grace + LAST_ANSWERS).await;
    };
    tokio::select! {
        () = server => {}
        () = metrics::upkeep(&counted) => {}
        () = overdue => tracing::warn!("stopped with connections still open"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listens_on_loopback_only_and_says_what_is_in_the_way() {
        let everywhere = bind(([0, 0, 0, 0], 0).into()).await.unwrap_err();
        assert!(
            everywhere
                .to_string()
                .contains("0.0.0.0:0: it is not a loopback address")
        );
        let taken = bind(([127, 0, 0, 1], 0).into()).await.unwrap().local_addr().unwrap();
        let holder = bind(taken).await.unwrap();
        let refused = bind(holder.local_addr().unwrap()).await.unwrap_err();
        assert!(refused.to_string().contains("Is another process using the port?"));
    }
}
