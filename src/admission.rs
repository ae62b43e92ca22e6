//! `AdmissionReview` in, `AdmissionReview` out (`admission.k8s.io/v1`).
//!
//! What cannot be read is refused with a 4xx, so that the webhook's `failurePolicy` decides. A pod
//! is never refused for a fault of ours.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{error::Category, json, value::RawValue};

use crate::{
    inject::{Injection, inject},
    pod::{PodView, Text, view},
    policy::PolicySet,
    select::{Facts, Reason, Verdict},
};

/// The API server shortens warnings beyond this many characters.
const LONGEST_WARNING: usize = 120;

/// A review that can be answered.
#[derive(Debug)]
pub struct Review<'a> {
    pub uid: Text<'a>,
    pub namespace: Text<'a>,
    pub name: Option<Text<'a>>,
    pub dry_run: bool,
    pub pod: Subject<'a>,
}

#[derive(Debug)]
pub enum Subject<'a> {
    Pod(Box<PodView<'a>>),
    /// An update, a deletion, a subresource: answered, never changed.
    NotACreation,
}

/// Why a body is no review that we can answer.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the body is not UTF-8")]
    NotUtf8,
    #[error("the body is not an AdmissionReview in JSON: {0}")]
    NotJson(Unreadable),
    #[error(
        "the body is no AdmissionReview of admission.k8s.io/v1: its apiVersion is {api_version:?}, its kind {kind:?}"
    )]
    OtherVersion { api_version: String, kind: String },
    #[error("the review has no request")]
    NoRequest,
    #[error("the request has no uid")]
    NoUid,
    #[error(
        "the request is about a {0}, and only pods are answered: check the rules of the webhook configuration"
    )]
    NotAPod(String),
    #[error("the request has no object")]
    NoObject,
    #[error("the object is not a pod that can be read: {0}")]
    BadPod(Unreadable),
}

/// Where JSON could not be read, without a word of what stands there: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    category: Category,
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self {
            category: error.classify(),
            line: error.line(),
            column: error.column(),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            category,
            line,
            column,
        } = self;
        let what = match category {
            Category::Syntax | Category::Io => "it is no JSON",
            Category::Data => "a value has another type than it must have",
            Category::Eof => "it ends too early",
        };
        write!(f, "{what}, at line {line}, column {column}")
    }
}

impl Refusal {
    /// For metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::NotJson(_) => "not_json",
            Self::OtherVersion { .. } => "other_version",
            Self::NoRequest => "no_request",
            Self::NoUid => "no_uid",
            Self::NotAPod(_) => "not_a_pod",
            Self::NoObject => "no_object",
            Self::BadPod(_) => "bad_pod",
        }
    }

    pub const ALL: [&'static str; 8] = [
        "not_utf8",
        "not_json",
        "other_version",
        "no_request",
        "no_uid",
        "not_a_pod",
        "no_object",
        "bad_pod",
    ];
}

view! {
    struct Envelope<'a> {
        api_version: Text<'a> = "apiVersion",
        kind: Text<'a> = "kind",
        request: Option<Request<'a>> = "request",
    }

    struct Request<'a> {
        uid: Text<'a> = "uid",
        kind: Option<GroupKind<'a>> = "kind",
        namespace: Text<'a> = "namespace",
        name: Option<Text<'a>> = "name",
        sub_resource: Option<Text<'a>> = "subResource",
        operation: Text<'a> = "operation",
        dry_run: bool = "dryRun",
        object: Option<&'a RawValue> = "object",
    }

    struct GroupKind<'a> {
        group: Text<'a> = "group",
        kind: Text<'a> = "kind",
    }
}

/// Reads a review.
///
/// # Errors
/// What keeps it from being answered.
pub fn parse(body: &[u8]) -> Result<Review<'_>, Refusal> {
    let body = std::str::from_utf8(body).map_err(|_| Refusal::NotUtf8)?;
    let envelope: Envelope<'_> =
        serde_json::from_str(body).map_err(|error| Refusal::NotJson(error.into()))?;
    if &*envelope.api_version != "admission.k8s.io/v1" || &*envelope.kind != "AdmissionReview" {
        return Err(Refusal::OtherVersion {
            api_version: envelope.api_version.to_string(),
            kind: envelope.kind.to_string(),
        });
    }
    let request = envelope.request.ok_or(Refusal::NoRequest)?;
    if request.uid.is_empty() {
        return Err(Refusal::NoUid);
    }
    let kind = request.kind.as_ref();
    let is_pod = kind.is_some_and(|it| &*it.kind == "Pod" && it.group.is_empty());
    if !is_pod {
        let kind = kind.map_or_else(|| "nothing".to_owned(), |it| it.kind.to_string());
        return Err(Refusal::NotAPod(kind));
    }
    let whole = request.sub_resource.as_ref().is_none_or(|it| it.is_empty());
    let pod = if &*request.operation == "CREATE" && whole {
        let object = request.object.ok_or(Refusal::NoObject)?;
        Subject::Pod(Box::new(
            PodView::parse(object.get()).map_err(|error| Refusal::BadPod(error.into()))?,
        ))
    } else {
        Subject::NotACreation
    };
    Ok(Review {
        uid: request.uid,
        namespace: request.namespace,
        name: request.name.filter(|name| !name.is_empty()),
        dry_run: request.dry_run,
        pod,
    })
}

