//! A member that takes TLS alone, and asks its clients for a certificate.

use super::Etcd;
use crate::{
    databases::{
        harness::{Container, Phase, Pod, pod},
        installation::Installation,
        server::{Server, place},
    },
    support::certificates,
};

#[test]
fn certificates_come_from_the_parameters_or_from_what_the_server_has() {
    if !Etcd::at_hand() {
        return;
    }
    let installation = Installation::own();
    let (folder, port) = place();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ca, cert, key) = (file("ca.crt"), file("tls.crt"), file("tls.key"));
    let address = format!("https://localhost:{port}");
    let listens = format!("https://127.0.0.1:{port}");

    let peers = format!("http://127.0.0.1:{}", place().1);
    let mut command = installation.unprivileged("etcd", folder.path());
    command.arg("--data-dir").arg(folder.path().join("data"));
    for (flag, value) in [
        ("--listen-client-urls", listens.as_str()),
        ("--advertise-client-urls", &address),
        ("--listen-peer-urls", &peers),
        ("--initial-advertise-peer-urls", &peers),
        ("--initial-cluster", &format!("default={peers}")),
        ("--cert-file", &cert),
        ("--key-file", &key),
        ("--trusted-ca-file", &ca),
    ] {
        command.args([flag, value]);
    }
    command.arg("--client-cert-auth");
    let ready = || {
        let mut client = installation.client("timeout");
        client.args(["5", "etcdctl", "endpoint", "health"]);
        client.env("ETCDCTL_API", "3");
        client.env("ETCDCTL_ENDPOINTS", &address);
        client.env("ETCDCTL_CACERT", &ca);
        client.env("ETCDCTL_CERT", &cert).env("ETCDCTL_KEY", &key);
        client.output().is_ok_and(|done| done.status.success())
    };
    // The folder stays ours: the certificates are in it.
    let own = (tempfile::tempdir().unwrap(), port);
    let _server = Server::start(command, own, "-TERM", ready);

    let variables = [
        ("ETCD_LISTEN_CLIENT_URLS", listens.as_str()),
        ("ETCD_ADVERTISE_CLIENT_URLS", &address),
        ("ETCD_TRUSTED_CA_FILE", &ca),
        ("ETCD_CERT_FILE", &cert),
        ("ETCD_KEY_FILE", &key),
    ];
    let told = Pod::inject(&pod("bitnami/etcd:3.5.16", &variables), &[]);
    told.run(Phase::Pre, &Container::default()).is_ok();

    let mut object = pod("bitnami/etcd:3.5.16", &[]);
    let annotations = &mut object["metadata"]["annotations"];
    annotations["quiescent.dev/etcd-dump.endpoint"] = address.as_str().into();
    annotations["quiescent.dev/etcd-dump.cacert"] = ca.as_str().into();
    let refused = Pod::inject(&object, &[]).run(Phase::Pre, &Container::default());
    // The client of etcd 3.4 waits, and does not say why.
    refused.failed(1, &["https://localhost", "cacert, cert and key"]);
    let annotations = &mut object["metadata"]["annotations"];
    annotations["quiescent.dev/etcd-dump.cert"] = cert.as_str().into();
    annotations["quiescent.dev/etcd-dump.key"] = key.as_str().into();
    Pod::inject(&object, &[])
        .run(Phase::Pre, &Container::default())
        .is_ok();
}
