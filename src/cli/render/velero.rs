//! `quiescent render backup`, `schedule` and `restore`.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::Value;

use super::{Format, cluster, pods, print};
use crate::{
    cli::{Ended, input::FileArgs, names, policies::PolicyArgs},
    library,
    policy::{Policy, PolicySet},
    render::velero::{Lost, Rendered, Wanted, Why, found, unseen},
    select::{Mode, Settings},
    velero::{
        Timeout,
        spec::{self, From, Options, Origin},
    },
};

/// What the API server takes of one object, with a little to spare.
const LARGEST: usize = 1_500_000;

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    files: FileArgs,
    /// Look pods up in the current cluster of kubectl
    #[arg(long, conflicts_with_all = ["filenames", "positional"])]
    resolve: bool,
    /// The kubeconfig to use, else KUBECONFIG, else ~/.kube/config
    #[arg(long, value_name = "FILE", requires = "resolve")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use
    #[arg(long, value_name = "NAME", requires = "resolve")]
    context: Option<String>,
    #[command(flatten)]
    policies: PolicyArgs,
    /// Policies of the library that take part only when they are named
    #[arg(long, value_name = "POLICY", value_delimiter = ',')]
    with: Vec<String>,
    /// Policies that are left out
    #[arg(long, value_name = "POLICY", value_delimiter = ',')]
    without: Vec<String>,
    /// Which pods are considered when neither they nor their namespace have the label quiescent.dev/inject
    #[arg(long, value_name = "MODE", default_value = "opt-out", env = "QUIESCENT_MODE",
        value_parser = PossibleValuesParser::new(["opt-in", "opt-out"]).try_map(|it| it.parse::<Mode>()))]
    mode: Mode,
    /// How databases without the label quiescent.dev/method are captured: dump, snapshot or off
    #[arg(long, value_name = "METHOD", default_value = "dump", env = "QUIESCENT_DEFAULT_METHOD", value_parser = ["dump", "snapshot", "off"])]
    default_method: String,
    /// The name of the object
    #[arg(long, value_name = "NAME", default_value = "quiescent", value_parser = object_name)]
    name: String,
    /// The namespace that Velero runs in
    #[arg(
        short,
        long,
        value_name = "NAMESPACE",
        default_value = "velero",
        env = "QUIESCENT_VELERO_NAMESPACE"
    )]
    namespace: String,
    /// The namespaces to take, else all; one alone is that of manifests that name none
    #[arg(long, value_name = "NAMESPACES", value_delimiter = ',')]
    include_namespaces: Vec<String>,
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
}

#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    #[command(flatten)]
    common: Common,
    /// How long before the backup can be garbage collected, such as 720h
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    ttl: Option<Timeout>,
    /// Location in which to store the backup
    #[arg(long, value_name = "NAME")]
    storage_location: Option<String>,
    /// What is taken together, in this order, as Velero writes it: pods=ns1/pod1,ns1/pod2;KIND=…
    #[arg(long, value_name = "RESOURCES", value_parser = ordered)]
    ordered_resources: Option<BTreeMap<String, String>>,
}

#[derive(Debug, clap::Args)]
pub struct ScheduleArgs {
    #[command(flatten)]
    backup: BackupArgs,
    /// When, as cron has it: "0 2 * * *"
    #[arg(long, value_name = "CRON", value_parser = cron)]
    schedule: String,
}

#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    origin: OriginArgs,
    /// New names of namespaces: src1:dst1,src2:dst2
    #[arg(long, value_name = "MAPPINGS", value_delimiter = ',', value_parser = mapping)]
    namespace_mappings: Vec<(String, String)>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct OriginArgs {
    /// Backup to restore from
    #[arg(long, value_name = "BACKUP")]
    from_backup: Option<String>,
    /// Schedule to restore from
    #[arg(long, value_name = "SCHEDULE")]
    from_schedule: Option<String>,
}

type Pair = (String, String);
type Ordered = BTreeMap<String, String>;

fn object_name(text: &str) -> Result<String, String> {
    crate::policy::name::is_dns_subdomain(text)
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text:?} cannot be an object's name"))
}

