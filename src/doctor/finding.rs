//! What can be wrong with an installation: one closed list for people, JSON and the page.

use std::fmt;

/// What is looked at, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    Entries,
    Guard,
    Others,
    Certificate,
    Replicas,
    Proof,
    Calls,
    Rights,
    Namespaces,
    Controller,
    Scripts,
    Velero,
    NodeAgent,
    Storage,
    VolumePolicy,
    Schedules,
    Clock,
}

impl Check {
    pub const ALL: &'static [Self] = &[
        Self::Entries,
        Self::Guard,
        Self::Others,
        Self::Certificate,
        Self::Replicas,
        Self::Proof,
        Self::Calls,
        Self::Rights,
        Self::Namespaces,
        Self::Controller,
        Self::Scripts,
        Self::Velero,
        Self::NodeAgent,
        Self::Storage,
        Self::VolumePolicy,
        Self::Schedules,
        Self::Clock,
    ];

    /// For programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Guard => "guard",
            Self::Others => "others",
            Self::Certificate => "certificate",
            Self::Replicas => "replicas",
            Self::Proof => "proof",
            Self::Calls => "calls",
            Self::Rights => "rights",
            Self::Namespaces => "namespaces",
            Self::Controller => "controller",
            Self::Scripts => "scripts",
            Self::Velero => "velero",
            Self::NodeAgent => "node_agent",
            Self::Storage => "storage",
            Self::VolumePolicy => "volume_policy",
            Self::Schedules => "schedules",
            Self::Clock => "clock",
        }
    }

    /// For people, in front of what is said.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Entries => "webhook entries",
            Self::Guard => "guard",
            Self::Others => "other webhooks",
            Self::Certificate => "certificate",
            Self::Replicas => "replicas",
            Self::Proof => "reachable",
            Self::Calls => "calls",
            Self::Rights => "rights",
            Self::Namespaces => "namespaces",
            Self::Controller => "controller",
            Self::Scripts => "scripts",
            Self::Velero => "Velero",
            Self::NodeAgent => "node agent",
            Self::Storage => "storage",
            Self::VolumePolicy => "volume policy",
            Self::Schedules => "schedules",
            Self::Clock => "clock",
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Pods start without hooks, do not start, or their backups are not what they seem.
    Wrong,
    /// It works, and somebody should look at it.
    Careful,
}

macro_rules! findings {
    ($($name:ident = $code:literal $check:ident $weight:ident $sentence:literal $advice:literal,)*) => {
        /// What is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Finding {
            $(#[doc = $sentence] $name,)*
        }

        impl Finding {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// For programs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// What it means, for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }

            /// What to do about it, wherever it is found.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self {
                    $(Self::$name => $advice,)*
                }
            }

            #[must_use]
            pub const fn check(self) -> Check {
                match self {
                    $(Self::$name => Check::$check,)*
                }
            }

            #[must_use]
            pub const fn weight(self) -> Weight {
                match self {
                    $(Self::$name => Weight::$weight,)*
                }
            }
        }
    };
}

