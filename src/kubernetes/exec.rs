//! A command in a container of a running pod, without a terminal and without input, as `kubectl exec`
//! runs it. What it prints is kept up to a bound.
use std::{error::Error as _, pin::Pin};

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

/// Where a command runs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub namespace: &'a str,
    pub pod: &'a str,
    pub container: &'a str,
}

/// A command at work. Dropped, the connection is closed; what runs in the container goes on.
#[derive(Debug)]
pub struct Running(JoinHandle<Ended>);

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
    /// It never began.
    NotRun(String),
    /// The connection is gone: it may still run.
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
    Running(tokio::spawn(async move {
        match pods.exec(&pod, command, &parameters).await {
            Ok(process) => attached(process).await,
            Err(error) => Ended {
                exit: refused(&error),
                stdout: Printed::default(),
                stderr: Printed::default(),
            },
        }
    }))
}

impl Running {
    /// Waits for its end. May be asked again after it was not waited for to the end.
    pub async fn ended(&mut self) -> Ended {
        let ended = (&mut self.0).await;
        ended.expect("a command is neither aborted nor panics while somebody waits for it")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
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
    let code = codes.find_map(|it| it.message.as_deref()?.parse().ok());
    code.map_or_else(
        || Exit::NotRun(status.message.clone().unwrap_or_default()),
        Exit::Code,
    )
}

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
    Exit::NotRun(why)
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
