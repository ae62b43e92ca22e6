//! `AdmissionReview`s of namespaces that are guarded: whether a pod may have the hooks that it comes with.

use super::{Audit, LONGEST_WARNING, Refusal, Request, Response, Status, request, write};
use crate::{
    guard::{self, Strange, Undecided},
    json::{Error, Later, Text},
    pod::PodView,
    policy::PolicySet,
    select::Facts,
    velero::RESTORE_NAME_LABEL,
};

/// What becomes of a pod with a strange hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It is named in a warning.
    Warn,
    /// It is refused.
    Enforce,
}

/// A review that can be answered.
#[derive(Debug)]
pub struct Guarded<'a> {
    pub uid: Text<'a>,
    pub namespace: Text<'a>,
    pub name: Option<Text<'a>>,
    pub dry_run: bool,
    username: Text<'a>,
    pods: Option<Pods<'a>>,
}

/// A pod as it is to be, and as it was.
#[derive(Debug)]
struct Pods<'a> {
    now: PodView<'a>,
    before: Option<PodView<'a>>,
}

/// Reads a review.
///
/// # Errors
/// What keeps it from being answered.
pub fn parse(body: &[u8]) -> Result<Guarded<'_>, Refusal> {
    let (mut request, body) = request(body)?;
    let bad = |fault| Refusal::BadPod(Error::new(fault, body));
    let is_written = matches!(&*request.operation, "CREATE" | "UPDATE");
    let pods = if is_written && request.is_whole() {
        let before = request.old_object.as_ref().map(Later::read);
        Some(Pods {
            now: request.pod(body)?,
            before: before.transpose().map_err(bad)?,
        })
    } else {
        None
    };
    let Request {
        uid,
        namespace,
        name,
        dry_run,
        user_info,
        ..
    } = request;
    let user = user_info
        .as_ref()
        .map(Later::read)
        .transpose()
        .map_err(bad)?;
    Ok(Guarded {
        uid,
        namespace,
        name: name.filter(|name| !name.is_empty()),
        dry_run,
        username: user.unwrap_or_default().username,
        pods,
    })
}

/// What was said about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing: its hooks are those that policies give.
    Allowed,
    /// It is allowed, with a warning.
    Named,
    Refused,
}

impl Judgement {
    pub const ALL: [Self; 3] = [Self::Allowed, Self::Named, Self::Refused];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Named => "named",
            Self::Refused => "refused",
        }
    }
}

/// The answer to a review, and what a log says of it.
#[derive(Debug)]
pub struct Judged {
    pub body: Vec<u8>,
    pub judgement: Judgement,
    pub strange: Option<Strange>,
}

/// Answers a review.
///
/// # Errors
/// Where nobody can tell which hooks policies give the pod. That is no answer: the `failurePolicy`
/// of the webhook's entry decides.
pub fn judge(
    review: &Guarded<'_>,
    guard: Guard,
    policies: &PolicySet,
    facts: Facts<'_>,
) -> Result<Judged, Undecided> {
    let strange = match &review.pods {
        Some(Pods { now, before }) => guard::judge(policies, now, before.as_ref(), facts)?,
        None => None,
    };
    let judgement = match (&strange, guard) {
        (None, _) => Judgement::Allowed,
        (Some(_), Guard::Enforce) if !review.is_a_restore(facts) => Judgement::Refused,
        (Some(_), _) => Judgement::Named,
    };
    let refused = strange
        .as_ref()
        .filter(|_| judgement == Judgement::Refused)
        .map(|strange| Status::forbidden(refusal(strange, &review.namespace)));
    let named = strange
        .as_ref()
        .filter(|_| judgement == Judgement::Named)
        .map(|strange| format!("quiescent: {strange}"));
    let warnings = named.map(|text| text.chars().take(LONGEST_WARNING).collect());
    let response = Response {
        uid: &review.uid,
        allowed: refused.is_none(),
        audit_annotations: Some(Audit {
            outcome: judgement.as_str(),
            reason: None,
            policies: "",
        }),
        status: refused,
        warnings: warnings.into_iter().collect(),
    };
    Ok(Judged {
        body: write(&response, None),
        judgement,
        strange,
    })
}

impl Guarded<'_> {
    /// Whether Velero puts back a pod of a backup, with the hooks of that day. Its account is what
    /// the API server knows, not what the pod says.
    fn is_a_restore(&self, facts: Facts<'_>) -> bool {
        let velero = self
            .username
            .strip_prefix("system:serviceaccount:")
            .and_then(|account| account.strip_prefix(&*facts.settings.velero_namespace))
            .is_some_and(|account| account.starts_with(':'));
        let restored = |pods: &Pods<'_>| pods.now.label(RESTORE_NAME_LABEL).is_some();
        velero && self.pods.as_ref().is_some_and(restored)
    }
}

fn refusal(strange: &Strange, namespace: &str) -> String {
    format!(
        "{strange}; the namespace {namespace} is guarded ({}=enforce): leave hook annotations out, and policies write theirs",
        guard::LABEL
    )
}

#[cfg(test)]
mod tests;
