//! A backup of the pods whose hooks work, by Velero itself.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use anyhow::{Context as _, bail};
use kube::{Client, api::PostParams, core::Request};
use serde_json::Value;
use tokio::time;

use super::{
    super::results::{Results, results},
    pods::named_with,
};
use crate::{
    kubernetes::object,
    live::{Live, Subject},
    velero::{
        objects::{Kind, is_over, path},
        of_pods::{Labels, backup_of_pods},
    },
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Has Velero back the pods up, waits for the end as `velero backup create --wait` does, and says what
/// became of it.
pub async fn made(
    live: &Live<'_>,
    velero: &str,
    subjects: &[&Subject],
    notes: &mut Vec<String>,
) -> anyhow::Result<Results> {
    let client = live.client;
    let labels: Vec<&Labels> = subjects.iter().map(|it| &it.labels).collect();
    for subject in subjects {
        if subject.labels.is_empty() {
            let pod = subject.title();
            bail!("pod {pod} has no labels, and Velero selects pods by labels alone");
        }
        let twins = named_with(client, &subject.namespace, &subject.labels).await?;
        for twin in twins {
            if !subjects.iter().any(|it| it.name == twin) {
                let note = format!(
                    "the backup takes {}/{twin} too: it has all the labels of {}",
                    subject.namespace, subject.name
                );
                anstream::eprintln!("{note}");
                notes.push(note);
            }
        }
    }
    let Some(namespace) = subjects.first().map(|it| it.namespace.as_str()) else {
        bail!("there is no pod to back up");
    };
    let object = backup_of_pods(velero, namespace, &labels);
    let name = created(client, velero, &object).await?;
    tokio::select! {
        over = over(client, velero, &name) => over?,
        () = live.shutdown.draining() => bail!(
            "stopped while Velero was at it; when it is done: quiescent results backup/{name} -n {velero}"
        ),
    }
    results(client, velero, Kind::Backup, &name).await
}

/// Creates it, and gives the name that it got.
async fn created(client: &Client, velero: &str, backup: &Value) -> anyhow::Result<String> {
    let request = Request::new(path(velero, Kind::Backup.plural()));
    let request = request.create(&PostParams::default(), serde_json::to_vec(backup)?)?;
    let created: Value = client.request(request).await.context(
        "failed to create a Backup: does Velero run in the namespace of --velero-namespace?",
    )?;
    let name = created["metadata"]["name"].as_str();
    Ok(name
        .context("the API server gave the Backup no name")?
        .to_owned())
}

/// Waits until Velero is done with it.
async fn over(client: &Client, velero: &str, name: &str) -> anyhow::Result<()> {
    let mut told = String::new();
    loop {
        let text = object(client, &path(velero, Kind::Backup.plural()), name).await?;
        let backup: Value = serde_json::from_str(&text).context("the API server sent no object")?;
        let status = &backup["status"];
        let phase = status["phase"].as_str().unwrap_or("New");
        if phase == "FailedValidation" {
            let why = status["validationErrors"].as_array().into_iter().flatten();
            let why: Vec<&str> = why.filter_map(Value::as_str).collect();
            bail!("Velero does not take backup {name}: {}", why.join("; "));
        }
        if is_over(phase) {
            return Ok(());
        }
        if phase != told && io::stderr().is_terminal() {
            anstream::eprintln!("backup/{name} is {phase}");
            phase.clone_into(&mut told);
        }
        time::sleep(PAUSE).await;
    }
}
