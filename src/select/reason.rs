//! Why a pod, or a policy for it, was passed over: one closed list for people, logs, metrics and audit.

use std::fmt;

macro_rules! reasons {
    ($($name:ident = $code:literal $sentence:literal,)*) => {
        /// Why nothing was done, or less than a policy asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $sentence] $name,)*
        }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// For programs: labels of metrics, fields of logs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// For people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }
        }
    };
}

reasons! {
    // The pod as a whole.
    NotCreate = "not_create" "only the creation of a pod is changed",
    MirrorPod = "mirror_pod" "the pod mirrors a static one of a kubelet, which no webhook can change",
    WindowsPod = "windows_pod" "the pod runs on Windows, the hooks are for Linux",
    SystemNamespace = "system_namespace" "the namespace belongs to Kubernetes",
    OwnNamespace = "own_namespace" "the namespace is our own",
    VeleroNamespace = "velero_namespace" "the namespace is Velero's",
    DisabledByPod = "disabled_by_pod" "the pod's label quiescent.dev/inject says disabled",
    DisabledByNamespace = "disabled_by_namespace" "the namespace's label quiescent.dev/inject says disabled",
    NotEnabled = "not_enabled" "neither pod nor namespace has the label quiescent.dev/inject=enabled",
    NamespaceUnknown = "namespace_unknown" "the labels of the namespace are not known, for want of a cluster",
    NamespaceNotSeen = "namespace_not_seen" "the labels of the namespace have not come from the API server yet",
    MethodOff = "method_off" "the label quiescent.dev/method says off",
    EndsByItself = "ends_by_itself" "the pod ends by itself, and Velero fails hooks of pods that have",
    NoPolicyMatches = "no_policy_matches" "no policy matches",
    Unreadable = "unreadable" "a field of the pod has another type than Kubernetes gives it",
    // One policy.
    Replaced = "replaced" "a policy of the pod's namespace with the same name takes its place",
    Excluded = "excluded" "excluded by the policy",
    NamespaceName = "namespace_name" "the namespace is not one of the policy's",
    NamespaceLabels = "namespace_labels" "the namespace's labels are not what the policy asks for",
    PodLabels = "pod_labels" "the pod's labels are not what the policy asks for",
    Method = "method" "the method, quiescent.dev/method, is another one",
    Owner = "owner" "nothing that the policy names owns the pod",
    Image = "image" "no container's image matches",
    Recognised = "recognised" "recognised as something that the policy leaves alone",
    BadParameter = "bad_parameter" "an annotation sets a parameter to a value it cannot have",
    NoContainer = "no_container" "no container is the one that the policy means",
    SeveralContainers = "several_containers" "several containers are what the policy means; the annotation quiescent.dev/container=NAME chooses one",
    NativeSidecar = "native_sidecar" "the container is a native sidecar, where Velero up to 1.18 runs no hook",
    // One policy beside what the pod has already.
    AuthorsHooks = "authors_hooks" "the pod has hooks of its author, and the policy says to keep them",
    Denied = "denied" "the pod has hooks of its author, and the policy refuses such pods",
    OtherContainer = "other_container" "Velero runs one hook a phase, and it runs in another container",
    VolumeTaken = "volume_taken" "the pod has another volume of that name",
    MountPathTaken = "mount_path_taken" "another volume is mounted at that path",
    ContainerTaken = "container_taken" "the pod has another container of the coordinator's name",
    LiteralValue = "literal_value" "its value is written in the pod, and the coordinator gets only what comes by valueFrom",
    OneInit = "one_init" "Velero makes one init container for a restored pod, and a policy before this one has it",
    NoSuchVolume = "no_such_volume" "the pod has no volume of the name that is to be backed up",
    TooLong = "too_long" "with the hooks before it the time would exceed the 4h after which Velero ends any",
    CallsHttp = "calls_http" "its hooks call HTTP, which Velero cannot without a coordinator: quiescent snapshot and quiescent test make the calls",
    ManyAnnotations = "many_annotations" "the pod's annotations would exceed the 256 KiB that Kubernetes allows",
    Restored = "restored" "the pod is restored from a backup with other hooks than these, and keeps what it had",
    Unprovable = "unprovable" "the patch did not pass its own proof, which is a bug of ours",
}

impl Reason {
    /// Whether a policy came so close to a pod that its author may have expected it to apply.
    #[must_use]
    pub const fn is_near(self) -> bool {
        match self {
            Self::NamespaceUnknown
            | Self::NamespaceNotSeen
            | Self::Unreadable
            | Self::Excluded
            | Self::Recognised
            | Self::NamespaceLabels
            | Self::Method
            | Self::BadParameter
            | Self::NoContainer
            | Self::SeveralContainers
            | Self::NativeSidecar
            | Self::AuthorsHooks
            | Self::Denied
            | Self::OtherContainer
            | Self::VolumeTaken
            | Self::MountPathTaken
            | Self::ContainerTaken
            | Self::LiteralValue
            | Self::OneInit
            | Self::NoSuchVolume
            | Self::Restored
            | Self::TooLong
            | Self::CallsHttp
            | Self::ManyAnnotations
            | Self::Unprovable => true,
            Self::NotCreate
            | Self::MirrorPod
            | Self::WindowsPod
            | Self::SystemNamespace
            | Self::OwnNamespace
            | Self::VeleroNamespace
            | Self::DisabledByPod
            | Self::DisabledByNamespace
            | Self::NotEnabled
            | Self::MethodOff
            | Self::EndsByItself
            | Self::NoPolicyMatches
            | Self::Replaced
            | Self::NamespaceName
            | Self::PodLabels
            | Self::Owner
            | Self::Image => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}
