//! Sends requests, and follows redirects by hand: each is held to the list, and takes only what is meant for its host.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, Method, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
    redirect,
};

use crate::{
    Answer, EgressError, Hosts, Origin, Request,
    answer::refusal,
    call::IDEMPOTENCY_KEY,
    hosts::Host,
    metrics::{self, Timed},
    resolver::Resolver,
};

const MAX_REDIRECTS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The one door through which chains call outside.
#[derive(Debug, Clone)]
pub struct Egress {
    hosts: Arc<Hosts>,
    /// Apart from each other: a connection that one may use must not be found in the pool of the other.
    public: Client,
    private: Client,
}

/// The HTTP client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client of chains")]
pub struct SetupError(#[source] reqwest::Error);

impl Egress {
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(hosts: Arc<Hosts>) -> Result<Self, SetupError> {
        metrics::describe();
        Ok(Self {
            hosts,
            public: client(false)?,
            private: client(true)?,
        })
    }

    #[must_use]
    pub fn hosts(&self) -> &Arc<Hosts> {
        &self.hosts
    }

    /// Sends it and gives the answer, which has a status that is `fine` and at most `max_bytes`. It ends when the caller
    /// drops it; nothing is sent twice.
    ///
    /// # Errors
    /// See [`EgressError`].
    pub async fn send(
        &self,
        request: &Request,
        fine: impl Fn(u16) -> bool,
        max_bytes: usize,
    ) -> Result<Answer, EgressError> {
        let timed = Timed::begin(request.origin.host());
        let sent = self.follow(request.clone(), fine, max_bytes).await;
        timed.end(sent.as_ref().map_or_else(EgressError::class, |_| "ok"));
        sent
    }

    async fn follow(
        &self,
        mut request: Request,
        fine: impl Fn(u16) -> bool,
        max_bytes: usize,
    ) -> Result<Answer, EgressError> {
        let mut redirects = 0;
        loop {
            let host = request.origin.host();
            let response = self.once(&request).await?;
            let status = response.status();
            if fine(status.as_u16()) {
                return Answer::read(response, host, max_bytes).await;
            }
            let Some(location) = target(&response, &request)? else {
                return Err(refusal(response, host).await);
            };
            redirects += 1;
            if redirects > MAX_REDIRECTS {
                let most = MAX_REDIRECTS;
                return Err(EgressError::Redirects { host, most });
            }
            self.redirect(&mut request, status, location)?;
        }
    }

    async fn once(&self, request: &Request) -> Result<Response, EgressError> {
        let host = self.hosts.find(&request.origin)?;
        let mut headers = request.own.clone();
        for (name, value) in request.headers.iter().chain(&host.headers) {
            headers.insert(name, value.clone());
        }
        let mut sent = self
            .client(host)
            .request(request.method.clone(), request.url.clone())
            .headers(headers);
        if let Some(body) = &request.body {
            sent = sent.body(body.clone());
        }
        sent.send()
            .await
            .map_err(|error| EgressError::transport(request.origin.host(), error))
    }

    fn client(&self, host: &Host) -> &Client {
        if host.private { &self.private } else { &self.public }
    }

    fn redirect(&self, request: &mut Request, status: StatusCode, to: Target) -> Result<(), EgressError> {
        let Target { url, origin } = to;
        self.hosts.check(&origin).map_err(|to| EgressError::Redirect {
            host: request.origin.host(),
            to,
        })?;
        if origin != request.origin {
            request.headers.clear();
        }
        // As browsers do (RFC 9110 §15.4).
        let asks_again = match status {
            StatusCode::SEE_OTHER => request.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
            _ => false,
        };
        if asks_again {
            request.method = Method::GET;
            request.body = None;
            for headers in [&mut request.own, &mut request.headers] {
                headers.remove(CONTENT_TYPE);
                headers.remove(IDEMPOTENCY_KEY);
            }
        }
        request.url = url;
        request.origin = origin;
        Ok(())
    }
}

struct Target {
    url: url::Url,
    origin: Origin,
}

/// Where a redirect leads; `None` if it is none.
fn target(response: &Response, request: &Request) -> Result<Option<Target>, EgressError> {
    let follows = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_| follows) else {
        return Ok(None);
    };
    let malformed = || EgressError::Malformed {
        host: request.origin.host(),
        what: "redirects to something that is no URL of HTTP".to_owned(),
    };
    let location = location.to_str().map_err(|_| malformed())?;
    let mut url = request.url.join(location).map_err(|_| malformed())?;
    // Else it would become a header.
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return Err(malformed());
    }
    let origin = Origin::of(&url).ok_or_else(malformed)?;
    Ok(Some(Target { url, origin }))
}

fn client(private: bool) -> Result<Client, SetupError> {
    Client::builder()
        .dns_resolver(Resolver { private })
        // A proxy would connect to addresses that nobody here has checked.
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(usize::MAX)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(SetupError)
}
