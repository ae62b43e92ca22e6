//! `quiescent render job` and `cronjob`: what runs `quiescent snapshot` in a cluster.

use std::time::Duration;

use anyhow::bail;

use super::{Format, print};
use crate::{
    cli::{
        Ended,
        policies::PolicyArgs,
        snapshot::asked::{AskedArgs, When},
    },
    live,
    policy::{Hook, Input, PolicySet, ScriptFile, name::is_dns_label},
    policy_files,
    render::snapshot_job::{Limits, Of, PolicyFile, SnapshotJob},
    snapshotter::Target,
    trial,
    velero::Timeout,
};

/// A CronJob adds eleven characters to its name for each Job.
const LONGEST_NAME: usize = 52;

/// What Velero gives hooks of an author who names no time.
const USUAL: Duration = Duration::from_secs(30);

/// What the API server takes of one ConfigMap, with a little to spare.
const LARGEST: usize = 1_000_000;

#[derive(Debug, clap::Args)]
pub struct JobArgs {
    #[command(flatten)]
    asked: AskedArgs,
    /// The namespace of the claims
    #[arg(short, long, value_name = "NAMESPACE", env = "QUIESCENT_NAMESPACE", value_parser = label)]
    namespace: String,
    /// The name of all objects, else quiescent-snapshot- and the name of the target
    #[arg(long, value_name = "NAME", value_parser = object_name)]
    name: Option<String>,
    /// The image of this program
    #[arg(long, value_name = "IMAGE", default_value = concat!("quiescent:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// How many pods run their hooks, one after the other: the times add up
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pods: u32,
    #[command(flatten)]
    policies: PolicyArgs,
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
}

#[derive(Debug, clap::Args)]
pub struct CronJobArgs {
    #[command(flatten)]
    job: JobArgs,
    /// When, as cron has it: "0 2 * * *"
    #[arg(long, value_name = "CRON", value_parser = cron)]
    schedule: String,
    /// The zone of the schedule, such as Europe/Berlin, else that of the cluster
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
}

fn label(text: &str) -> Result<String, String> {
    is_dns_label(text)
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text:?} cannot be a namespace's name"))
}

fn object_name(text: &str) -> Result<String, String> {
    (is_dns_label(text) && text.len() <= LONGEST_NAME)
        .then(|| text.to_owned())
        .ok_or_else(|| {
            format!("{text:?} cannot be the name: small letters, digits and dashes, at most {LONGEST_NAME}")
        })
}

/// A CronJob has its zone in a field of its own.
fn cron(text: &str) -> Result<String, String> {
    if text.contains("TZ=") {
        return Err("name the zone with --time-zone".to_owned());
    }
    super::velero::cron(text)
}

pub fn job(args: &JobArgs) -> anyhow::Result<Ended> {
    args.print(None)
}

pub fn cron_job(args: &CronJobArgs) -> anyhow::Result<Ended> {
    let CronJobArgs {
        job,
        schedule,
        time_zone,
    } = args;
    job.print(Some((schedule, time_zone.as_deref())))
}

impl JobArgs {
    fn print(&self, schedule: Option<(&str, Option<&str>)>) -> anyhow::Result<Ended> {
        let policies = self.policies.load()?;
        let files = policy_files::read(&self.policies.policies)?;
        let files: Vec<PolicyFile<'_>> = files.iter().map(policy_file).collect();
        let size = |it: &PolicyFile<'_>| {
            let scripts = it.scripts.iter().map(|(_, text)| text.len());
            it.text.len() + scripts.sum::<usize>()
        };
        let size: usize = files.iter().map(size).sum();
        if size > LARGEST {
            bail!("the policies have {size} bytes, and a ConfigMap takes {LARGEST}");
        }
        let limits = self.limits(&policies);
        let name = self.name();
        let mut args = self.asked.to_args();
        if self.policies.library && !files.is_empty() {
            args.push("--library".to_owned());
        }
        let job = SnapshotJob {
            name: &name,
            namespace: &self.namespace,
            image: &self.image,
            args: &args,
            of: self.of(),
            runs_hooks: !self.asked.without_hooks,
            groups: self.asked.group != When::Never,
            limits,
            policies: &files,
            schedule,
        };
        let above = limits.lines().map(|line| format!("# {line}\n"));
        print(self.output, &above.concat(), &job.objects())
    }

    fn of(&self) -> Of<'_> {
        match &self.asked.target {
            Some(Target::Claim(name)) => Of::Claim(name),
            Some(Target::Pods(live::Target::Pod(name))) => Of::Pod(name),
            Some(Target::Pods(live::Target::Owner { plural, name })) => Of::Owner { plural, name },
            None => Of::Labels,
        }
    }

    fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let of = match self.of() {
            Of::Pod(name) | Of::Claim(name) | Of::Owner { name, .. } => name,
            Of::Labels => "selected",
        };
        let name = format!("quiescent-snapshot-{}", of.replace('.', "-"));
        let short = &name[..name.len().min(LONGEST_NAME)];
        short.trim_end_matches('-').to_owned()
    }

    fn limits(&self, policies: &PolicySet) -> Limits {
        let mut limits = Limits {
            pods: self.pods,
            pre: Duration::ZERO,
            post: Duration::ZERO,
            cut: self.asked.cut_timeout.to_std(),
            ready: self.asked.timeout.to_std(),
            linger: Duration::ZERO,
            wait: self.asked.wait.map_or(Duration::ZERO, Timeout::to_std),
        };
        if self.asked.without_hooks {
            return limits;
        }
        let snapshot = || policies.iter().filter(|it| !it.dumps());
        let longest = |hooks: &mut dyn Iterator<Item = &Hook>| {
            let times = hooks.map(|it| it.timeout.to_std());
            times.fold(USUAL, Duration::max)
        };
        limits.pre = longest(&mut snapshot().filter_map(|it| it.hooks.pre.as_ref()));
        limits.post = longest(&mut snapshot().filter_map(|it| it.hooks.post.as_ref()));
        limits.linger = trial::LINGER;
        limits
    }
}

fn policy_file(input: &Input) -> PolicyFile<'_> {
    let scripts = input.scripts.iter().filter_map(|(name, file)| match file {
        ScriptFile::Text(text) => Some((name.as_str(), text.as_str())),
        // Whoever names such a script was told that it cannot be.
        ScriptFile::Binary | ScriptFile::Outside => None,
    });
    PolicyFile {
        text: &input.source.text,
        scripts: scripts.collect(),
    }
}
