//! `deploy/` put into a cluster that has nothing of it, and taken away until nothing is left.
use super::{
    Steps,
    installation::{is_ready, the_next_pod_has_hooks, with_kubeconfig},
    node::Node,
};
use crate::deploy;

/// As deploy/README.md says: one command, and two to have nothing left.
pub fn by_kustomize(node: &Node, steps: &Steps, used: impl FnOnce()) {
    let before = node.kubectl.everything();
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");
    node.kubectl.run(&format!("apply -k {deploy}"));
    is_ready(node);
    steps.done("kubectl apply -k deploy/: two replicas of both, and the entries trust them");
    the_next_pod_has_hooks(node, "shop");
    steps.done("a namespace with the label: its next pod has hooks, and their scripts in it");
    used();

    node.kubectl.run(&format!("delete -k {deploy}"));
    steps.done("kubectl delete -k deploy/");
    let scripts = "get configmap -A -l app.kubernetes.io/managed-by=quiescent -o name";
    assert!(
        !node.kubectl.run(scripts).is_empty(),
        "pods keep their scripts"
    );
    let away = "delete configmap --all-namespaces -l app.kubernetes.io/managed-by=quiescent";
    node.kubectl.run(away);
    assert_eq!(node.kubectl.run(scripts), "");
    node.kubectl
        .run("delete namespace shop away enforced load killed --ignore-not-found");
    node.nothing_is_left(&before);
    steps.done("of no kind of object is one left");
}

/// The same by Helm, with a certificate of cert-manager.
pub fn by_the_chart(node: &Node, steps: &Steps, used: impl FnOnce()) {
    let before = node.kubectl.everything();
    let helm = |arguments: &[&str]| {
        let mut helm = deploy::helm();
        helm.args(arguments).args(["--namespace", "quiescent"]);
        with_kubeconfig(node, helm)
    };
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/helm/quiescent");
    let values = "certificates=cert-manager";
    let install = [
        "install",
        "quiescent",
        chart,
        "--create-namespace",
        "--wait",
    ];
    helm(&[&install[..], &["--set", values]].concat());
    is_ready(node);
    steps.done("helm install, with cert-manager");
    the_next_pod_has_hooks(node, "charted");
    steps.done("the next pod of a namespace with the label has hooks");
    used();

    helm(&["uninstall", "quiescent", "--wait"]);
    node.kubectl
        .run("delete namespace quiescent charted renewed --ignore-not-found");
    node.nothing_is_left(&before);
    steps.done("helm uninstall: of no kind of object is one left");
}
