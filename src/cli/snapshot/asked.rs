//! What is asked of a snapshot, whoever takes it.

use crate::{
    snapshot::Terms,
    snapshotter::{Grouping, Target, Wanted},
    velero::Timeout,
};

#[derive(Debug, clap::Args)]
pub struct AskedArgs {
    /// pod/NAME, pvc/NAME, or statefulset/NAME, deployment/NAME, daemonset/NAME for all its pods
    #[arg(
        value_name = "TARGET",
        required_unless_present = "selector",
        conflicts_with = "selector"
    )]
    pub target: Option<Target>,
    /// All running pods with these labels, as kubectl takes them
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// The VolumeSnapshotClass, else the default one of the driver of each claim
    #[arg(long, value_name = "NAME")]
    pub snapshot_class: Option<String>,
    /// Whether claims of one driver are cut in one moment, as a VolumeGroupSnapshot
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub group: When,
    /// How long to wait until all is cut, while pods may be held
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    pub cut_timeout: Timeout,
    /// How long to wait until the snapshots can be restored; nothing is held then
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub timeout: Timeout,
    /// How far the clock of the storage may be from that of the API server
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    pub skew: Timeout,
    /// How long to wait for another snapshot of the same claims, or a backup; without it, not at all
    #[arg(long, value_name = "DURATION")]
    pub wait: Option<Timeout>,
    /// Run no hooks: what is taken is as after a power cut, and labelled so
    #[arg(long)]
    pub without_hooks: bool,
    /// Delete snapshots that are not consistent, in place of labelling them
    #[arg(long)]
    pub delete_unusable: bool,
    /// After success, delete what is older than the newest N consistent ones of the same target
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// Where the driver, the cluster and our rights let it be done
    Auto,
    /// Or nothing is done
    Always,
    Never,
}

impl From<When> for Grouping {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::Always => Self::Always,
            When::Never => Self::Never,
        }
    }
}

impl When {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

impl AskedArgs {
    pub fn wanted<'w>(&'w self, namespace: Option<&'w str>) -> Wanted<'w> {
        Wanted {
            namespace,
            target: self.target.as_ref(),
            selector: self.selector.as_deref(),
            class: self.snapshot_class.as_deref(),
            group: self.group.into(),
        }
    }

    pub fn terms(&self) -> Terms {
        Terms {
            cut: self.cut_timeout.to_std(),
            ready: self.timeout.to_std(),
            skew: self.skew.to_std(),
            delete_unusable: self.delete_unusable,
        }
    }

    /// The same on a command line.
    pub fn to_args(&self) -> Vec<String> {
        let Self {
            target,
            selector,
            snapshot_class,
            group,
            cut_timeout,
            timeout,
            skew,
            wait,
            without_hooks,
            delete_unusable,
            keep,
        } = self;
        let flag = |set: bool, flag: &str| set.then(|| flag.to_owned());
        let all = [
            target.as_ref().map(ToString::to_string),
            selector.as_ref().map(|it| format!("--selector={it}")),
            snapshot_class
                .as_ref()
                .map(|it| format!("--snapshot-class={it}")),
            Some(format!("--cut-timeout={cut_timeout}")),
            Some(format!("--timeout={timeout}")),
            Some(format!("--skew={skew}")),
            (*group != When::Auto).then(|| format!("--group={}", group.as_str())),
            wait.map(|it| format!("--wait={it}")),
            keep.map(|it| format!("--keep={it}")),
            flag(*without_hooks, "--without-hooks"),
            flag(*delete_unusable, "--delete-unusable"),
        ];
        all.into_iter().flatten().collect()
    }
}
