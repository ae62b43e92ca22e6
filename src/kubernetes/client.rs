//! Finds out which cluster is meant, if any.
use std::{
    env,
    path::{Path, PathBuf},
};

use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

/// Set in every container by the kubelet.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("kubeconfig {} cannot be used: {because}", path.display())]
    Kubeconfig {
        path: PathBuf,
        because: KubeconfigError,
    },
    #[error(
        "the service account of this container cannot be used: {0}; is automountServiceAccountToken off?"
    )]
    ServiceAccount(InClusterError),
    #[error("no cluster is configured here: {0}")]
    NoCluster(KubeconfigError),
    #[error("the kubeconfig of kubectl cannot be used: {0}")]
    Current(KubeconfigError),
    #[error("no client can be made for {cluster}: {because}")]
    Client {
        cluster: String,
        because: kube::Error,
    },
}

/// A client for the cluster of `kubeconfig`, else for the one that we run in, else none.
///
/// Nothing is asked of the cluster yet: it may come later than we do. A kubeconfig that nobody
/// named is not looked for, because talking to whatever cluster was last used is no default.
/// Nothing is tried again behind its user's back: a refusal is an answer, and pauses are the user's.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Option<Client>, ClientError> {
    let mut config = match kubeconfig {
        Some(path) => from_file(path)
            .await
            .map_err(|because| ClientError::Kubeconfig {
                path: path.to_owned(),
                because,
            })?,
        None if env::var_os(IN_CLUSTER).is_some() => {
            Config::incluster().map_err(ClientError::ServiceAccount)?
        }
        None => return Ok(None),
    };
    config.default_retry = false;
    connect(config).map(Some)
}

/// A client for the cluster that kubectl would ask: of `kubeconfig`, else of `KUBECONFIG`, else of the
/// home folder, and where there is none of these, for the one that we run in. Fit for reading alone.
pub async fn current_client(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<Client, ClientError> {
    connect(current_config(kubeconfig, context).await?)
}

/// The same, for whoever takes a refusal for an answer: nothing is tried again.
pub async fn current_client_that_asks_once(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<Client, ClientError> {
    let mut config = current_config(kubeconfig, context).await?;
    config.default_retry = false;
    connect(config)
}

async fn current_config(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<Config, ClientError> {
    let read = match kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let named = |because, otherwise: fn(KubeconfigError) -> ClientError| match kubeconfig {
        Some(path) => ClientError::Kubeconfig {
            path: path.to_owned(),
            because,
        },
        None => otherwise(because),
    };
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    match read {
        Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|because| named(because, ClientError::Current)),
        Err(_) if kubeconfig.is_none() && env::var_os(IN_CLUSTER).is_some() => {
            Config::incluster().map_err(ClientError::ServiceAccount)
        }
        Err(because) => Err(named(because, ClientError::NoCluster)),
    }
}

fn connect(config: Config) -> Result<Client, ClientError> {
    let authority = config.cluster_url.authority();
    let cluster = authority
        .map_or("", |it| host_and_port(it.as_str()))
        .to_owned();
    match Client::try_from(config) {
        Ok(client) => {
            tracing::info!(%cluster, "the API server that is asked");
            Ok(client)
        }
        Err(because) => Err(ClientError::Client { cluster, because }),
    }
}

/// What may be shown of an authority: a name and a password can stand in front of it.
fn host_and_port(authority: &str) -> &str {
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, shown)| shown)
}

async fn from_file(path: &Path) -> Result<Config, KubeconfigError> {
    let kubeconfig = Kubeconfig::read_from(path)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kubeconfig: &str) -> Result<Option<Client>, ClientError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        std::fs::write(&path, kubeconfig).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(client(Some(&path)))
    }

    #[test]
    fn a_kubeconfig_gives_a_client_without_asking_the_cluster() {
        let client = check(
            "apiVersion: v1\n\
             kind: Config\n\
             current-context: it\n\
             contexts: [{name: it, context: {cluster: it, user: it}}]\n\
             clusters: [{name: it, cluster: {server: 'https://127.0.0.1:1'}}]\n\
             users: [{name: it, user: {token: secret}}]\n",
        );
        assert!(client.unwrap().is_some());
    }

    #[test]
    fn of_the_cluster_only_host_and_port_are_shown() {
        for (authority, shown) in [
            ("10.0.0.1:6443", "10.0.0.1:6443"),
            ("admin:secret@10.0.0.1:6443", "10.0.0.1:6443"),
            ("admin:se@cret@[::1]:6443", "[::1]:6443"),
        ] {
            assert_eq!(host_and_port(authority), shown);
        }
    }

    #[test]
    fn a_kubeconfig_that_cannot_be_used_is_named() {
        for text in ["", "{}", "contexts: 3", "current-context: elsewhere"] {
            let Err(error) = check(text) else {
                panic!("{text:?} gave a client")
            };
            assert!(error.to_string().starts_with("kubeconfig /"), "{error}");
        }
    }
}
