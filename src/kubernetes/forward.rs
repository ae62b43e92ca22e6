//! A port of a running pod, as `kubectl port-forward` reaches it: on the loopback of the pod, through the
//! API server and the kubelet.
use futures::future::{BoxFuture, FutureExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::io::DuplexStream;

/// A port that is forwarded, until its stream is dropped.
pub struct Forwarded {
    pub stream: DuplexStream,
    /// What the kubelet says when it does not come through to the port, else nothing at the end.
    pub refused: BoxFuture<'static, Option<String>>,
}

/// # Errors
/// Why there is no way to the pod. Whether anybody listens is known only when something was written.
pub async fn forward(
    client: &Client,
    namespace: &str,
    pod: &str,
    port: u16,
) -> Result<Forwarded, kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut forwarder = pods.portforward(pod, &[port]).await?;
    let stream = forwarder.take_stream(port);
    let refused = forwarder.take_error(port);
    Ok(Forwarded {
        stream: stream.expect("the port was asked for, and its stream is taken once"),
        // It may be asked again after its end, and then has no more to say.
        refused: refused
            .expect("the port was asked for, and its fault is taken once")
            .fuse()
            .boxed(),
    })
}
