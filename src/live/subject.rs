//! A pod whose hooks run.

use crate::{
    pod::PodView,
    trial::{self, Hooks},
    velero::{ExecHook, of_pods::Labels},
};

/// A pod that is tried.
#[derive(Debug)]
pub struct Subject {
    pub namespace: String,
    pub name: String,
    /// The policies that it follows, as it says itself; the one that was named.
    pub policies: Option<String>,
    pub hooks: Hooks,
    pub labels: Labels,
    /// As the API server has it.
    pub pod: String,
}

impl Subject {
    pub fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Where a hook of it runs, or why it cannot.
    pub fn container(&self, hook: &ExecHook) -> Result<String, String> {
        let pod = PodView::parse(&self.pod).map_err(|error| error.what().clone())?;
        trial::container(hook, &pod).map(str::to_owned)
    }
}
