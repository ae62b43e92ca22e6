//! One connection from its first byte to its last answer.
use std::{
    convert::Infallible,
    fmt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, Version, header},
    response::IntoResponse as _,
};
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{self, Instant},
};

use super::{
    Limits,
    failure::Failure,
    handshake::{Opened, Socket},
    reply::{Reply, TEXT},
    transport::Transport,
};
use crate::shutdown::Shutdown;

/// How long a connection that has just come is given for its first request after the listener has
/// closed. hyper would close it at once, with the request on its way.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Heads are small; bodies come in pieces of this size.
const BUFFER: usize = 64 << 10;

/// Answers the requests of one listener.
pub(super) trait Site: Send + Sync + 'static {
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// What all connections of one listener share.
pub(super) struct Connections<S> {
    pub(super) transport: Transport,
    pub(super) site: S,
    pub(super) limits: Limits,
    pub(super) leaving: Shutdown,
    pub(super) stop: watch::Receiver<bool>,
}

impl<S: Site> Connections<S> {
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream) {
        // Answers are small and whole; waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        let handshakes = match &self.transport {
            Transport::Plain => return self.http1(TokioIo::new(stream)).await,
            Transport::Tls(handshakes) => handshakes,
        };
        let opened = time::timeout(self.limits.handshake, handshakes.open(stream)).await;
        match opened.unwrap_or(Err(Failure::TimedOut)) {
            Ok(Opened::Tls(stream)) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let io = TokioIo::new(stream);
                if http2 {
                    self.http2(io).await;
                } else {
                    self.http1(io).await;
                }
            }
            Ok(Opened::PlainHttp(stream)) => {
                handshakes.report(Failure::PlainHttp);
                let answer = wants_https(TokioIo::new(stream));
                let _ = time::timeout(self.limits.handshake, answer).await;
            }
            Err(failure) => handshakes.report(failure),
        }
    }

    async fn http1(self: Arc<Self>, io: impl Read + Write + Unpin + 'static) {
        let used = Arc::new(AtomicBool::new(false));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.idle)
            .max_buf_size(BUFFER)
            .serve_connection(io, self.service(&used));
        self.drive(connection, &used).await;
    }

    async fn http2(self: Arc<Self>, io: impl Read + Write + Unpin + 'static) {
        let used = Arc::new(AtomicBool::new(false));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .max_concurrent_streams(250)
            .max_header_list_size(16 << 10)
            .keep_alive_interval(Duration::from_mins(1))
            .keep_alive_timeout(Duration::from_secs(20))
            .serve_connection(io, self.service(&used));
        self.drive(connection, &used).await;
    }

    /// The site, which while we are leaving also asks the caller to do so.
    fn service(
        self: &Arc<Self>,
        used: &Arc<AtomicBool>,
    ) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
    + use<S> {
        let shared = Arc::clone(self);
        let used = Arc::clone(used);
        service_fn(move |request: Request<Incoming>| {
            used.store(true, Ordering::Relaxed);
            let shared = Arc::clone(&shared);
            async move {
                let version = request.version();
                let mut response = shared.site.answer(request).await;
                // HTTP/2 has its own farewell and forbids the header.
                if version <= Version::HTTP_11 && shared.leaving.is_draining() {
                    close_after(&mut response);
                }
                Ok(response)
            }
        })
    }

    /// Runs a connection to its end, which comes soon after `stop`.
    async fn drive<C>(&self, connection: C, used: &AtomicBool)
    where
        C: GracefulConnection,
        C::Error: fmt::Display,
    {
        let mut connection = pin!(connection);
        let mut stop = self.stop.clone();
        tokio::select! {
            ended = connection.as_mut() => return report(ended),
            _ = stop.wait_for(|stop| *stop) => {}
        }
        let end = Instant::now() + self.limits.farewell;
        if !used.load(Ordering::Relaxed)
            && let Ok(ended) = time::timeout(FIRST_REQUEST, connection.as_mut()).await
        {
            return report(ended);
        }
        connection.as_mut().graceful_shutdown();
        if let Ok(ended) = time::timeout_at(end, connection).await {
            report(ended);
        }
    }
}

/// How connections break is the callers' affair; it helps only who looks for it.
fn report<E: fmt::Display>(ended: Result<(), E>) {
    if let Err(reason) = ended {
        tracing::debug!(%reason, "connection broke");
    }
}

fn close_after(response: &mut Response<Body>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
}

/// Answers the one request of somebody who forgot the `s` in `https`.
async fn wants_https(io: TokioIo<Socket>) {
    let service = service_fn(|_: Request<Incoming>| async {
        let mut response = Reply {
            status: StatusCode::BAD_REQUEST,
            content_type: TEXT,
            body: "this port speaks HTTPS only: write https:// in the address\n".into(),
        }
        .into_response();
        close_after(&mut response);
        Ok::<_, Infallible>(response)
    });
    report(http1::Builder::new().serve_connection(io, service).await);
}