findings! {
    NotRegistered = "not_registered" Entries Wrong
        "there is no MutatingWebhookConfiguration, so the API server asks nobody"
        "apply the webhook's registration, last, when its replicas are ready",
    NoPods = "no_pods" Entries Wrong
        "no entry asks about new pods"
        "give an entry the rule for pods and CREATE that `deploy` has",
    ElsewhereCalled = "elsewhere_called" Entries Wrong
        "an entry calls another Service than the webhook's"
        "name the webhook's Service in the entry, or name yours with --own-namespace and --service",
    WaitsForItself = "waits_for_itself" Entries Wrong
        "an entry with failurePolicy Fail covers our own namespace, kube-system or Velero's: when nobody answers, those who could mend it do not start either"
        "leave these namespaces out of its namespaceSelector by kubernetes.io/metadata.name",
    CoversTooMuch = "covers_too_much" Entries Careful
        "an entry covers our own namespace, kube-system or Velero's: their pods wait for an answer that changes nothing"
        "leave these namespaces out of its namespaceSelector by kubernetes.io/metadata.name",
    FailsUnasked = "fails_unasked" Entries Careful
        "failurePolicy is Fail for namespaces that do not ask for it by quiescent.dev/enforce=true"
        "have the entry's namespaceSelector ask for the label, or make it Ignore",
    EnforceIgnored = "enforce_ignored" Entries Wrong
        "a namespace says quiescent.dev/enforce=true, and no entry with failurePolicy Fail covers it"
        "apply the registration as `deploy` has it",
    EntryUnusual = "entry_unusual" Entries Careful
        "a setting of an entry is another than it should be: matchPolicy Equivalent, reinvocationPolicy IfNeeded, sideEffects None, timeoutSeconds up to 10"
        "apply the registration as `deploy` has it",
    RegisteredTwice = "registered_twice" Entries Careful
        "another configuration calls the same Service: every pod is reviewed twice"
        "delete the one that is left over",
    GuardUnusual = "guard_unusual" Guard Careful
        "a namespace asks for the guard, and no entry of a ValidatingWebhookConfiguration answers it"
        "apply the guard's registration",
    BlockedByAnother = "blocked_by_another" Others Wrong
        "another webhook must answer before a pod of ours may start, and nobody is behind it"
        "bring that webhook back, or have it leave our namespace out",
    BundleAbsent = "bundle_absent" Certificate Wrong
        "an entry has no caBundle: the API server trusts our certificate only if its own authorities signed it"
        "have the controller fill it in: --certificates issue, or follow",
    BundleUnreadable = "bundle_unreadable" Certificate Wrong
        "a caBundle has no certificate that can be read"
        "write the authority's certificate there, as PEM and then base64",
    NotTrusted = "not_trusted" Certificate Wrong
        "a caBundle does not trust the certificate that is shown: every call fails"
        "write the authority that signed the certificate into the caBundle",
    WrongName = "wrong_name" Certificate Wrong
        "the certificate is not for the Service's name: every call fails"
        "have it made for SERVICE.NAMESPACE.svc",
    CertificateEnded = "certificate_ended" Certificate Wrong
        "the certificate has ended, or is not valid yet: every call fails"
        "renew it, and look at why nobody did; look at the clocks",
    CertificateEnds = "certificate_ends" Certificate Careful
        "three quarters of the certificate's life are over and nobody has renewed it"
        "look at the controller's log, or at cert-manager's Certificate",
    NobodyFollows = "nobody_follows" Certificate Careful
        "cert-manager makes the certificate, and nobody writes its authority into the entries when it changes"
        "annotate the configuration with cert-manager.io/inject-ca-from, or run the controller with --certificates follow",
    ServiceAbsent = "service_absent" Replicas Wrong
        "the Service that the API server calls is not there"
        "apply it, or name yours with --own-namespace and --service",
    NobodyAnswers = "nobody_answers" Replicas Wrong
        "no replica is ready behind the Service"
        "look at the pods and their events",
    ReplicasUnready = "replicas_unready" Replicas Careful
        "some replicas are not ready"
        "look at the pods and their events",
    OneReplica = "one_replica" Replicas Careful
        "there is one replica alone: while it restarts, pods start without hooks"
        "run two",
    Restarts = "restarts" Replicas Careful
        "a pod of ours restarts again and again"
        "look at the log of the container before",
    VersionsDiffer = "versions_differ" Replicas Careful
        "webhook and controller are of different images: the scripts may be of other policies than the hooks"
        "bring both to the same image",
    CallFailed = "call_failed" Proof Wrong
        "the API server could not call the webhook for a pod of a trial"
        "what it said names the reason: a certificate, no endpoint, or a firewall or NetworkPolicy between API server and webhook",
    NoHooks = "no_hooks" Proof Wrong
        "a pod of a trial, which a policy of the library is for, came back without hooks"
        "see what the other checks say; `quiescent explain` tells which gate was closed",
    AnsweredWithout = "answered_without" Proof Careful
        "the webhook answered, and gave a pod of a trial no hooks: no policy of it selects a postgres image"
        "with policies of your own this may be as it should be",
    FailedOpen = "failed_open" Calls Careful
        "the API server went on without an answer: pods started without hooks"
        "`quiescent audit` names the pods",
    CallsRefused = "calls_refused" Calls Careful
        "the API server refused pods because it got no answer"
        "see what the checks of certificate and replicas say",
    RightMissing = "right_missing" Rights Wrong
        "an account of ours may not do what it has to"
        "apply the rights of `deploy`",
    NoneEnabled = "none_enabled" Namespaces Careful
        "no namespace and no pod is shown to the webhook"
        "label the namespaces that want hooks",
    LabelUnknown = "label_unknown" Namespaces Careful
        "a label of ours on a namespace has a key or a value that means nothing"
        "label it with what was meant",
    EnforceAlone = "enforce_alone" Namespaces Careful
        "a namespace says quiescent.dev/enforce=true and not quiescent.dev/inject=enabled, which does nothing"
        "label it with both, or with none",
    NoController = "no_controller" Controller Careful
        "there is no controller: scripts have to be put into namespaces by hand, and anew when policies change"
        "apply the controller",
    ControllerDown = "controller_down" Controller Wrong
        "no replica of the controller is ready"
        "look at the pods and their events",
    Leaderless = "leaderless" Controller Wrong
        "nobody holds the controller's lease: no scripts are written, and no certificate is renewed"
        "look at the controller's log",
    ScriptsMissing = "scripts_missing" Scripts Wrong
        "pods have hooks whose scripts are not in their namespace"
        "run the controller, or put them there with `quiescent scripts`",
    NoVelero = "no_velero" Velero Wrong
        "there is no Velero: hooks are there, and nobody runs them"
        "install Velero, or name its namespace with --velero-namespace",
    VeleroDown = "velero_down" Velero Wrong
        "Velero's server does not run"
        "look at its pods and their events",
    PostBeforeUpload = "post_before_upload" Velero Wrong
        "this Velero runs post hooks before the volumes are uploaded: a dump is taken away before it is saved"
        "update to 1.15.1 or later",
    CopiesByDefault = "copies_by_default" Velero Wrong
        "volumes are copied file by file unless they are left out: backup-volumes is ignored, and the files of running databases are copied live"
        "take --default-volumes-to-fs-backup away, or set defaultVolumesToFsBackup: false in the Schedules",
    ShortUploads = "short_uploads" Velero Careful
        "the time for uploads is short, and counts from the start of the backup: when it is over, post hooks do not run"
        "give --fs-backup-timeout more",
    NoNodeAgent = "no_node_agent" NodeAgent Wrong
        "there is no node agent: no volume with a dump is saved"
        "install Velero with --use-node-agent",
    NodeAgentUnready = "node_agent_unready" NodeAgent Wrong
        "the node agent is not ready on all nodes: dumps of pods there are not saved"
        "look at its pods and their events",
    StorageUnavailable = "storage_unavailable" Storage Wrong
        "a place for backups cannot be reached, or there is none"
        "`velero backup-location get`, and the log of Velero's server",
    DumpDropped = "dump_dropped" VolumePolicy Wrong
        "a volume policy keeps the volume with the dump out of the backup"
        "put a policy with fs-backup for the volume type emptyDir in front of it",
    VolumePolicyUnreadable = "volume_policy_unreadable" VolumePolicy Wrong
        "a Schedule names a volume policy that is not there or cannot be read: its backups fail"
        "make the ConfigMap, with exactly one key",
    NoSchedule = "no_schedule" Schedules Careful
        "there is no Schedule: nobody starts a backup"
        "`velero schedule create`",
    SchedulePaused = "schedule_paused" Schedules Careful
        "a Schedule is paused"
        "`velero schedule unpause`",
    ScheduleInvalid = "schedule_invalid" Schedules Wrong
        "Velero does not take a Schedule as it is"
        "`velero schedule describe` says why",
    BackupFailed = "backup_failed" Schedules Wrong
        "the last backup of a Schedule failed, in whole or in part"
        "`velero backup describe --details` and `velero backup logs`",
    HooksFailed = "hooks_failed" Schedules Wrong
        "hooks failed in the last backup of a Schedule"
        "`velero backup logs` has what they printed",
    ClockSkew = "clock_skew" Clock Careful
        "our clock and the API server's differ: what is said of certificates goes by ours"
        "set the clocks by NTP",
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}
