//! Quiescent gives Kubernetes pods the Velero hooks that their databases need, by policy.
//!
//! The layers, lowest first; a module uses only what stands before it, and
//! `tests/it/architecture.rs` holds them to it:
//!
//! | modules | what they know |
//! |---|---|
//! | `coordinator`, `csi`, `json` | a session that holds a database between two hooks; objects of CSI snapshots; JSON read in place |
//! | `diagnostic`, `yaml`, `velero`, `pod`, `rotation`, `entries` | findings, documents with places, Velero's contract, a pod's JSON, when a certificate is renewed, what the webhook's entries must say |
//! | `policy` | which pods are meant and what they get |
//! | `recognise` | what is a database, what stands beside one, and whose databases somebody else backs up |
//! | `select` | which policies select a pod, and why the others do not |
//! | `plan` | what is to be added, what is left alone and why |
//! | `patch` | RFC 6902 |
//! | `inject`, `uninject` | all of these for one pod, and the way back |
//! | `guard` | whether hooks are what policies give |
//! | `replica` | what is to be done about ConfigMaps with scripts |
//! | `workload`, `report`, `admission`, `render` | manifests, words for people, `AdmissionReview`, policies as objects that need no webhook |
//! | `library` | the policies that are compiled in |
//! | `lint` | what is wrong with hooks that people wrote |
//! | `audit` | which databases a backup saves, and which it only seems to save |
//! | `doctor` | what is wrong with an installation, and what to do: judged over what was seen of it |
//! | `missed` | what is to be done about pods that run without their hooks |
//! | `trial` | hooks tried on a live pod: the next step, what has to be undone, what it says |
//! | `results` | what became of the hooks and volumes of a backup or restore |
//! | `verify` | a backup restored beside the original: what is copied, and what all that was seen comes to |
//! | `snapshot` | snapshots of claims while their pods hold: the next step, what has to be undone, what it may be called |
//! | `restore_snapshot` | claims made from snapshots, and a pod that starts on them beside its original |
//! | `files`, `kubernetes`, `telemetry`, `shutdown` | I/O without a word of ours |
//! | `certs`, `policy_files`, `policy_resources`, `velero_files`, `live`, `snapshotter`, `server`, `controller` | I/O with one |
//! | `cli` | all of it, for a person |
//!
//! From `json` to `verify` nothing waits, reads a clock or a file, or logs.

pub mod admission;
pub mod audit;
pub mod certs;
pub mod cli;
pub mod controller;
pub mod coordinator;
pub mod csi;
pub mod diagnostic;
pub mod doctor;
pub mod entries;
pub mod files;
pub mod guard;
pub mod inject;
pub mod json;
pub mod kubernetes;
pub mod library;
pub mod lint;
pub mod live;
pub mod missed;
pub mod patch;
pub mod plan;
pub mod pod;
pub mod policy;
pub mod policy_files;
pub mod policy_resources;
pub mod recognise;
pub mod render;
pub mod replica;
pub mod report;
pub mod restore_snapshot;
pub mod results;
pub mod rotation;
pub mod select;
pub mod server;
pub mod shutdown;
pub mod snapshot;
pub mod snapshotter;
pub mod telemetry;
pub mod trial;
pub mod uninject;
pub mod velero;
pub mod velero_files;
pub mod verify;
pub mod workload;
pub mod yaml;
