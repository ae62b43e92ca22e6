//! `AdmissionReview` in, `AdmissionReview` out (`admission.k8s.io/v1`).
//!
//! What cannot be read is refused with a 4xx, so that the webhook's `failurePolicy` decides. Of a pod
//! some is read only when a policy selects it: if that cannot be, the pod stays as it is, with a
//! warning. A pod is never refused for a fault of ours.

mod guarded;

use std::borrow::Cow;

pub use guarded::{Guard, Guarded, Judged, Judgement, judge, parse as parse_guarded};

use crate::{
    inject::{Injection, inject},
    json::{self, Attempt, Error, Later, Text, view},
    pod::{OwnerReference, PodView},
    policy::{Policy, PolicySet},
    recognise::Known,
    select::{Facts, Reason, Verdict},
};

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

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
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every review is about a pod, and there are few at once"
)]
pub enum Subject<'a> {
    Pod(PodView<'a>),
    /// An update, a deletion, a subresource: answered, never changed.
    NotACreation,
}

/// Why a body is no review that we can answer.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the body is not UTF-8")]
    NotUtf8,
    #[error("the body is not an AdmissionReview in JSON: {0}")]
    NotJson(Error),
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
    BadPod(Error),
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
        object: Option<Attempt<PodView<'a>>> = "object",
        old_object: Option<Later<'a, PodView<'a>>> = "oldObject",
        user_info: Option<Later<'a, UserInfo<'a>>> = "userInfo",
    }

    struct UserInfo<'a> {
        username: Text<'a> = "username",
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
    let (mut request, body) = request(body)?;
    let pod = if &*request.operation == "CREATE" && request.is_whole() {
        Subject::Pod(request.pod(body)?)
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

/// Reads the request of a review of pods, and the text that it stands in.
fn request(body: &[u8]) -> Result<(Request<'_>, &str), Refusal> {
    let body = simdutf8::basic::from_utf8(body).map_err(|_| Refusal::NotUtf8)?;
    let envelope: Envelope<'_> = json::read(body).map_err(Refusal::NotJson)?;
    if &*envelope.api_version != API_VERSION || &*envelope.kind != KIND {
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
    Ok((request, body))
}

impl<'a> Request<'a> {
    /// Whether it is about the pod itself, and not about a subresource.
    fn is_whole(&self) -> bool {
        self.sub_resource.as_ref().is_none_or(|it| it.is_empty())
    }

    /// Takes the pod out.
    fn pod(&mut self, body: &str) -> Result<PodView<'a>, Refusal> {
        let Attempt(pod) = self.object.take().ok_or(Refusal::NoObject)?;
        pod.map_err(|fault| Refusal::BadPod(Error::new(fault, body)))
    }
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
pub struct Answer<'a> {
    pub body: Vec<u8>,
    pub outcome: Outcome,
    pub reason: Option<Reason>,
    /// What the pod was left alone for, when that is the reason.
    pub recognised: Option<&'static Known>,
    /// The policies that the pod follows, with their versions.
    pub policies: Cow<'a, str>,
    /// The pod's name, or what the API server makes one from.
    pub pod: &'a str,
    subject: Option<&'a PodView<'a>>,
}

impl<'a> Answer<'a> {
    /// What created the pod.
    #[must_use]
    pub fn owner(&self) -> Option<OwnerReference<'a>> {
        self.subject?.owners().next()
    }
}

/// Answers a review.
#[must_use]
pub fn answer<'a>(review: &'a Review<'_>, policies: &'a PolicySet, facts: Facts<'_>) -> Answer<'a> {
    match &review.pod {
        Subject::Pod(pod) => about(review, pod, &inject(policies, pod, facts)),
        Subject::NotACreation => Answer {
            body: write(
                &Response {
                    uid: &review.uid,
                    allowed: true,
                    ..Response::default()
                },
                None,
            ),
            outcome: Outcome::Passed,
            reason: Some(Reason::NotCreate),
            recognised: None,
            policies: Cow::Borrowed(""),
            pod: review.name.as_deref().unwrap_or_default(),
            subject: None,
        },
    }
}

