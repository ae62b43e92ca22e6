//! Events in, lookups out; and once over HTTP, with a fake API server below the client.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::http::{Request, Response, StatusCode, header};
use futures::{FutureExt as _, StreamExt as _, channel::mpsc, stream};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::*;

fn namespace(name: &str, labels: &Value, annotations: &Value) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": {
            "name": name,
            "resourceVersion": "7",
            "labels": labels,
            "annotations": annotations,
        }
    })
}

fn parsed(name: &str, stage: &str) -> PartialObjectMeta<Namespace> {
    let annotations = json!({"ours.example/mode": "on", "other.example/big": "x".repeat(1000)});
    serde_json::from_value(namespace(name, &json!({"stage": stage}), &annotations)).unwrap()
}

fn keeper() -> Keeper {
    Keeper {
        namespaces: Namespaces::default(),
        annotation_prefix: "ours.example/",
        listed: Known::new(),
    }
}

fn stage(namespaces: &Namespaces, name: &str) -> Option<String> {
    match namespaces.get(name) {
        Lookup::Known(metadata) => Some(metadata.labels["stage"].clone()),
        Lookup::Unknown | Lookup::NotSynced => None,
    }
}

#[test]
fn nothing_is_known_before_the_list_is_complete() {
    let mut keeper = keeper();
    let namespaces = keeper.namespaces.clone();
    keeper.note(Event::Init);
    keeper.note(Event::InitApply(parsed("shop", "live")));
    assert_eq!(namespaces.get("shop"), Lookup::NotSynced);
    keeper.note(Event::InitDone);
    assert_eq!(stage(&namespaces, "shop").as_deref(), Some("live"));
    assert_eq!(namespaces.get("nowhere"), Lookup::Unknown);
}

#[test]
fn all_labels_are_kept_and_only_our_annotations() {
    let (_, kept) = keeper().kept(parsed("shop", "live")).unwrap();
    assert_eq!(kept.labels["stage"], "live");
    assert_eq!(
        kept.annotations.keys().collect::<Vec<_>>(),
        ["ours.example/mode"]
    );
}

#[test]
fn changes_and_deletions_arrive() {
    let mut keeper = keeper();
    let namespaces = keeper.namespaces.clone();
    for event in [
        Event::Init,
        Event::InitDone,
        Event::Apply(parsed("shop", "test")),
        Event::Apply(parsed("shop", "live")),
        Event::Apply(parsed("old", "test")),
        Event::Delete(parsed("old", "test")),
    ] {
        keeper.note(event);
    }
    assert_eq!(stage(&namespaces, "shop").as_deref(), Some("live"));
    assert_eq!(namespaces.get("old"), Lookup::Unknown);
}

#[test]
fn a_new_list_takes_the_place_of_the_old_only_when_complete() {
    let mut keeper = keeper();
    let namespaces = keeper.namespaces.clone();
    keeper.note(Event::Init);
    keeper.note(Event::InitApply(parsed("shop", "live")));
    keeper.note(Event::InitDone);

    keeper.note(Event::Init);
    keeper.note(Event::InitApply(parsed("crm", "live")));
    assert!(stage(&namespaces, "shop").is_some());
    assert!(stage(&namespaces, "crm").is_none());

    keeper.note(Event::InitDone);
    assert!(stage(&namespaces, "shop").is_none());
    assert!(stage(&namespaces, "crm").is_some());
}

#[test]
fn what_is_known_outlives_a_broken_watch() {
    let mut keeper = keeper();
    let namespaces = keeper.namespaces.clone();
    let events = stream::iter([
        Ok(Event::Init),
        Ok(Event::InitApply(parsed("shop", "live"))),
        Ok(Event::InitDone),
        Err(watcher::Error::NoResourceVersion),
        Err(watcher::Error::NoResourceVersion),
        Ok(Event::Init),
    ]);
    keeper.follow(events).now_or_never().unwrap();
    assert!(namespaces.is_synced());
    assert_eq!(stage(&namespaces, "shop").as_deref(), Some("live"));
}

/// Answers in turn what it was given, then nothing more, and remembers what was asked for.
struct FakeApi {
    answers: Mutex<VecDeque<(StatusCode, String)>>,
    asked: mpsc::UnboundedSender<(String, String)>,
}

impl FakeApi {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let accept = request.headers()[header::ACCEPT]
            .to_str()
            .unwrap()
            .to_owned();
        self.asked
            .unbounded_send((request.uri().to_string(), accept))
            .unwrap();
        let answer = self.answers.lock().unwrap().pop_front();
        let Some((status, body)) = answer else {
            return std::future::pending().await;
        };
        let mut response = Response::new(Body::from(body.into_bytes()));
        *response.status_mut() = status;
        response
    }
}

#[tokio::test(start_paused = true)]
async fn only_metadata_is_asked_for_and_a_refusal_is_no_end() {
    let refused = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": "Forbidden", "message": "no", "code": 403});
    let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "7"},
        "items": [namespace("shop", &json!({"stage": "test"}), &json!({}))]});
    let change = json!({"type": "MODIFIED",
        "object": namespace("shop", &json!({"stage": "live"}), &json!({}))});
    let (asked, mut questions) = mpsc::unbounded();
    let api = Arc::new(FakeApi {
        answers: Mutex::new(VecDeque::from([
            (StatusCode::FORBIDDEN, refused.to_string()),
            (StatusCode::OK, list.to_string()),
            (StatusCode::OK, format!("{change}\n")),
        ])),
        asked,
    });
    let service = tower::service_fn(move |request| {
        let api = Arc::clone(&api);
        async move { Ok::<_, std::convert::Infallible>(api.answer(request).await) }
    });

    let (namespaces, watch) = Namespaces::watch(Client::new(service, "default"), "ours.example/");
    let done = Arc::new(Notify::new());
    let stop = Arc::clone(&done);
    let watching = tokio::spawn(async move {
        tokio::select! {
            () = watch.run() => {}
            () = stop.notified() => {}
        }
    });
    let mut seen = Vec::new();
    // Refused list, list, watch, and the watch after it: by then all before was noted.
    for _ in 0..4 {
        seen.push(questions.next().await.unwrap());
    }
    assert_eq!(stage(&namespaces, "shop").as_deref(), Some("live"));
    assert!(seen[3].0.contains("watch=true"), "{:?}", seen[3]);
    for (uri, accept) in seen {
        assert!(uri.starts_with("/api/v1/namespaces?"), "{uri}");
        assert!(accept.contains("as=PartialObjectMetadata"), "{accept}");
    }
    done.notify_one();
    watching.await.unwrap();
}