/// What was done about a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The pod got hooks.
    Injected,
    /// It has them already.
    Unchanged,
    /// It gets none.
    Passed,
    /// It was refused, as a policy says.
    Denied,
}

impl Outcome {
    pub const ALL: [Self; 4] = [Self::Injected, Self::Unchanged, Self::Passed, Self::Denied];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Unchanged => "unchanged",
            Self::Passed => "passed",
            Self::Denied => "denied",
        }
    }
}

/// The answer to a review, and what a log says of it.
#[derive(Debug)]
pub struct Answer {
    pub body: Vec<u8>,
    pub outcome: Outcome,
    pub reason: Option<Reason>,
    /// The policies that the pod follows, with their versions.
    pub policies: String,
    /// The pod's name, or what the API server makes one from.
    pub pod: String,
    /// Kind and name of what created it.
    pub owner: String,
}

/// Answers a review.
#[must_use]
pub fn answer(review: &Review<'_>, policies: &PolicySet, facts: Facts<'_>) -> Answer {
    match &review.pod {
        Subject::Pod(pod) => about(review, pod, &inject(policies, pod, facts)),
        Subject::NotACreation => Answer {
            body: respond(&json!({"uid": &*review.uid, "allowed": true})),
            outcome: Outcome::Passed,
            reason: Some(Reason::NotCreate),
            policies: String::new(),
            pod: review.name.as_deref().unwrap_or_default().to_owned(),
            owner: String::new(),
        },
    }
}

fn about(review: &Review<'_>, pod: &PodView<'_>, injection: &Injection<'_>) -> Answer {
    let plan = &injection.plan;
    let outcome = match (&plan.denied, plan.applied.is_empty(), plan.is_empty()) {
        (Some(_), _, _) => Outcome::Denied,
        (None, true, _) => Outcome::Passed,
        (None, false, true) => Outcome::Unchanged,
        (None, false, false) => Outcome::Injected,
    };
    let reason = injection.reason();
    let applied = plan.applied.iter().map(|it| it.policy.provenance());
    let policies = applied.collect::<Vec<_>>().join(",");
    let mut audit = json!({"outcome": outcome.as_str()});
    if let Some(reason) = reason {
        audit["reason"] = reason.as_str().into();
    }
    if !policies.is_empty() {
        audit["policies"] = policies.as_str().into();
    }
    let mut response = json!({
        "uid": &*review.uid,
        "allowed": plan.denied.is_none(),
        "auditAnnotations": audit,
    });
    if let Some(policy) = plan.denied {
        response["status"] = json!({
            "code": 403,
            "reason": "Forbidden",
            "message": format!(
                "the policy {:?} refuses pods with Velero hooks of their own: remove the annotations under hook.backup.velero.io, or exclude the pod from the policy",
                policy.name
            ),
        });
    }
    if !injection.patch.is_empty() {
        let patch = injection.patch.to_json("").to_string();
        response["patchType"] = "JSONPatch".into();
        response["patch"] = STANDARD.encode(patch).into();
    }
    let warnings = warnings(injection);
    if !warnings.is_empty() {
        response["warnings"] = warnings.into();
    }
    let metadata = pod.metadata.as_ref();
    let name = metadata.and_then(|it| it.name.as_deref().or(it.generate_name.as_deref()));
    let owner = pod.owners().first();
    Answer {
        body: respond(&response),
        outcome,
        reason,
        policies,
        pod: review
            .name
            .as_deref()
            .or(name)
            .unwrap_or_default()
            .to_owned(),
        owner: owner.map_or_else(String::new, |owner| {
            format!("{}/{}", owner.kind, owner.name)
        }),
    }
}

fn respond(response: &serde_json::Value) -> Vec<u8> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": response,
    });
    review.to_string().into_bytes()
}

/// What the person who creates the pod should know: policies that were meant for it and do not reach it.
fn warnings(injection: &Injection<'_>) -> Vec<String> {
    let passed = injection
        .verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Passed(policy, reason) => Some((*policy, *reason)),
            Verdict::Selected(..) => None,
        });
    let passed = passed.chain(injection.plan.passed.iter().copied());
    let policies = passed
        .filter(|(_, reason)| is_surprising(*reason))
        .map(|(policy, reason)| format!("quiescent: {} not applied: {reason}", policy.name));
    let notes = injection.plan.notes.iter();
    let notes =
        notes.map(|note| format!("quiescent: {} left alone: {}", note.subject, note.reason));
    policies
        .chain(notes)
        .map(|warning| warning.chars().take(LONGEST_WARNING).collect())
        .collect()
}

/// Whether a policy came close enough that its author would have expected it to apply.
const fn is_surprising(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::BadParameter
            | Reason::SeveralContainers
            | Reason::NativeSidecar
            | Reason::NamespaceUnknown
            | Reason::NamespaceNotSeen
            | Reason::OtherContainer
            | Reason::VolumeTaken
            | Reason::MountPathTaken
            | Reason::NoSuchVolume
            | Reason::TooLong
            | Reason::ManyAnnotations
            | Reason::Unprovable
    )
}

#[cfg(test)]
mod tests;
