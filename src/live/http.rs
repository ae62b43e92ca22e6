//! A hook that is a call over HTTP, made from here: outside of the pod, or in a container of it. What Secrets
//! have is read for it, sent, and forgotten.

mod connect;
mod secrets;

use std::{convert::Infallible, sync::atomic::Ordering, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{HOST, HeaderName, HeaderValue, USER_AGENT},
};
use kube::Client;
use tokio::time;

use self::{
    connect::{Connected, From, Road},
    secrets::Secrets,
};
use super::Subject;
use crate::{
    kubernetes::{Ended, Exit, Printed, Running, with_causes},
    policy::{call::Call, file::Retry},
    trial::{
        HttpHook,
        answer::{Answer, LARGEST, judge, shown, without},
    },
    velero::HookPhase,
};

const AGENT: &str = concat!("quiescent/", env!("CARGO_PKG_VERSION"));

/// Begins to call. It ends as a command does: with 0 when the answer is the expected one, else with 1.
pub fn call(client: &Client, subject: &Subject, hook: &HttpHook) -> Running {
    begin(
        From::Outside {
            client: client.clone(),
            namespace: subject.namespace.clone(),
            pod: subject.name.clone(),
        },
        hook,
    )
}

/// The same from a container of the pod, whose variables have the Secrets.
pub fn call_within(hook: &HttpHook) -> Running {
    begin(From::Within, hook)
}

fn begin(from: From, hook: &HttpHook) -> Running {
    let HttpHook { phase, call } = hook.clone();
    Running::new(|begins| async move {
        let secrets = match &from {
            From::Outside {
                client, namespace, ..
            } => secrets::read(client, namespace, &call).await,
            From::Within => secrets::of_variables(&call),
        };
        let secrets = match secrets {
            Ok(secrets) => secrets,
            Err(why) => return ended(Exit::NotRun(why)),
        };
        let road = Road {
            from: &from,
            begins: &begins,
        };
        attempts(road, phase, &call, &secrets).await
    })
}

/// What changes something is sent once, unless it never left. What undoes may come twice.
async fn attempts(road: Road<'_>, phase: HookPhase, call: &Call, secrets: &Secrets) -> Ended {
    let Retry { attempts, delay } = call.retry.unwrap_or(ONCE);
    let share = call.timeout.to_std() / u32::from(attempts.max(1));
    let mut left = attempts;
    loop {
        left = left.saturating_sub(1);
        // The last one ends with the hook's own time, which is not ours to keep.
        let share = (left > 0).then_some(share);
        let ended = attempt(road, phase, call, secrets, share).await;
        let again = match &ended.exit {
            Exit::Code(0) => false,
            Exit::NotRun(_) => true,
            Exit::Code(_) | Exit::Lost(_) => phase != HookPhase::Pre,
        };
        if left == 0 || !again {
            return ended;
        }
        time::sleep(delay.to_std()).await;
    }
}

const ONCE: Retry = Retry {
    attempts: 1,
    delay: crate::velero::Timeout::from_seconds(0),
};

async fn attempt(
    road: Road<'_>,
    phase: HookPhase,
    call: &Call,
    secrets: &Secrets,
    share: Option<Duration>,
) -> Ended {
    let connecting = connect::connect(road, &call.target, secrets.ca());
    let connected = match share {
        None => connecting.await,
        Some(share) => match time::timeout(share, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(format!("no connection within {share:?}")),
        },
    };
    let connected = match connected {
        Ok(connected) => connected,
        Err(why) => return ended(Exit::NotRun(why)),
    };
    road.begins.store(true, Ordering::Relaxed);
    let asked = ask(connected, call, secrets);
    match share.filter(|_| phase != HookPhase::Pre) {
        None => asked.await,
        Some(share) => match time::timeout(share, asked).await {
            Ok(ended) => ended,
            Err(_) => ended(Exit::Lost(format!("no answer within {share:?}"))),
        },
    }
}