fn lifetime(text: &str) -> Result<Timeout, String> {
    let ttl: Timeout = text.parse().map_err(|error| format!("{error}"))?;
    let lasting = ttl.is_positive().then_some(ttl);
    lasting.ok_or_else(|| format!("{text:?} is no time to keep a backup for"))
}

pub fn cron(text: &str) -> Result<String, String> {
    let mut fields = text.split_whitespace().peekable();
    fields.next_if(|first| first.starts_with("CRON_TZ=") || first.starts_with("TZ="));
    let named = fields.peek().is_some_and(|first| first.starts_with('@'));
    (named || fields.count() == 5)
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text:?} has not five fields: minute, hour, day, month, weekday"))
}

fn ordered(text: &str) -> Result<Ordered, String> {
    let entry = |entry: &str| {
        let (kind, names) = entry.split_once('=')?;
        Some((kind.trim().to_owned(), names.trim().to_owned()))
    };
    text.split(';')
        .map(|it| entry(it).ok_or_else(|| format!("{it:?} is not KIND=NAME,…")))
        .collect()
}

fn mapping(text: &str) -> Result<Pair, String> {
    text.split_once(':')
        .map(|(from, to)| (from.to_owned(), to.to_owned()))
        .ok_or_else(|| format!("{text:?} is not OLD:NEW"))
}

pub fn backup(args: &BackupArgs) -> anyhow::Result<Ended> {
    in_backup(args, |id, options, rendered| {
        spec::backup(id, options, &rendered.hooks)
    })
}

pub fn schedule(args: &ScheduleArgs) -> anyhow::Result<Ended> {
    in_backup(&args.backup, |id, options, rendered| {
        spec::schedule(id, &args.schedule, options, &rendered.hooks)
    })
}

