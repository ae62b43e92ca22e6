//! The whole way for one pod: the same for a review, a manifest and a question.

use crate::{
    patch::{Flaw, Patch, patch, patch_text, prove},
    plan::{Change, Plan, complete, plan},
    pod::{PodView, Storage},
    policy::PolicySet,
    recognise::Known,
    select::{Facts, Reason, Verdict, gate, recognised, select, select_all},
};

/// Everything that was found out about one pod.
#[derive(Debug)]
pub struct Injection<'p> {
    /// Why no policy was asked, if none was.
    pub gate: Option<Reason>,
    pub verdicts: Vec<Verdict<'p>>,
    pub plan: Plan<'p>,
}

impl Injection<'_> {
    /// What is to be done about the pod that was asked about.
    #[must_use]
    pub fn patch(&self, pod: &PodView<'_>) -> Patch<'_> {
        patch(&self.plan, pod)
    }

    /// The same as RFC 6902 writes it, if anything is to be done.
    #[must_use]
    pub fn patch_text(&self, pod: &PodView<'_>) -> Option<Vec<u8>> {
        patch_text(&self.plan, pod)
    }

    /// The one reason that says most about why nothing happened, when nothing did.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        if self.gate.is_some() {
            return self.gate;
        }
        if !self.plan.applied.is_empty() {
            return None;
        }
        if self.plan.denied.is_some() {
            return Some(Reason::Denied);
        }
        // A policy that came far says more than one that was never meant.
        let passed = self.verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Passed(_, reason) => Some(*reason),
            Verdict::Selected(..) => None,
        });
        let last = self.plan.passed.last().map(|(_, reason)| *reason);
        last.or_else(|| passed.filter(|reason| reason.is_near()).max())
            .or(Some(Reason::NoPolicyMatches))
    }

    /// Who was recognised, where a policy left the pod alone for that.
    #[must_use]
    pub fn recognised(&self, pod: &PodView<'_>) -> Option<&'static Known> {
        self.verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Passed(policy, Reason::Recognised) => recognised(policy, pod),
            Verdict::Passed(..) | Verdict::Selected(..) => None,
        })
    }
}

/// Decides about a pod, asking only the policies that may match.
#[must_use]
pub fn inject<'a>(
    policies: &'a PolicySet,
    pod: &'a PodView<'_>,
    facts: Facts<'_>,
) -> Injection<'a> {
    decide(select, policies, pod, facts)
}

/// Decides the same, with a verdict of every policy.
#[must_use]
pub fn explain<'a>(
    policies: &'a PolicySet,
    pod: &'a PodView<'_>,
    facts: Facts<'_>,
) -> Injection<'a> {
    decide(select_all, policies, pod, facts)
}

type Ask<'p> = fn(&'p PolicySet, &PodView<'_>, Facts<'_>) -> Vec<Verdict<'p>>;

fn decide<'a>(
    ask: Ask<'a>,
    policies: &'a PolicySet,
    pod: &'a PodView<'_>,
    facts: Facts<'_>,
) -> Injection<'a> {
    let gate = gate(pod, facts);
    if gate.is_some() {
        return Injection {
            gate,
            verdicts: Vec::new(),
            plan: Plan::default(),
        };
    }
    let verdicts = ask(policies, pod, facts);
    let mut containers = verdicts.iter().filter_map(Verdict::container);
    if containers.next().is_none() {
        return Injection {
            gate,
            verdicts,
            plan: Plan {
                changes: complete(pod),
                ..Plan::default()
            },
        };
    }
    // Worth the time only where it is planned upon.
    let wanted = |container| verdicts.iter().any(|it| it.container() == Some(container));
    let Ok(storage) = Storage::read(pod, wanted) else {
        return Injection {
            gate: Some(Reason::Unreadable),
            verdicts,
            plan: Plan::default(),
        };
    };
    let mut plan = plan(&verdicts, pod, &storage, facts);
    // Better no hooks than a pod that the API server refuses.
    if let Err(flaw) = prove(&plan, pod, &storage) {
        let why = match flaw {
            Flaw::ManyAnnotations(_) => Reason::ManyAnnotations,
            _ => Reason::Unprovable,
        };
        let applied = std::mem::take(&mut plan.applied);
        plan.passed
            .extend(applied.into_iter().map(|it| (it.policy, why)));
        plan.changes
            .retain(|change| matches!(change, Change::Complete(_)));
    }
    Injection {
        gate,
        verdicts,
        plan,
    }
}
