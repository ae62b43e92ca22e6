//! Keeps the state of one snapshot in its object.

use std::sync::{Mutex, PoisonError};

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    super::asking::{Asking, Failure, Halt},
    known::FINALIZER,
    status::{About, now},
};
use crate::{
    snapshot::{Phase, Snapshot},
    snapshotter::{Keep, Kept, Plan},
};

/// How often somebody else may be faster with a change that is none of ours.
const TRIES: usize = 5;

/// One object, as it was seen last. Nobody else of us writes its status: what holds it is written in it.
pub struct Object<'o> {
    pub api: Api<DynamicObject>,
    pub name: String,
    pub uid: String,
    pub about: About,
    pub holder: &'o str,
    pub asking: &'o Asking,
    version: Mutex<String>,
}

impl<'o> Object<'o> {
    pub fn new(
        api: Api<DynamicObject>,
        object: &DynamicObject,
        holder: &'o str,
        asking: &'o Asking,
    ) -> Self {
        let metadata = &object.metadata;
        Self {
            api,
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            about: About {
                generation: metadata.generation,
                before: object.data["status"].clone(),
            },
            holder,
            asking,
            version: Mutex::new(metadata.resource_version.clone().unwrap_or_default()),
        }
    }

    /// Says that it waits for another one, unless it says so already.
    pub async fn waits(&self, why: &str) -> Result<(), Halt> {
        if self.about.before["message"] == why {
            return Ok(());
        }
        self.write(&self.about.waits("Waiting", why, &now())).await
    }

    /// Writes a status where nobody else has taken the object meanwhile.
    pub async fn write(&self, status: &Value) -> Result<(), Halt> {
        let holder = self.about.before["holder"].clone();
        for _ in 0..TRIES {
            let patch = json!({
                "metadata": {"uid": self.uid, "resourceVersion": self.version()},
                "status": status,
            });
            let patch = Patch::Merge(patch);
            let parameters = PatchParams::default();
            let written = self.api.patch_status(&self.name, &parameters, &patch);
            match self.asking.ask(written).await {
                Ok(object) => {
                    self.saw(&object);
                    return Ok(());
                }
                Err(Halt::Failed(Failure::Conflict, _)) => {}
                Err(halt) => return Err(halt),
            }
            let object = self.asking.ask(self.api.get(&self.name)).await?;
            let theirs = &object.data["status"]["holder"];
            let ours = theirs.is_null() || *theirs == self.holder || *theirs == holder;
            if object.metadata.uid.as_deref() != Some(&self.uid) || !ours {
                break;
            }
            self.saw(&object);
        }
        let why = "another controller is at it".to_owned();
        Err(Halt::Failed(Failure::Conflict, why))
    }

    /// Puts our finalizer on it, or takes it off.
    pub async fn finalize(&self, on: bool, finalizers: &[String]) -> Result<(), Halt> {
        let mut finalizers = finalizers.to_vec();
        finalizers.retain(|it| it != FINALIZER);
        if on {
            finalizers.push(FINALIZER.to_owned());
        }
        let patch = json!({"metadata": {
            "uid": self.uid, "resourceVersion": self.version(), "finalizers": finalizers,
        }});
        let patch = Patch::Merge(patch);
        let parameters = PatchParams::default();
        let written = self.api.patch(&self.name, &parameters, &patch);
        let object = self.asking.ask(written).await?;
        self.saw(&object);
        Ok(())
    }

    fn version(&self) -> String {
        let version = self.version.lock();
        version.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn saw(&self, object: &DynamicObject) {
        let version = object.metadata.resource_version.clone();
        let mut known = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        *known = version.unwrap_or_default();
    }
}

/// Keeps what becomes of a plan.
pub struct Keeper<'k> {
    pub object: &'k Object<'k>,
    pub plan: &'k Plan,
    /// How far what is kept has come.
    pub phase: watch::Sender<Phase>,
    last: Mutex<String>,
}

impl<'k> Keeper<'k> {
    pub fn new(object: &'k Object<'k>, plan: &'k Plan) -> Self {
        Self {
            object,
            plan,
            phase: watch::Sender::new(Phase::Pending),
            last: Mutex::default(),
        }
    }
}

impl Keep for Keeper<'_> {
    async fn keep(&self, snapshot: &Snapshot) -> Result<(), String> {
        let Self { object, plan, .. } = self;
        let state = serde_json::to_string(&Kept::of(plan, snapshot));
        let state = state.map_err(|error| error.to_string())?;
        let is_kept = *self.last.lock().unwrap_or_else(PoisonError::into_inner) == state;
        if !is_kept {
            let about = &object.about;
            let status = about.under_way(plan, snapshot, object.holder, &state, &now());
            let written = object.write(&status).await;
            written.map_err(|halt| {
                let name = &object.name;
                format!("its state cannot be written to ConsistentSnapshot {name}: {halt}")
            })?;
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = state;
        }
        self.phase.send_replace(snapshot.phase());
        Ok(())
    }
}
