//! `quiescent doctor`: what is wrong with an installation, and what to do, on one screen.

mod certificate;
mod look;
mod rights;
mod scripts;
mod text;
mod trial;
mod value;

use super::{Ended, block_on, cluster::ClusterArgs, output};
use crate::{
    doctor::{self, Names},
    velero::Timeout,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The current cluster of kubectl is asked. What may not be seen is called unknown, and
is never wrong. Nothing is changed: the pod of the trial is a dry run.

Exit codes: 0 fine or warnings, 1 something is wrong, 2 the cluster could not be asked.

Examples:
  quiescent doctor
  quiescent doctor --namespace shop
  quiescent doctor -o json")]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The namespace to try a pod in, as a dry run; one that is switched on when absent
    #[arg(short, long, value_name = "NAMESPACE", value_parser = super::audit::namespace)]
    namespace: Option<String>,
    /// The namespace that the webhook runs in
    #[arg(long, value_name = "NAMESPACE", default_value = "quiescent", env = "QUIESCENT_OWN_NAMESPACE", value_parser = super::audit::namespace)]
    own_namespace: String,
    /// The namespace that Velero runs in
    #[arg(long, value_name = "NAMESPACE", default_value = "velero", env = "QUIESCENT_VELERO_NAMESPACE", value_parser = super::audit::namespace)]
    velero_namespace: String,
    /// The MutatingWebhookConfiguration, and the guard's ValidatingWebhookConfiguration
    #[arg(long, value_name = "NAME", default_value = "quiescent", env = "QUIESCENT_WEBHOOK", value_parser = object)]
    webhook: String,
    /// The Service of the webhook, in its namespace
    #[arg(long, value_name = "NAME", default_value = "quiescent", env = "QUIESCENT_SERVICE", value_parser = object)]
    service: String,
    /// How long each question may take
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    timeout: Timeout,
    /// What is printed: words for people, or all of it for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Names end up in paths.
fn object(text: &str) -> Result<String, String> {
    crate::policy::name::is_dns_subdomain(text)
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text:?} cannot be an object's name"))
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    if !args.timeout.is_positive() {
        anyhow::bail!(
            "--timeout {}: it takes a time above zero, such as 10s",
            args.timeout
        );
    }
    crate::certs::install_default_provider();
    let observed = block_on(look::look(args))?;
    let told = doctor::examine(&observed);
    match args.output {
        Format::Text => output::print_folded(&text::text(&told))?,
        Format::Json => output::print_raw(&output::json(&value::value(&told)))?,
    };
    Ok(if told.iter().any(|it| it.found.is_wrong()) {
        Ended::Findings
    } else {
        Ended::Fine
    })
}

impl Args {
    fn names(&self) -> Names {
        Names {
            own_namespace: self.own_namespace.clone(),
            velero_namespace: self.velero_namespace.clone(),
            webhook: self.webhook.clone(),
            service: self.service.clone(),
            secret: "quiescent-tls".to_owned(),
        }
    }
}
