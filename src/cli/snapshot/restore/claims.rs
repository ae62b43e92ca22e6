//! Makes claims from snapshots, and waits until they have their volumes.

use std::{fmt::Write as _, time::Duration};

use anyhow::{anyhow, bail};
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use super::{Args, found::Found};
use crate::{
    cli::{Ended, output, snapshot::Format},
    report::Style,
    restore_snapshot::{Claim, Source, name},
    shutdown::Shutdown,
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// A claim that is made.
struct Made<'m> {
    source: &'m Source,
    name: String,
    claim: Claim,
    /// Whether it gets its volume when a pod wants it.
    waits: bool,
    /// How long after it was asked for it had a volume.
    bound: Option<Duration>,
}

pub async fn make(
    args: &Args,
    found: &Found<'_>,
    shutdown: &Shutdown,
    sources: &[Source],
    notes: Vec<String>,
) -> anyhow::Result<Ended> {
    let mut all = Vec::new();
    for source in sources {
        let (claim, class) = found.claim(source, args.asked()).await?;
        let of_snapshot = || name(&source.name);
        all.push(Made {
            source,
            name: args.to.clone().unwrap_or_else(of_snapshot),
            claim,
            waits: class.is_some_and(|it| it.waits),
            bound: None,
        });
    }
    let path = found.path("persistentvolumeclaims");
    let began = Instant::now();
    for made in &all {
        let (name, snapshot) = (&made.name, &made.source.name);
        let object = made.claim.object(found.namespace, name, snapshot, snapshot);
        let answer = found.asker.post(&path, &object).await;
        let answer = answer.map_err(|why| anyhow!("claim {name} cannot be made: {why}"))?;
        if answer.status == 409 {
            let namespace = found.namespace;
            bail!("there is a claim {namespace}/{name} already: name another with --to");
        }
        if !answer.is_success() {
            bail!("claim {name} cannot be made: {}", answer.message());
        }
    }
    let bound = tokio::select! {
        bound = until_bound(found, &path, &mut all, began) => bound,
        () = time::sleep(args.timeout.to_std()) => Ok(()),
        () = shutdown.draining() => Ok(()),
    };
    bound?;
    match args.output {
        Format::Text => output::print_folded(&text(found.namespace, &all))?,
        Format::Json => output::print_raw(&output::json(&value(found.namespace, &all, &notes)))?,
    };
    let is_done = all.iter().all(|it| it.waits || it.bound.is_some());
    Ok(match is_done {
        true => Ended::Fine,
        false if shutdown.is_draining() => Ended::Undone,
        false => Ended::Findings,
    })
}

async fn until_bound(
    found: &Found<'_>,
    path: &str,
    all: &mut [Made<'_>],
    began: Instant,
) -> anyhow::Result<()> {
    loop {
        let mut open = false;
        for made in all.iter_mut().filter(|it| !it.waits && it.bound.is_none()) {
            let claim = found.there(path, &made.name).await?;
            if claim.is_some_and(|it| it["status"]["phase"] == "Bound") {
                made.bound = Some(began.elapsed());
            }
            open |= made.bound.is_none();
        }
        if !open {
            return Ok(());
        }
        time::sleep(PAUSE).await;
    }
}

fn text(namespace: &str, all: &[Made<'_>]) -> String {
    let mut text = String::new();
    for made in all {
        let Claim { class, size, .. } = &made.claim;
        let state = match made.bound {
            Some(bound) => Style::Good.paint(format!("bound after {:.1} s", bound.as_secs_f64())),
            None if made.waits => {
                Style::Careful.paint("gets its volume with its first pod (WaitForFirstConsumer)")
            }
            None => Style::Bad.paint("not bound, and still there: kubectl describe says why"),
        };
        let _ = writeln!(
            text,
            "{}  from volumesnapshot/{}  {}  {size}  {state}",
            Style::Strong.paint(format!("{namespace}/{}", made.name)),
            made.source.name,
            class.as_deref().unwrap_or("the default class"),
        );
    }
    text
}

fn value(namespace: &str, all: &[Made<'_>], notes: &[String]) -> Value {
    let claims = all.iter().map(|made| {
        let seconds = |time: Duration| (time.as_secs_f64() * 1000.0).round() / 1000.0;
        json!({
            "name": made.name,
            "snapshot": made.source.name,
            "class": made.claim.class,
            "size": made.claim.size,
            "accessModes": made.claim.modes,
            "waitsForFirstConsumer": made.waits,
            "boundSeconds": made.bound.map(seconds),
        })
    });
    json!({"namespace": namespace, "claims": claims.collect::<Vec<_>>(), "notes": notes})
}
