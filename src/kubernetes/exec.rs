//! A command in a container of a running pod, without a terminal and without input, as `kubectl exec`
//! runs it. What it prints is kept up to a bound.
use std::{
    error::Error as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::future::join3;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Status};
use kube::{
    Api, Client,
    api::{AttachParams, AttachedProcess},
    client::UpgradeConnectionError,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    task::JoinHandle,
};

/// So many bytes of each stream are kept, the last ones: a hook that dumps to its output must not fill
/// our memory.
const KEPT: usize = 64 * 1024;

/// What the kubelet calls a command that ended with a code.
const EXIT_CODE: &str = "ExitCode";

/// What the API server says of a node that it cannot reach.
const NO_KUBELET: &str = "dial tcp";

/// Where a command runs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub namespace: &'a str,
    pub pod: &'a str,
    pub container: &'a str,
}

/// A command at work, or what ends as one does. Dropped, the connection is closed; what runs in the
/// container goes on.
#[derive(Debug)]
pub struct Running {
    work: JoinHandle<Ended>,
    began: Arc<AtomicBool>,
}

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Ended {
    pub exit: Exit,
    pub stdout: Printed,
    pub stderr: Printed,
}

#[derive(Debug)]
pub enum Exit {
    Code(i32),
    /// It never began, and would not begin if it were tried again.
    NotRun(String),
    /// The connection is gone, or there was none: it may still run.
    Lost(String),
}

/// One stream of a command.
#[derive(Debug, Default)]
pub struct Printed {
    /// How many bytes there were.
    pub bytes: u64,
    /// The last of them, as text.
    pub end: String,
}

/// Begins to run a command.
#[must_use]
pub fn exec(client: &Client, place: Place<'_>, command: &[String]) -> Running {
    let pods: Api<Pod> = Api::namespaced(client.clone(), place.namespace);
    let parameters = AttachParams {
        container: Some(place.container.to_owned()),
        stdin: false,
        stdout: true,
        stderr: true,
        tty: false,
        ..AttachParams::default()
    };
    let (pod, command) = (place.pod.to_owned(), command.to_vec());
    Running::new(|begins| async move {
        match pods.exec(&pod, command, &parameters).await {
            Ok(process) => {
                begins.store(true, Ordering::Relaxed);
                attached(process).await
            }
            Err(error) => Ended {
                exit: refused(&error),
                stdout: Printed::default(),
                stderr: Printed::default(),
            },
        }
    })
}

