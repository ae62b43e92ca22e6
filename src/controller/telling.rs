//! Writes an Event, while it leads.
use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::ObjectReference};
use kube::{
    Api, Client,
    runtime::events::{Event, Recorder, Reporter},
};

use super::asking::{Asking, Halt};
use crate::missed::Owner;

/// Says something about an object, to whoever looks at its Events.
pub async fn tell(
    client: &Client,
    asking: &Asking,
    event: Event,
    about: &ObjectReference,
) -> Result<(), Halt> {
    // A recorder's own memory would hide news: whoever tells knows what was told.
    let recorder = Recorder::new(client.clone(), Reporter::from("quiescent-controller"));
    let event = Event {
        note: event.note.map(cut),
        ..event
    };
    asking.ask(recorder.publish(&event, about)).await?;
    Ok(())
}

/// Says something about what owns a pod, or about the workload above it that people know.
pub async fn tell_owner(
    client: &Client,
    asking: &Asking,
    namespace: &str,
    owner: &Owner,
    event: Event,
) -> Result<(), Halt> {
    let Owner {
        api_version,
        kind,
        name,
        uid,
    } = top(client, asking, namespace, owner).await?;
    let about = ObjectReference {
        api_version: Some(api_version),
        kind: Some(kind),
        name: Some(name),
        namespace: Some(namespace.to_owned()),
        uid: Some(uid),
        ..ObjectReference::default()
    };
    tell(client, asking, event, &about).await
}

/// What owns a ReplicaSet, where something does.
async fn top(
    client: &Client,
    asking: &Asking,
    namespace: &str,
    owner: &Owner,
) -> Result<Owner, Halt> {
    if (&*owner.api_version, &*owner.kind) != ("apps/v1", "ReplicaSet") {
        return Ok(owner.clone());
    }
    let api = Api::<ReplicaSet>::namespaced(client.clone(), namespace);
    let set = asking.ask(api.get_metadata_opt(&owner.name)).await?;
    let owners = set.and_then(|set| set.metadata.owner_references);
    let mut owners = owners.into_iter().flatten();
    let above = owners.find(|it| it.controller == Some(true));
    Ok(above.map_or_else(
        || owner.clone(),
        |it| Owner {
            api_version: it.api_version,
            kind: it.kind,
            name: it.name,
            uid: it.uid,
        },
    ))
}

/// The API server takes no more than 1 kB.
fn cut(mut note: String) -> String {
    const MOST: usize = 1000;
    if note.len() > MOST {
        note.truncate(note.floor_char_boundary(MOST));
        note.push('…');
    }
    note
}
