//! The cluster side: observes what is there, asks what is to be done, does one thing at a time.
//!
//! All replicas observe; only the one that leads writes.
mod asking;
mod backups;
mod certificates;
mod entries;
mod files;
mod heal;
mod metrics;
mod missed;
mod notify;
mod observer;
mod policies;
mod scripts;
mod snapshots;
mod telling;
mod workloads;
mod world;

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio::sync::oneshot;

use self::{
    asking::Asking, backups::Backups, certificates::Certificates, files::Files, heal::Heal,
    missed::Missed, observer::Observer, policies::Policies, scripts::Scripts, snapshots::Snapshots,
};
pub use self::{
    backups::{BackupPlan, ResultLevels},
    certificates::CertificatePlan,
    files::Refusals,
    metrics::{ControllerMetrics, Levels, ResultMetrics, RotationMetrics, SnapshotMetrics},
    notify::Notifier,
    world::{Kind, World},
};
use crate::{
    kubernetes::{Election, Leadership, Terms},
    policy_files::InForce,
    policy_resources::Resources,
    select::Settings,
    shutdown::Shutdown,
};

/// What an operator decides about it.
pub struct Plan {
    pub settings: Settings,
    /// How often everything is looked at, whatever was heard.
    pub interval: Duration,
    /// How long scripts stay that nothing uses.
    pub keep_scripts: Duration,
    pub lease: Terms,
    /// Whether annotations of running pods are put right.
    pub repair: bool,
    /// Whether pods that lack their hooks are evicted, so that they are made anew.
    pub heal: bool,
    /// Absent where nobody is to look after certificates.
    pub certificates: Option<(CertificatePlan, RotationMetrics)>,
    /// Absent where Velero's backups are not followed.
    pub backups: Option<BackupPlan>,
    /// Absent where no snapshots are taken.
    pub snapshots: Option<SnapshotMetrics>,
    /// Absent where policies of the cluster are not followed.
    pub resources: Option<Resources>,
}

/// What works for one cluster, and does nothing until it is run.
pub struct Controller {
    election: Election,
    observer: Observer,
    scripts: Scripts,
    missed: Missed,
    certificates: Option<Certificates>,
    policies: Option<Policies>,
    backups: Option<Backups>,
    snapshots: Option<Snapshots>,
    files: Files,
    world: Arc<World>,
    leadership: Leadership,
}

impl Controller {
    pub fn new(client: Client, policies: InForce, plan: Plan, metrics: ControllerMetrics) -> Self {
        let Plan {
            settings,
            interval,
            keep_scripts,
            lease,
            repair,
            heal,
            certificates,
            backups,
            snapshots,
            resources,
        } = plan;
        let of_velero = settings.velero_namespace.clone();
        let left_out = settings.left_out().map(str::to_owned).into();
        let about = ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_owned()),
            kind: Some("Lease".to_owned()),
            name: Some(lease.name.clone()),
            namespace: Some(lease.namespace.clone()),
            ..ObjectReference::default()
        };
        let world = Arc::new(World::new(policies.clone(), settings));
        let own_namespace = lease.namespace.clone();
        let patience = lease.duration / 4;
        let (election, leadership) = Election::new(client.clone(), lease);
        let asking = Asking {
            leadership: leadership.clone(),
            patience,
        };
        Self {
            election,
            observer: Observer {
                client: client.clone(),
                world: Arc::clone(&world),
                interval,
                metrics: metrics.clone(),
            },
            certificates: certificates.map(|(plan, metrics)| Certificates {
                client: client.clone(),
                plan,
                left_out,
                asking: asking.clone(),
                interval,
                metrics,
            }),
            missed: Missed {
                client: client.clone(),
                world: Arc::clone(&world),
                asking: asking.clone(),
                interval,
                repair,
                heal: heal.then(|| Heal {
                    client: client.clone(),
                    world: Arc::clone(&world),
                    asking: asking.clone(),
                    namespace: own_namespace.clone(),
                    turn: AtomicUsize::new(0),
                }),
                metrics: metrics.clone(),
            },
            backups: backups.map(|plan| Backups {
                client: client.clone(),
                namespace: of_velero,
                own_namespace,
                world: Arc::clone(&world),
                policies: policies.clone(),
                ledger: Arc::default(),
                asking: asking.clone(),
                interval,
                plan,
            }),
            snapshots: snapshots
                .map(|it| Snapshots::new(&client, &policies, &asking, interval, it)),
            policies: resources.map(|resources| Policies {
                client: client.clone(),
                resources,
                in_force: policies.clone(),
                asking: asking.clone(),
                interval,
                metrics: metrics.clone(),
            }),
            files: Files {
                client: client.clone(),
                about,
                refusals: Refusals::default(),
                asking: asking.clone(),
                metrics: metrics.clone(),
            },
            scripts: Scripts {
                client,
                world: Arc::clone(&world),
                policies,
                asking,
                interval,
                keep: keep_scripts,
                metrics,
            },
            world,
            leadership,
        }
    }

    pub fn world(&self) -> Arc<World> {
        Arc::clone(&self.world)
    }

    /// Where whoever follows the files of policies says that they were refused.
    pub fn refusals(&self) -> Refusals {
        self.files.refusals.clone()
    }

    /// What backups came to, where they are followed.
    pub fn results(&self) -> Option<ResultLevels> {
        let backups = self.backups.as_ref()?;
        Some(ResultLevels {
            ledger: Arc::clone(&backups.ledger),
            leadership: self.leadership.clone(),
        })
    }

    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Works until the first signal; then finishes the step under way and gives the lease back.
    pub async fn run(self, shutdown: Shutdown) {
        let Self {
            election,
            observer,
            scripts,
            missed,
            certificates,
            policies,
            backups,
            snapshots,
            files,
            world: _,
            leadership: _,
        } = self;
        let (written, all_written) = oneshot::channel::<()>();
        let write = async move {
            let certificates = async {
                if let Some(certificates) = certificates {
                    Box::pin(certificates.run(shutdown.clone())).await;
                }
            };
            let policies = async {
                if let Some(policies) = policies {
                    policies.run(shutdown.clone()).await;
                }
            };
            let backups = async {
                if let Some(backups) = backups {
                    Box::pin(backups.run(shutdown.clone())).await;
                }
            };
            let snapshots = async {
                if let Some(snapshots) = snapshots {
                    Box::pin(snapshots.run(shutdown.clone())).await;
                }
            };
            let scripts = async {
                tokio::select! {
                    ((), ()) = async { tokio::join!(scripts.run(shutdown.clone()), missed.run(shutdown.clone())) } => {}
                    () = observer.run() => {}
                }
            };
            tokio::join!(
                certificates,
                policies,
                backups,
                snapshots,
                files.run(shutdown.clone()),
                scripts
            );
            drop(written);
        };
        // A task of its own: a lease has to be renewed also while a long list is read.
        let election = tokio::spawn(election.run(async {
            // The sender is dropped, never used.
            let _ = all_written.await;
        }));
        let lead = async { election.await.expect("an election does not panic") };
        tokio::join!(write, lead);
    }
}
