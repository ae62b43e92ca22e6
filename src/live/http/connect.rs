//! The way to who is called: through the API server to a port of the pod, or straight to an address, with
//! TLS where it says so.

use std::{
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

/// What a pod is reached by.
#[derive(Clone, Copy)]
pub struct Road<'r> {
    pub client: &'r Client,
    pub namespace: &'r str,
    pub pod: &'r str,
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
    match target {
        Target::Pod { port, .. } => {
            let Road {
                client,
                namespace,
                pod,
                begins: _,
            } = road;
            let forwarded = forward(client, namespace, pod, *port).await;
            let Forwarded { stream, refused } = forwarded.map_err(|error| with_causes(&error))?;
            Ok(Connected {
                stream: TokioIo::new(Box::pin(stream)),
                refused,
            })
        }
        Target::Url(url) => {
            let stream = to_address(url, ca).await;
            Ok(Connected {
                stream: TokioIo::new(stream.map_err(|error| format!("{error:#}"))?),
                refused: pending().boxed(),
            })
        }
    }
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