impl Running {
    /// Begins what ends so, and what says itself when it has begun.
    #[must_use]
    pub fn new<W: Future<Output = Ended> + Send + 'static>(
        work: impl FnOnce(Arc<AtomicBool>) -> W,
    ) -> Self {
        let began = Arc::new(AtomicBool::new(false));
        Self {
            work: tokio::spawn(work(Arc::clone(&began))),
            began,
        }
    }

    /// Waits for its end. May be asked again after it was not waited for to the end.
    pub async fn ended(&mut self) -> Ended {
        let ended = (&mut self.work).await;
        ended.expect("a command is neither aborted nor panics while somebody waits for it")
    }

    /// Whether the API server has answered. Before that nobody knows whether it will begin.
    pub fn has_begun(&self) -> bool {
        self.began.load(Ordering::Relaxed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn attached(mut process: AttachedProcess) -> Ended {
    let status = process.take_status();
    let status = async {
        match status {
            Some(status) => status.await,
            None => None,
        }
    };
    let (stdout, stderr) = (boxed(process.stdout()), boxed(process.stderr()));
    // The process is held until here: without its input the server would close the connection.
    let (status, stdout, stderr) = join3(status, printed(stdout), printed(stderr)).await;
    let exit = match status {
        Some(status) => exit(&status),
        None => Exit::Lost(match process.join().await {
            Ok(()) => "the connection was closed before the command ended".to_owned(),
            Err(error) => error.to_string(),
        }),
    };
    Ended {
        exit,
        stdout,
        stderr,
    }
}

type Stream = Pin<Box<dyn AsyncRead + Send>>;

fn boxed(stream: Option<impl AsyncRead + Send + 'static>) -> Option<Stream> {
    stream.map(|it| Box::pin(it) as Stream)
}

/// Reads to the end, and keeps the last part.
async fn printed(stream: Option<Stream>) -> Printed {
    let (mut bytes, mut kept) = (0, Vec::new());
    if let Some(mut stream) = stream {
        let mut chunk = vec![0; 8192];
        // A stream that breaks is one that ended: the status says what became of the command.
        while let Ok(read @ 1..) = stream.read(&mut chunk).await {
            bytes += read as u64;
            kept.extend_from_slice(&chunk[..read]);
            if kept.len() > 2 * KEPT {
                kept.drain(..kept.len() - KEPT);
            }
        }
    }
    kept.drain(..kept.len().saturating_sub(KEPT));
    Printed {
        bytes,
        end: String::from_utf8_lossy(&kept).into_owned(),
    }
}

/// What the kubelet says of the end.
fn exit(status: &Status) -> Exit {
    if status.status.as_deref() == Some("Success") {
        return Exit::Code(0);
    }
    let causes = status
        .details
        .iter()
        .flat_map(|it| it.causes.iter().flatten());
    let mut codes = causes.filter(|it| it.reason.as_deref() == Some(EXIT_CODE));
    if let Some(code) = codes.find_map(|it| it.message.as_deref()?.parse().ok()) {
        return Exit::Code(code);
    }
    let why = status.message.clone().unwrap_or_default();
    if why.contains(NO_KUBELET) {
        Exit::Lost(why)
    } else {
        Exit::NotRun(why)
    }
}

/// Why there is no connection. Only a refusal is an answer: what else becomes of a request that may
/// have arrived, nobody knows.
fn refused(error: &kube::Error) -> Exit {
    let why = match error {
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(code)) => {
            format!("the API server answered {code} to the exec")
        }
        _ => match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    };
    match error {
        kube::Error::Api(status) if is_refusal(status.code) => Exit::NotRun(why),
        kube::Error::BuildRequest(_) => Exit::NotRun(why),
        _ => Exit::Lost(why),
    }
}

/// Whether an answer stays the same when it is asked for again.
fn is_refusal(code: u16) -> bool {
    (400..500).contains(&code) && code != 408 && code != 429
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: &str) -> Exit {
        exit(&serde_json::from_str(status).unwrap())
    }

    #[test]
    fn the_code_stands_among_the_causes() {
        assert!(matches!(
            of(r#"{"metadata":{},"status":"Success"}"#),
            Exit::Code(0)
        ));
        let failed = r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code",
            "reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
        assert!(matches!(of(failed), Exit::Code(3)));
        let no_such = r#"{"metadata":{},"status":"Failure","reason":"InternalError","code":500,
            "message":"Internal error occurred: exec: \"nope\": executable file not found in $PATH"}"#;
        assert!(matches!(of(no_such), Exit::NotRun(why) if why.contains("not found")));
        let away = r#"{"metadata":{},"status":"Failure","reason":"InternalError","code":500,
            "message":"Internal error occurred: error dialing backend: dial tcp 10.0.0.7:10250: connect: connection refused"}"#;
        assert!(matches!(of(away), Exit::Lost(_)));
    }

    #[test]
    fn only_a_refusal_is_an_answer() {
        let api = |code| {
            kube::Error::Api(Box::new(
                kube::core::Status::failure("no", "").with_code(code),
            ))
        };
        for code in [400, 403, 404] {
            assert!(matches!(refused(&api(code)), Exit::NotRun(_)), "{code}");
        }
        for code in [429, 500, 502, 503] {
            assert!(matches!(refused(&api(code)), Exit::Lost(_)), "{code}");
        }
        let away = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let away = kube::Error::Service(Box::new(away));
        assert!(matches!(refused(&away), Exit::Lost(_)));
    }

    #[tokio::test]
    async fn of_much_output_the_end_is_kept() {
        let mut much = vec![b'x'; 3 * KEPT];
        much.extend_from_slice(b"the end\n");
        let many = much.len() as u64;
        let printed = printed(boxed(Some(std::io::Cursor::new(much)))).await;
        assert_eq!(printed.bytes, many);
        assert_eq!(printed.end.len(), KEPT);
        assert!(printed.end.ends_with("xthe end\n"));
    }
}
