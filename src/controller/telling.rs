//! Writes an Event, while it leads.
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, Recorder, Reporter},
};

use super::asking::{Asking, Halt};

/// Says something about an object, to whoever looks at its Events.
pub async fn tell(
    client: &Client,
    asking: &Asking,
    event: &Event,
    about: &ObjectReference,
) -> Result<(), Halt> {
    // A recorder's own memory would hide news: whoever tells knows what was told.
    let recorder = Recorder::new(client.clone(), Reporter::from("quiescent-controller"));
    asking.ask(recorder.publish(event, about)).await?;
    Ok(())
}
