//! `quiescent render`: the same policies as objects that do without the webhook.

mod admission_policy;
mod cluster;
mod pods;
mod snapshot_job;
mod velero;

use serde_json::{Value, json};

use super::{Ended, output};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quiescent render admission-policy | kubectl apply -f -
  quiescent render backup -f manifests --name shop > backup.yaml
  quiescent render restore -f manifests --from-backup shop > restore.yaml
  quiescent render cronjob -n shop statefulset/pg --schedule @daily > pg.yaml")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the policies as MutatingAdmissionPolicies, which the API server follows by itself
    ///
    /// Each policy becomes a MutatingAdmissionPolicy that writes the hooks and a
    /// ValidatingAdmissionPolicy that names a pod that ends up without, with a binding for each. They
    /// need Kubernetes 1.36, and no server of ours; the scripts come from `quiescent controller` or
    /// `quiescent scripts`. What an expression cannot say is told on standard error.
    #[command(after_help = "\
Examples:
  quiescent render admission-policy | kubectl apply -f -
  quiescent render admission-policy --mode opt-in --backstop deny
  quiescent render admission-policy --policies my-policy -o json")]
    AdmissionPolicy(admission_policy::Args),
    /// Print a Backup of Velero that has the hooks, for pods that nobody may touch
    ///
    /// Velero knows pods by namespace and labels alone: their images, owners and annotations are looked
    /// up in manifests (-f) or in the cluster (--resolve). Without either, only policies that ask for
    /// nothing else are said. Scripts stand in the commands. What is lost is told on standard error and
    /// in comments.
    #[command(after_help = "\
Examples:
  quiescent render backup -f manifests --name shop --include-namespaces shop
  quiescent render backup --resolve --include-namespaces shop | kubectl create -f -
  quiescent render backup -f shop.yaml --ordered-resources pods=shop/pg-0,shop/pg-1")]
    Backup(velero::BackupArgs),
    /// Print a Schedule of Velero whose backups have the hooks
    ///
    /// As a Backup. Schedules may differ in their policies: --with names those of the library that take
    /// part only when named, such as maintenance-flag; --without leaves some out.
    #[command(after_help = "\
Examples:
  quiescent render schedule --resolve --name daily --schedule \"0 2 * * 1-6\"
  quiescent render schedule --resolve --name weekly --schedule \"0 2 * * 0\" --with maintenance-flag")]
    Schedule(velero::ScheduleArgs),
    /// Print a Restore of Velero that has the restore hooks
    ///
    /// As a Backup. Render it together with the backup: what is to be restored may be gone later, and
    /// can be looked up no more.
    #[command(after_help = "\
Examples:
  quiescent render restore -f manifests --from-backup shop
  quiescent render restore --resolve --from-schedule daily --name after-the-fire")]
    Restore(velero::RestoreArgs),
    /// Print a Job that runs `quiescent snapshot` once, with its account and no right that it does not use
    ///
    /// The Job is ended when it has taken longer than all of its steps may take together, and what it
    /// held is undone then. How both times add up is said above the objects.
    #[command(after_help = "\
Examples:
  quiescent render job -n shop statefulset/pg | kubectl apply -f -
  quiescent render job -n shop pvc/data-pg-0 --image example.com/quiescent:1")]
    Job(snapshot_job::JobArgs),
    /// Print a CronJob that runs `quiescent snapshot` again and again, and keeps the newest snapshots
    ///
    /// As a Job. Two of its runs are never under way at once.
    #[command(after_help = "\
Examples:
  quiescent render cronjob -n shop sts/pg --schedule \"0 2 * * *\" --keep 7 --pods 3
  quiescent render cronjob -n shop -l app=pg --schedule @daily --time-zone UTC")]
    Cronjob(snapshot_job::CronJobArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    match &args.what {
        What::AdmissionPolicy(args) => admission_policy::run(args),
        What::Backup(args) => velero::backup(args),
        What::Schedule(args) => velero::schedule(args),
        What::Restore(args) => velero::restore(args),
        What::Job(args) => snapshot_job::job(args),
        What::Cronjob(args) => snapshot_job::cron_job(args),
    }
}

/// Prints objects, and as YAML what is said above them.
fn print(format: Format, above: &str, objects: &[Value]) -> anyhow::Result<Ended> {
    match format {
        Format::Yaml => {
            let documents: anyhow::Result<Vec<String>> = objects.iter().map(output::yaml).collect();
            output::print_raw(&format!("{above}{}", documents?.join("---\n")))
        }
        Format::Json => output::print_raw(&output::json(&json!({
            "apiVersion": "v1",
            "kind": "List",
            "items": objects,
        }))),
    }
}