async fn ask(connected: Connected, call: &Call, secrets: &Secrets) -> Ended {
    let request = match request(call, secrets) {
        Ok(request) => request,
        Err(why) => return ended(Exit::NotRun(why)),
    };
    let Connected {
        stream,
        mut refused,
    } = connected;
    let (mut sender, connection) = match http1::handshake(stream).await {
        Ok(both) => both,
        Err(error) => return ended(Exit::NotRun(with_causes(&error))),
    };
    let answer = async {
        let response = sender.send_request(request).await;
        match response {
            Ok(response) => answered(response, call, secrets).await,
            Err(error) if error.is_canceled() => ended(Exit::NotRun(with_causes(&error))),
            Err(error) => ended(Exit::Lost(with_causes(&error))),
        }
    };
    // A connection that breaks is told of by what was asked through it.
    let connection = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    let came = tokio::select! {
        biased;
        Some(why) = &mut refused => return ended(not_through(why)),
        came = answer => came,
        never = connection => match never {},
    };
    match came.exit {
        // The way to the pod says why only after it was closed.
        Exit::Lost(_) => match time::timeout(WORD, refused).await {
            Ok(Some(why)) => ended(not_through(why)),
            Ok(None) | Err(_) => came,
        },
        Exit::Code(_) | Exit::NotRun(_) => came,
    }
}

/// How long the kubelet may take to say why it closed a connection.
const WORD: Duration = Duration::from_secs(1);

/// What the kubelet says when nobody listens at the port; of all else nobody knows what came through.
fn not_through(why: String) -> Exit {
    let nobody = ["connection refused", "failed to connect", "failed to dial"];
    if nobody.iter().any(|it| why.contains(it)) {
        Exit::NotRun(why)
    } else {
        Exit::Lost(why)
    }
}

fn request(call: &Call, secrets: &Secrets) -> Result<Request<Full<Bytes>>, String> {
    let body = match &call.body {
        Some(body) => secrets.bytes(body),
        None => Vec::new(),
    };
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let authority = HeaderValue::from_str(&call.target.authority());
    headers.insert(HOST, authority.map_err(|error| error.to_string())?);
    for (name, text) in &call.headers {
        let wrong = || match &text.secret {
            Some(secret) => format!("{secret} cannot be the value of the header {name}"),
            None => format!("this cannot be the value of the header {name}"),
        };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        // Files that Secrets are made of end with a line.
        let bytes = secrets.bytes(text);
        let value = HeaderValue::from_bytes(bytes.trim_ascii_end());
        let mut value = value.map_err(|_| wrong())?;
        value.set_sensitive(text.secret.is_some());
        headers.insert(key, value);
    }
    let request = Request::builder()
        .method(call.method.as_str())
        .uri(call.target.path())
        .body(Full::new(Bytes::from(body)));
    let mut request = request.map_err(|error| error.to_string())?;
    *request.headers_mut() = headers;
    Ok(request)
}

async fn answered(response: Response<Incoming>, call: &Call, secrets: &Secrets) -> Ended {
    let status = response.status().as_u16();
    let (body, whole) = match body(response.into_body()).await {
        Ok(both) => both,
        Err(error) => {
            let why = with_causes(&error);
            return ended(Exit::Lost(format!(
                "status {status}, and the answer broke off: {why}"
            )));
        }
    };
    let answer = Answer {
        status,
        body: &body,
        whole,
    };
    let Err(why) = judge(call, answer) else {
        return ended(Exit::Code(0));
    };
    Ended {
        exit: Exit::Code(1),
        stdout: Printed {
            bytes: body.len() as u64,
            end: shown(&body, secrets.texts()),
        },
        stderr: Printed {
            bytes: why.len() as u64,
            end: without(why, secrets.texts()),
        },
    }
}

/// As much of it as is read, and whether that is all.
async fn body(mut body: Incoming) -> Result<(Vec<u8>, bool), hyper::Error> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let room = LARGEST - read.len();
            read.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                return Ok((read, false));
            }
        }
    }
    Ok((read, true))
}

fn ended(exit: Exit) -> Ended {
    Ended {
        exit,
        stdout: Printed::default(),
        stderr: Printed::default(),
    }
}

#[cfg(test)]
mod tests;