fn about<'a>(
    review: &'a Review<'_>,
    pod: &'a PodView<'_>,
    injection: &Injection<'a>,
) -> Answer<'a> {
    let plan = &injection.plan;
    let outcome = match (&plan.denied, plan.applied.is_empty(), plan.is_empty()) {
        (Some(_), _, _) => Outcome::Denied,
        (None, true, true) => Outcome::Passed,
        (None, false, true) => Outcome::Unchanged,
        (None, _, false) => Outcome::Injected,
    };
    let reason = injection.reason();
    let policies = plan.provenance();
    let response = Response {
        uid: &review.uid,
        allowed: plan.denied.is_none(),
        audit_annotations: Some(Audit {
            outcome: outcome.as_str(),
            reason: reason.map(Reason::as_str),
            policies: &policies,
        }),
        status: plan
            .denied
            .map(|policy| Status::forbidden(denied_by(policy))),
        warnings: warnings(injection),
    };
    let body = write(&response, injection.patch_text(pod).as_deref());
    let metadata = pod.metadata.as_ref();
    let name = metadata.and_then(|it| it.name.as_deref().or(it.generate_name.as_deref()));
    Answer {
        body,
        outcome,
        reason,
        recognised: reason
            .filter(|reason| *reason == Reason::Recognised)
            .and_then(|_| injection.recognised(pod)),
        policies,
        pod: review.name.as_deref().or(name).unwrap_or_default(),
        subject: Some(pod),
    }
}

/// The response within a review.
#[derive(Default)]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    audit_annotations: Option<Audit<'a>>,
    status: Option<Status>,
    warnings: Vec<String>,
}

struct Audit<'a> {
    outcome: &'static str,
    reason: Option<&'static str>,
    policies: &'a str,
}

struct Status {
    code: u16,
    reason: &'static str,
    message: String,
}

impl Status {
    fn forbidden(message: String) -> Self {
        Self {
            code: 403,
            reason: "Forbidden",
            message,
        }
    }
}

fn denied_by(policy: &Policy) -> String {
    format!(
        "the policy {:?} refuses pods with Velero hooks of their own: remove the annotations under hook.backup.velero.io, or exclude the pod from the policy",
        policy.name
    )
}

/// How many bytes an answer has beside its patch, usually.
const USUAL: usize = 512;

/// The review that answers, as the API server reads it.
fn write(response: &Response<'_>, patch: Option<&[u8]>) -> Vec<u8> {
    let Response {
        uid,
        allowed,
        audit_annotations,
        status,
        warnings,
    } = response;
    let encoded = patch.map_or(0, |text| text.len().div_ceil(3) * 4);
    let mut body = Vec::with_capacity(encoded + USUAL);
    body.extend_from_slice(
        br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"#,
    );
    json::quote(uid, &mut body);
    body.extend_from_slice(br#","allowed":"#);
    body.extend_from_slice(if *allowed { b"true" } else { b"false" });
    if let Some(Audit {
        outcome,
        reason,
        policies,
    }) = audit_annotations
    {
        body.extend_from_slice(br#","auditAnnotations":{"outcome":"#);
        json::quote(outcome, &mut body);
        if let Some(reason) = reason {
            body.extend_from_slice(br#","reason":"#);
            json::quote(reason, &mut body);
        }
        if !policies.is_empty() {
            body.extend_from_slice(br#","policies":"#);
            json::quote(policies, &mut body);
        }
        body.push(b'}');
    }
    if let Some(Status {
        code,
        reason,
        message,
    }) = status
    {
        body.extend_from_slice(format!(r#","status":{{"code":{code},"reason":"#).as_bytes());
        json::quote(reason, &mut body);
        body.extend_from_slice(br#","message":"#);
        json::quote(message, &mut body);
        body.push(b'}');
    }
    for (position, warning) in warnings.iter().enumerate() {
        body.extend_from_slice(if position == 0 {
            br#","warnings":["#
        } else {
            b","
        });
        json::quote(warning, &mut body);
    }
    if !warnings.is_empty() {
        body.push(b']');
    }
    if let Some(patch) = patch {
        body.extend_from_slice(br#","patchType":"JSONPatch","patch":""#);
        json::base64(patch, &mut body);
        body.push(b'"');
    }
    body.extend_from_slice(b"}}");
    body
}

/// What the person who creates the pod should know: policies that were meant for it and do not reach it.
fn warnings(injection: &Injection<'_>) -> Vec<String> {
    let unreadable = injection
        .gate
        .filter(|gate| *gate == Reason::Unreadable)
        .map(|gate| format!("quiescent: nothing was done: {gate}"));
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
    unreadable
        .into_iter()
        .chain(policies)
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
