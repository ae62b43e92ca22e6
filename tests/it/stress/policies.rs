//! Policies swapped again and again under load, good sets and bad ones in turn.
//!
//! A set has many files, and each of its policies gives the pod a volume whose size is the number of
//! the set: a patch with two sizes, or with a volume too few, was made by no set that ever was.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::time;

use super::{
    Choices,
    caller::{Caller, trusting_that_of},
    end,
    load::Load,
    process::Process,
    reviews::{patch, review},
    until,
};

/// Files of one set.
const PARTS: usize = 24;

const REFUSED: &str = "policy_reloads_total{result=\"refused\"}";
const APPLIED: &str = "policy_reloads_total{result=\"applied\"}";

/// A ConfigMap's volume: the files are symlinks through `..data`, which is swapped by a rename.
struct Folder {
    directory: TempDir,
    generation: u32,
}

impl Folder {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for part in 0..PARTS {
            let name = file(part);
            symlink(format!("..data/{name}"), directory.path().join(name)).unwrap();
        }
        let mut folder = Self {
            directory,
            generation: 0,
        };
        folder.swap(policy);
        folder
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts the next set in the place of this one; an empty text is a file that is missing.
    fn swap(&mut self, text: impl Fn(usize, u32) -> String) {
        let before = self.of(self.generation);
        self.generation += 1;
        let now = self.of(self.generation);
        fs::create_dir(&now).unwrap();
        for part in 0..PARTS {
            let text = text(part, self.generation);
            if !text.is_empty() {
                fs::write(now.join(file(part)), text).unwrap();
            }
        }
        let link = self.path().join("..data_tmp");
        symlink(now.file_name().unwrap(), &link).unwrap();
        fs::rename(&link, self.path().join("..data")).unwrap();
        if before.exists() {
            fs::remove_dir_all(before).unwrap();
        }
    }

    fn of(&self, generation: u32) -> PathBuf {
        self.path().join(format!("..generation_{generation}"))
    }
}

fn file(part: usize) -> String {
    format!("part-{part}.yaml")
}

fn policy(part: usize, set: u32) -> String {
    format!(
        "apiVersion: quiescent.dev/v1
kind: HookPolicy
metadata: {{name: part-{part}}}
spec:
  match: {{images: [postgres]}}
  container: {{image: postgres}}
  hooks: {{}}
  volumes:
    part-{part}: {{mountPath: /part-{part}, emptyDir: {{sizeLimit: {set}Mi}}}}
"
    )
}

/// One way in which a set can be bad, and a word of what is said about it.
type Flaw = (&'static str, fn(usize, u32) -> String);

/// One file of the set is bad, in the middle of good ones.
const FLAWED: usize = PARTS / 2;

const FLAWS: &[Flaw] = &[
    ("unknown field", |part, set| {
        let mut text = policy(part, set);
        if part == FLAWED {
            text.push_str("  onerror: Fail\n");
        }
        text
    }),
    ("QP001", |part, set| {
        let mut text = policy(part, set);
        if part == FLAWED {
            text.truncate(text.len() / 2);
        }
        text
    }),
    ("part-0", |_, set| policy(0, set)),
    ("part-12.yaml", |part, set| {
        if part == FLAWED {
            return String::new();
        }
        policy(part, set)
    }),
    ("there is no policy any more", |_, _| {
        "# nothing\n".to_owned()
    }),
];

/// The set that made this patch, when it was one.
fn set(patch: &[Value]) -> Result<String, String> {
    let mut volumes = BTreeSet::new();
    let mut sizes = BTreeSet::new();
    for operation in patch {
        let value = &operation["value"];
        let added = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        for volume in added {
            if let Some(size) = volume["emptyDir"]["sizeLimit"].as_str() {
                sizes.insert(size.to_owned());
                volumes.insert(volume["name"].to_string());
            }
        }
    }
    let said = format!("{} volumes of the sets {sizes:?}", volumes.len());
    match (volumes.len(), sizes.len(), sizes.pop_first()) {
        (PARTS, 1, Some(size)) => Ok(size),
        _ => Err(said),
    }
}

async fn start(folder: &Folder, reload: &str) -> (Process, Load) {
    let path = folder.path().to_str().unwrap();
    let process = Process::start(&["--policies", path, "--reload", reload]);
    let tls = trusting_that_of(&process).await;
    let address = process.webhook;
    let mut load = Load::start(
        &tls,
        Box::new(move || address),
        Box::new(|uid, answer| {
            set(&patch(uid, &answer.body)).unwrap();
        }),
    );
    load.answers(50).await;
    (process, load)
}

#[tokio::test]
async fn every_answer_is_that_of_one_whole_set_and_a_bad_one_stays_out() {
    let mut choices = Choices::seeded("policies");
    let mut folder = Folder::new();
    let (process, mut load) = start(&folder, "50ms").await;
    let end = end();
    let mut swaps = 0;
    while swaps < FLAWS.len() || Instant::now() < end {
        let at_random = choices.below(FLAWS.len());
        let (words, flawed) = FLAWS.get(swaps).unwrap_or(&FLAWS[at_random]);
        let logged = process.log().len();
        let refused = process.metric(REFUSED).await;
        folder.swap(flawed);
        process.until_metric(REFUSED, refused + 1).await;
        process.until_logged(logged, words).await;
        process
            .until_logged(logged, "the last good ones stay in force")
            .await;
        load.answers(50).await;
        assert!(process.is_ready().await);
        assert_eq!(process.metric("policies").await, PARTS as u64);

        let applied = process.metric(APPLIED).await;
        folder.swap(policy);
        process.until_metric(APPLIED, applied + 1).await;
        load.answers(50).await;
        swaps += 1;
    }
    let answered = load.stop_without_loss().await;
    eprintln!("policies: {swaps} bad sets and as many good ones, {answered} answers of whole sets");
}

/// Here a look at the files nearly always meets a swap.
#[tokio::test]
async fn a_set_that_is_swapped_while_it_is_read_is_not_mixed() {
    let mut folder = Folder::new();
    let (process, load) = start(&folder, "1ms").await;
    for _ in 0..300 {
        folder.swap(policy);
        time::sleep(Duration::from_millis(2)).await;
    }
    let last = format!("{}Mi", folder.generation);
    let mut caller = Caller::new(&trusting_that_of(&process).await);
    until(format_args!("the last set, {last}"), async || {
        let answer = caller.send(process.webhook, review("last", 10)).await;
        let made_by = set(&patch("last", &answer.unwrap().body)).unwrap();
        (made_by == last).then_some(())
    })
    .await;
    load.stop_without_loss().await;
}
