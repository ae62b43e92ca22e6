//! The way to who is called: to a port of the pod, through the API server where we are outside of it, or
//! straight to an address, with TLS where it says so.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context as _, bail};
use futures::future::{BoxFuture, FutureExt as _, pending};
use hyper_util::rt::TokioIo;
use kube::Client;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{
    kubernetes::{Forwarded, forward, with_causes},
    policy::call::{Target, Url},
};

/// From where a pod is called.
pub enum From {
    /// Through the API server.
    Outside {
        client: Client,
        namespace: String,
        pod: String,
    },
    /// From a container of the pod: all of them share its loopback.
    Within,
}

/// What a pod is reached by.
#[derive(Clone, Copy)]
pub struct Road<'r> {
    pub from: &'r From,
    /// To be set when there is a way.
    pub begins: &'r AtomicBool,
}

/// A connection that a request can be sent through.
pub struct Connected {
    pub stream: TokioIo<Pin<Box<dyn Stream>>>,
    /// Why it leads nowhere, where that is known only later.
    pub refused: BoxFuture<'static, Option<String>>,
}

pub trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// # Errors
/// Why there is none: nothing was sent then.
pub async fn connect(
    road: Road<'_>,
    target: &Target,
    ca: Option<&[u8]>,
) -> Result<Connected, String> {
    let straight = match (target, road.from) {
        (
            Target::Pod { port, .. },
            From::Outside {
                client,
                namespace,
                pod,
            },
        ) => {
            let forwarded = forward(client, namespace, pod, *port).await;
            let Forwarded { stream, refused } = forwarded.map_err(|error| with_causes(&error))?;
            return Ok(Connected {
                stream: TokioIo::new(Box::pin(stream)),
                refused,
            });
        }
        (Target::Pod { port, .. }, From::Within) => to_loopback(*port).await,
        (Target::Url(url), From::Outside { .. } | From::Within) => to_address(url, ca).await,
    };
    Ok(Connected {
        stream: TokioIo::new(straight.map_err(|error| format!("{error:#}"))?),
        refused: pending().boxed(),
    })
}

/// Of either family, as the kubelet forwards a port.
async fn to_loopback(port: u16) -> anyhow::Result<Pin<Box<dyn Stream>>> {
    let addresses = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ];
    let tcp = TcpStream::connect(addresses.as_slice()).await;
    let tcp = tcp.with_context(|| format!("no connection to port {port} of the pod"))?;
    Ok(Box::pin(tcp))
}

async fn to_address(url: &Url, ca: Option<&[u8]>) -> anyhow::Result<Pin<Box<dyn Stream>>> {
    let Url {
        https, host, port, ..
    } = url;
    let tcp = TcpStream::connect((host.as_str(), *port)).await;
    let tcp = tcp.with_context(|| format!("no connection to {}", url.authority()))?;
    if !*https {
        return Ok(Box::pin(tcp));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("no version of TLS")?
        .with_root_certificates(roots(ca)?)
        .with_no_client_auth();
    let name = ServerName::try_from(host.clone()).context("no name that a certificate has")?;
    let tls = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await;
    let tls = tls.with_context(|| format!("no TLS with {}", url.authority()))?;
    Ok(Box::pin(tls))
}

/// Those that were named, else those of the system.
fn roots(ca: Option<&[u8]>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(pem) = ca {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.context("the certificates to trust are no PEM")?;
            let added = roots.add(certificate);
            added.context("a certificate to trust cannot be read")?;
        }
    } else {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
    }
    if roots.is_empty() {
        bail!("there are no certificates to trust");
    }
    Ok(roots)
}