fn in_backup(
    args: &BackupArgs,
    object: impl FnOnce(spec::Id<'_>, &Options, &Rendered) -> Value,
) -> anyhow::Result<Ended> {
    let BackupArgs {
        common,
        ttl,
        storage_location,
        ordered_resources,
    } = args;
    let rendered = common.render(Wanted::Backup)?;
    let policy = (!rendered.volumes.is_empty()).then(|| format!("{}-volumes", common.name));
    let options = Options {
        namespaces: common.include_namespaces.clone(),
        ttl: *ttl,
        storage_location: storage_location.clone(),
        ordered_resources: ordered_resources.clone().unwrap_or_default(),
        volume_policy: policy.clone(),
    };
    let of_volumes = policy.as_deref();
    let of_volumes =
        of_volumes.map(|name| spec::volume_policy((name, &common.namespace), &rendered.volumes));
    let object = object(common.id(), &options, &rendered);
    common.print(&rendered, of_volumes, object)
}

pub fn restore(args: &RestoreArgs) -> anyhow::Result<Ended> {
    let RestoreArgs {
        common,
        origin: OriginArgs {
            from_backup,
            from_schedule,
        },
        namespace_mappings,
    } = args;
    let mut rendered = common.render(Wanted::Restore)?;
    let mapping: BTreeMap<String, String> = namespace_mappings.iter().cloned().collect();
    // Hooks are for pods as they are restored.
    for name in rendered.hooks.iter_mut().flat_map(|set| &mut set.included) {
        if let Some(new) = mapping.get(name) {
            name.clone_from(new);
        }
    }
    let schedule = || from_schedule.clone().unwrap_or_default();
    let origin = from_backup.clone();
    let from = From {
        origin: origin.map_or_else(|| Origin::Schedule(schedule()), Origin::Backup),
        namespaces: common.include_namespaces.clone(),
        mapping,
    };
    let object = spec::restore(common.id(), &from, &rendered.hooks);
    common.print(&rendered, None, object)
}

impl Common {
    fn id(&self) -> spec::Id<'_> {
        (&self.name, &self.namespace)
    }

    fn settings(&self) -> Settings {
        Settings {
            mode: self.mode,
            default_method: self.default_method.clone(),
            velero_namespace: self.namespace.clone(),
            ..Settings::default()
        }
    }

    fn render(&self, wanted: Wanted) -> anyhow::Result<Rendered> {
        let settings = self.settings();
        let taken = &self.include_namespaces;
        let policies = self.policies.load()?;
        let seen = if self.resolve {
            let kubeconfig = self.kubeconfig.as_deref();
            let looked = cluster::look(kubeconfig, self.context.as_deref(), taken)?;
            for note in &looked.notes {
                anstream::eprintln!("{note}");
            }
            (looked.pods, policies.with(&looked.policies))
        } else if self.files.is_empty() {
            let policies = self.chosen(&policies)?;
            return Ok(unseen(&policies, &settings, taken, wanted));
        } else {
            (pods::of_manifests(&self.files, taken)?, policies)
        };
        let (pods, policies) = seen;
        let policies = self.chosen(&policies)?;
        // A file tells of the claims of its own namespaces, not of all.
        let known = self.resolve || !taken.is_empty();
        let claims = known.then_some(pods.claims.all.as_slice());
        Ok(pods.read(&settings, |seen| found(&policies, seen, claims, wanted)))
    }

    /// The policies that take part, with their scripts in their commands.
    fn chosen(&self, policies: &PolicySet) -> anyhow::Result<PolicySet> {
        let named: anyhow::Result<Vec<Policy>> =
            self.with.iter().map(|it| of_library(it)).collect();
        let named: Vec<Arc<Policy>> = named?.into_iter().map(Arc::new).collect();
        let all = policies.with(&named);
        for name in &self.without {
            let mut known = all.iter().map(|policy| policy.name.as_str());
            if !known.any(|it| it == name) {
                let known = all.iter().map(|policy| policy.name.as_str());
                bail!("{}", unknown("--without", name, known));
            }
        }
        let left = all.iter().filter(|it| !self.without.contains(&it.name));
        let left: Vec<Arc<Policy>> = left.map(|it| Arc::new(it.inlined())).collect();
        Ok(PolicySet::default().with(&left))
    }

    fn print(
        &self,
        rendered: &Rendered,
        volumes: Option<Value>,
        object: Value,
    ) -> anyhow::Result<Ended> {
        let lost = losses(&rendered.lost);
        for line in &lost {
            anstream::eprintln!("{line}");
        }
        let above = lost.iter().flat_map(|line| ["# ", line, "\n"]);
        let above: String = above.collect();
        if rendered.hooks.is_empty() {
            let seen = self.resolve || !self.files.is_empty();
            anstream::eprintln!(
                "there is no hook to print{}",
                if seen {
                    ""
                } else {
                    ": name manifests with -f, or look pods up with --resolve"
                }
            );
            return Ok(Ended::Findings);
        }
        let size = object.to_string().len();
        if size > LARGEST {
            bail!(
                "the object has {size} bytes, and the API server takes {LARGEST}: take fewer namespaces in one, with --include-namespaces"
            );
        }
        let objects = volumes.into_iter().chain([object]);
        print(self.output, &above, &objects.collect::<Vec<_>>())
    }
}

/// Each loss once, with what it is of.
fn losses(lost: &[Lost]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut said: Vec<&Why> = Vec::new();
    for Lost { why, .. } in lost {
        if said.contains(&why) {
            continue;
        }
        said.push(why);
        let mut of: Vec<&str> = Vec::new();
        for lost in lost.iter().filter(|it| it.why == *why) {
            if !of.contains(&&*lost.of) {
                of.push(&lost.of);
            }
        }
        lines.push(format!("lost: {why}"));
        if !of.is_empty() {
            lines.push(format!("      {}", of.join(", ")));
        }
    }
    lines
}

fn of_library(name: &str) -> anyhow::Result<Policy> {
    let mut places = library::policies().into_iter();
    if let Some(place) = places.find(|place| place.policy.name == name) {
        return Ok(*place.policy);
    }
    let known = library::FOLDERS.iter().map(|folder| folder.name);
    bail!("{}", unknown("--with", name, known));
}

fn unknown<'n>(flag: &str, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    match names::meant(name, known) {
        Some(nearest) => format!("{flag}: there is no policy {name:?}, did you mean {nearest:?}?"),
        None => format!("{flag}: there is no policy {name:?}"),
    }
}
