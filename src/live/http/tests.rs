use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap as Headers, Method as Verb, StatusCode, Uri},
    response::Redirect,
    routing::any,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::{SinkExt as _, StreamExt as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::{Message, handshake::server as handshake};

use super::{super::Live, *};
use crate::{
    certs::fixture::{self, Pair},
    policy::{
        call::{Statuses, Target, Text, Url},
        file::{Field, Method, SecretKeyRef},
    },
    shutdown,
    trial::{Hook, Hooks, Outcome, Run},
    velero::{OnError, Timeout},
};

const TOKEN: &str = "s3cr3t-t0ken";

/// An application that can be made quiet, and what it was asked.
#[derive(Clone, Default)]
struct Application(Arc<AtomicUsize>);

impl Application {
    fn asked(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn router(&self) -> Router {
        let echo = |verb: Verb, uri: Uri, headers: Headers, body: String| async move {
            let headers: BTreeMap<String, String> = headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect();
            json!({
                "method": verb.as_str(), "path": uri.to_string(), "headers": headers, "body": body,
            })
            .to_string()
        };
        let refuse = |headers: Headers| async move {
            let sent = headers["authorization"].to_str().unwrap().to_owned();
            (StatusCode::FORBIDDEN, format!("{sent} is no token of mine"))
        };
        let busy = |State(Self(asked)): State<Self>| async move {
            match asked.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::OK,
            }
        };
        let slow = |State(Self(asked)): State<Self>| async move {
            if asked.fetch_add(1, Ordering::SeqCst) == 0 {
                std::future::pending::<()>().await;
            }
        };
        let endless = || async {
            let block = Bytes::from(vec![b'x'; 65536]);
            let blocks = futures::stream::repeat_with(move || Ok::<_, Infallible>(block.clone()));
            Body::from_stream(blocks)
        };
        Router::new()
            .route("/pause", any(|| async { r#"{"state":{"paused":true}}"# }))
            .route("/echo", any(echo))
            .route("/refuse", any(refuse))
            .route(
                "/elsewhere",
                any(|| async { Redirect::temporary("/pause") }),
            )
            .route("/busy", any(busy))
            .route("/slow", any(slow))
            .route("/endless", any(endless))
            .with_state(self.clone())
    }

    async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router();
        tokio::spawn(async move { axum::serve::serve(listener, router).await });
        address
    }
}

fn of(name: &str, key: &str) -> SecretKeyRef {
    SecretKeyRef {
        name: name.to_owned(),
        key: key.to_owned(),
    }
}

fn to(address: SocketAddr, path: &str) -> Call {
    Call {
        method: Method::Post,
        target: Target::Url(Url {
            https: false,
            host: address.ip().to_string(),
            port: address.port(),
            path: path.to_owned(),
        }),
        headers: vec![(
            "Authorization".to_owned(),
            Text {
                literal: "Bearer ".to_owned(),
                secret: Some(of("shop-admin", "token")),
            },
        )],
        body: None,
        statuses: vec![Statuses::GOOD],
        fields: Vec::new(),
        ca: None,
        timeout: Timeout::from_seconds(60),
        on_error: OnError::Fail,
        retry: None,
    }
}

fn expecting(path: &str, equals: Value) -> Vec<Field> {
    let path = path.to_owned();
    vec![Field { path, equals }]
}

/// The API server, as far as Secrets go.
fn cluster() -> Client {
    let service = tower::service_fn(|request: Request<kube::client::Body>| async move {
        let token = BASE64_STANDARD.encode(format!("{TOKEN}\n"));
        let (status, body) = match request.uri().path() {
            "/api/v1/namespaces/shop/secrets/shop-admin" => {
                (200, json!({"kind": "Secret", "data": {"token": token}}))
            }
            _ => (
                404,
                json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404,
                    "message": "not found"}),
            ),
        };
        let response = Response::builder().status(status);
        let body = Full::new(Bytes::from(body.to_string()));
        Ok::<_, Infallible>(response.body(body).unwrap())
    });
    Client::new(service, "shop")
}

async fn made(phase: HookPhase, call: &Call) -> Run {
    made_by(cluster(), phase, call).await
}

async fn made_by(client: Client, phase: HookPhase, call: &Call) -> Run {
    let (_trigger, shutdown) = shutdown::channel();
    let live = Live {
        client: &client,
        shutdown: &shutdown,
        hold: Duration::ZERO,
        tell: |_, _| {},
    };
    let subject = Subject {
        namespace: "shop".to_owned(),
        name: "orders-0".to_owned(),
        policies: None,
        hooks: Hooks::default(),
        labels: BTreeMap::new(),
        pod: "{}".to_owned(),
    };
    let (run, _) = live.run(&subject, &Hook::http(phase, call)).await;
    let told = format!("{run:?}");
    assert!(!told.contains(TOKEN), "{told}");
    run
}

async fn pre(call: &Call) -> Run {
    made(HookPhase::Pre, call).await
}

#[tokio::test]
async fn what_is_sent_is_what_the_policy_says() {
    let address = Application::default().serve().await;
    let call = Call {
        method: Method::Patch,
        body: Some(Text {
            literal: r#"{"paused":true,"as":""#.to_owned(),
            secret: None,
        }),
        fields: [
            expecting("/method", json!("PATCH")),
            expecting("/path", json!("/echo?reason=backup")),
            expecting("/body", json!(r#"{"paused":true,"as":""#)),
            expecting("/headers/authorization", json!(format!("Bearer {TOKEN}"))),
            expecting("/headers/host", json!(address.to_string())),
            expecting("/headers/user-agent", json!(AGENT)),
        ]
        .concat(),
        ..to(address, "/echo?reason=backup")
    };
    let run = pre(&call).await;
    assert_eq!(run.outcome, Outcome::Exited(0));
    assert_eq!((run.stdout, run.stderr), (String::new(), String::new()));
}

#[tokio::test]
async fn an_answer_that_is_not_expected_is_told_of_without_the_secret() {
    let address = Application::default().serve().await;
    for (call, stderr, stdout) in [
        (
            to(address, "/refuse"),
            "status 403, expected 2xx",
            "Bearer *** is no token of mine",
        ),
        (to(address, "/elsewhere"), "status 307, expected 2xx", ""),
        (to(address, "/nowhere"), "status 404, expected 2xx", ""),
        (
            Call {
                fields: expecting("/state/paused", json!(false)),
                ..to(address, "/pause")
            },
            "status 200, and /state/paused is not false",
            r#"{"state":{"paused":true}}"#,
        ),
    ] {
        let run = pre(&call).await;
        assert_eq!(run.outcome, Outcome::Exited(1), "{call}");
        assert_eq!((&*run.stderr, &*run.stdout), (stderr, stdout));
    }
    let call = Call {
        statuses: vec![Statuses::parse("307").unwrap()],
        ..to(address, "/elsewhere")
    };
    assert_eq!(pre(&call).await.outcome, Outcome::Exited(0));
}

#[tokio::test]
async fn of_an_endless_answer_a_mebibyte_is_read() {
    let address = Application::default().serve().await;
    let call = to(address, "/endless");
    assert_eq!(pre(&call).await.outcome, Outcome::Exited(0));
    let call = Call {
        fields: expecting("/paused", json!(true)),
        ..call
    };
    let run = pre(&call).await;
    assert_eq!(run.outcome, Outcome::Exited(1));
    assert!(
        run.stderr.contains("more than 1048576 bytes"),
        "{}",
        run.stderr
    );
    let (most, shown) = (LARGEST as u64 + 1024, run.stdout.len());
    assert!(
        run.printed <= most && shown == 1024,
        "{} {shown}",
        run.printed
    );
}

const THRICE: Option<Retry> = Some(Retry {
    attempts: 3,
    delay: Timeout::from_seconds(0),
});

#[tokio::test]
async fn what_was_heard_is_repeated_only_to_undo() {
    for (phase, outcome, asked) in [
        (HookPhase::Pre, Outcome::Exited(1), 1),
        (HookPhase::Post, Outcome::Exited(0), 3),
    ] {
        let application = Application::default();
        let call = Call {
            retry: THRICE,
            ..to(application.serve().await, "/busy")
        };
        assert_eq!(made(phase, &call).await.outcome, outcome);
        assert_eq!(application.asked(), asked);
    }
}

#[tokio::test]
async fn without_an_answer_the_hook_has_timed_out_and_post_has_more_attempts() {
    let application = Application::default();
    let call = Call {
        timeout: Timeout::from_seconds(1),
        retry: THRICE,
        ..to(application.serve().await, "/slow")
    };
    assert_eq!(pre(&call).await.outcome, Outcome::TimedOut);
    assert_eq!(application.asked(), 1);

    let application = Application::default();
    let call = Call {
        timeout: Timeout::from_seconds(30),
        retry: THRICE.map(|it| Retry { attempts: 10, ..it }),
        ..to(application.serve().await, "/slow")
    };
    let run = made(HookPhase::Post, &call).await;
    assert_eq!(run.outcome, Outcome::Exited(0));
    assert_eq!(application.asked(), 2);
}

#[tokio::test]
async fn where_nobody_listens_yet_pre_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let call = Call {
        retry: THRICE,
        ..to(address, "/busy")
    };
    let Outcome::NotRun(why) = pre(&call).await.outcome else {
        panic!("nobody listens there");
    };
    assert!(why.contains("no connection to 127.0.0.1"), "{why}");

    // It answers 200 from the third request on: had one of pre's been heard before, that would be it.
    let application = Application::default();
    let router = application.router();
    let call = Call {
        retry: Some(Retry {
            attempts: 10,
            delay: Timeout::from_seconds(1),
        }),
        ..call
    };
    let late = async {
        while TcpStream::connect(address).await.is_ok() {}
        let listener = TcpListener::bind(address).await.unwrap();
        tokio::spawn(async move { axum::serve::serve(listener, router).await });
    };
    let (run, ()) = tokio::join!(pre(&call), late);
    assert_eq!(run.outcome, Outcome::Exited(1));
    assert_eq!(application.asked(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_may_have_been_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let call = Call {
        retry: THRICE,
        ..to(listener.local_addr().unwrap(), "/pause")
    };
    let heard = Application::default();
    let Application(count) = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 64];
            let _ = stream.read(&mut request).await;
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    for (phase, heard_by_now) in [(HookPhase::Pre, 1), (HookPhase::Post, 4)] {
        let run = made(phase, &call).await;
        assert!(matches!(run.outcome, Outcome::Lost(_)), "{run:?}");
        assert_eq!(heard.asked(), heard_by_now);
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_named() {
    let address = Application::default().serve().await;
    for (secret, said) in [
        (
            of("shop-admin", "key"),
            r#"the key "key" of the Secret "shop-admin" is not there"#,
        ),
        (
            of("other", "token"),
            r#"the key "token" of the Secret "other" cannot be read"#,
        ),
    ] {
        let call = Call {
            body: Some(Text {
                literal: String::new(),
                secret: Some(secret),
            }),
            ..to(address, "/pause")
        };
        let Outcome::NotRun(why) = pre(&call).await.outcome else {
            panic!("{said}");
        };
        assert!(why.contains(said), "{why}");
    }
}

/// An API server whose kubelets forward ports as theirs do: two channels a port, data and errors, each
/// of which begins with the port's number. The port is that of a process here.
async fn forwarding() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(forwarded(stream));
        }
    });
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    Client::try_from(config).unwrap()
}

#[expect(clippy::result_large_err, reason = "tungstenite's own callback")]
async fn forwarded(stream: TcpStream) {
    let mut port = 0_u16;
    let greet = |request: &handshake::Request, mut response: handshake::Response| {
        let asked = request.uri().to_string();
        let path = "/api/v1/namespaces/shop/pods/orders-0/portforward?";
        assert!(asked.starts_with(path), "{asked}");
        port = asked.split("ports=").nth(1).unwrap().parse().unwrap();
        let protocol = "v4.channel.k8s.io".parse().unwrap();
        response
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, greet).await;
    let mut socket = socket.unwrap();
    let [low, high] = port.to_le_bytes();
    for channel in [0, 1] {
        let first = Message::binary(vec![channel, low, high]);
        socket.send(first).await.unwrap();
    }
    let Ok(mut application) = TcpStream::connect(("127.0.0.1", port)).await else {
        let why = format!("\u{1}failed to connect to localhost:{port}: connection refused");
        socket
            .send(Message::binary(why.into_bytes()))
            .await
            .unwrap();
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
        return;
    };
    let mut block = vec![0; 4096];
    loop {
        tokio::select! {
            Some(Ok(message)) = socket.next() => {
                if let [0, data @ ..] = &*message.into_data() {
                    application.write_all(data).await.unwrap();
                }
            }
            Ok(read) = application.read(&mut block) => {
                let data = [&[0], &block[..read]].concat();
                if read == 0 || socket.send(Message::binary(data)).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}

#[tokio::test]
async fn a_port_of_the_pod_is_called_through_the_api_server() {
    let address = Application::default().serve().await;
    let to_port = |port: u16, path: &str| Call {
        target: Target::Pod {
            port,
            path: path.to_owned(),
        },
        headers: Vec::new(),
        ..to(address, path)
    };
    let ask = async |call: Call| made_by(forwarding().await, HookPhase::Pre, &call).await;
    let good = Call {
        fields: expecting(
            "/headers/host",
            json!(format!("127.0.0.1:{}", address.port())),
        ),
        ..to_port(address.port(), "/echo")
    };
    assert_eq!(ask(good).await.outcome, Outcome::Exited(0));
    let refused = ask(to_port(address.port(), "/nowhere")).await;
    assert_eq!(refused.stderr, "status 404, expected 2xx");

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    match ask(to_port(port, "/pause")).await.outcome {
        Outcome::NotRun(why) => assert!(why.contains("connection refused"), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// A server with a certificate of its own authority.
async fn with_tls(pair: &Pair) -> SocketAddr {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pair.chain.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.unwrap(), key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let service = hyper::service::service_fn(|_| async {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    address
}

#[tokio::test]
async fn https_is_believed_by_the_certificates_that_were_named() {
    let pair = fixture::with_intermediate();
    let address = with_tls(&pair).await;
    let url = |ca: Option<SecretKeyRef>| Call {
        target: Target::Url(Url {
            https: true,
            host: "localhost".to_owned(),
            port: address.port(),
            path: "/".to_owned(),
        }),
        headers: Vec::new(),
        ca,
        ..to(address, "/")
    };
    let client = cluster();
    let begins = AtomicBool::new(false);
    let from = From::Outside {
        client: client.clone(),
        namespace: "shop".to_owned(),
        pod: "orders-0".to_owned(),
    };
    let road = Road {
        from: &from,
        begins: &begins,
    };
    let ask = async |call: Call, ca: &str| {
        let values = call
            .ca
            .iter()
            .map(|it| (it.clone(), ca.as_bytes().to_vec()));
        let secrets = Secrets::new(values.collect(), call.ca.clone());
        attempts(road, HookPhase::Pre, &call, &secrets).await.exit
    };
    let named = Some(of("shop-ca", "ca.crt"));
    let own = pair.ca.unwrap();
    assert!(matches!(ask(url(named.clone()), &own).await, Exit::Code(0)));

    let tomorrow = SystemTime::now() + Duration::from_hours(24);
    let foreign = fixture::self_signed(tomorrow).chain;
    for (call, ca, said) in [
        (url(named.clone()), &*foreign, "invalid peer certificate"),
        (url(None), "", ""),
        (url(named), "no PEM", "there are no certificates to trust"),
    ] {
        match ask(call, ca).await {
            Exit::NotRun(why) => assert!(why.contains(said), "{why}"),
            other => panic!("{said}: {other:?}"),
        }
    }
}
