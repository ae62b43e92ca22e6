//! Tells by an Event that files of policies have turned bad, while it leads.
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType},
};
use tokio::sync::Notify;

use super::{
    asking::{Asking, Halt},
    metrics::ControllerMetrics,
    telling::tell,
};
use crate::shutdown::Shutdown;

const NOTE: &str = "the files of policies have errors, so the last good ones stay in force; the log of the controller says which, and so does quiescent lint";

/// Whoever follows the files says here that they were refused.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Notify>);

impl Refusals {
    pub fn tell(&self) {
        let Self(refused) = self;
        refused.notify_one();
    }
}

pub struct Files {
    pub client: Client,
    /// The Lease, which is ours as long as we lead.
    pub about: ObjectReference,
    pub refusals: Refusals,
    pub asking: Asking,
    pub metrics: ControllerMetrics,
}

impl Files {
    /// Works until the first signal.
    pub async fn run(self, shutdown: Shutdown) {
        let Refusals(refused) = &self.refusals;
        loop {
            tokio::select! {
                () = shutdown.draining() => return,
                () = refused.notified() => {}
            }
            if let Err(Halt::Failed(failure, reason)) = self.tell().await {
                self.metrics.not_said(failure);
                tracing::warn!(
                    failure = failure.as_str(),
                    reason,
                    "no Event says that the policies were refused"
                );
            }
        }
    }

    async fn tell(&self) -> Result<(), Halt> {
        let event = Event {
            type_: EventType::Warning,
            reason: "PoliciesRefused".to_owned(),
            note: Some(NOTE.to_owned()),
            action: "Reload".to_owned(),
            secondary: None,
        };
        tell(&self.client, &self.asking, event, &self.about).await
    }
}
