//! The ConfigMap that says whose problems were told, for whoever leads next.
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::super::asking::{Asking, Halt};
use crate::results::ledger::Time;

/// Beside the lease.
const TOLD: &str = "quiescent-told";

/// The one entry: when each ended, by uid.
const ENTRY: &str = "backups";

pub struct Told<'a> {
    pub client: &'a Client,
    pub asking: &'a Asking,
    pub namespace: &'a str,
}

impl Told<'_> {
    /// What nobody can read was not written by us.
    pub async fn read(&self) -> Result<BTreeMap<String, Time>, Halt> {
        let told = self.asking.ask(self.config_maps().get_opt(TOLD)).await?;
        let text = told.and_then(|it| it.data?.remove(ENTRY));
        let told = text.and_then(|it| serde_json::from_str(&it).ok());
        Ok(told.unwrap_or_default())
    }

    pub async fn write(&self, told: &BTreeMap<String, Time>) -> Result<(), Halt> {
        let data: Value = json!({ENTRY: json!(told).to_string()});
        let api = self.config_maps();
        let patch = Patch::Merge(json!({"data": data}));
        let (patching, posting) = (PatchParams::default(), PostParams::default());
        match self.asking.ask(api.patch(TOLD, &patching, &patch)).await {
            Err(Halt::Gone) => {
                let new = json!({"metadata": {"name": TOLD}, "data": data});
                let new = serde_json::from_value(new).expect("a ConfigMap of texts");
                self.asking.ask(api.create(&posting, &new)).await?;
            }
            Ok(_) => {}
            Err(halt) => return Err(halt),
        }
        Ok(())
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), self.namespace)
    }
}
