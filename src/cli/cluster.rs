//! Which cluster a command asks.

use std::path::PathBuf;

use kube::Client;

use crate::kubernetes::{self, ClientError};

#[derive(Clone, Debug, clap::Args)]
pub struct ClusterArgs {
    /// The kubeconfig to use, else KUBECONFIG, else ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl ClusterArgs {
    /// It takes a refusal for an answer: nothing is tried again.
    pub async fn client(&self) -> Result<Client, ClientError> {
        let Self {
            kubeconfig,
            context,
        } = self;
        kubernetes::current_client_that_asks_once(kubeconfig.as_deref(), context.as_deref()).await
    }
}
