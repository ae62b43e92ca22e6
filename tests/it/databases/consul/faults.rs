//! What goes wrong is said in a sentence, the last good dump stays, and what is there is not replaced.

use serde_json::json;

use super::{Consul, TOKEN, set};
use crate::databases::harness::{Container, Phase, Pod};

#[test]
fn a_token_that_is_missing_or_wrong_is_said_and_a_right_one_is_found() {
    let Some(installation) = Consul::at_hand() else {
        return;
    };
    let container = installation.container();
    let server = Consul::with_token(&installation);
    for environment in [&[][..], &[("CONSUL_HTTP_TOKEN", "wrong")]] {
        let pod = Pod::inject(&server.pod(environment), &[]);
        pod.run(Phase::Pre, &container)
            .failed(2, &["does not let us in", "tokenEnv"]);
        assert_eq!(pod.manifest(), None);
    }
    set(&mut server.http(), &[("key", "value")]);
    let pod = Pod::inject(&server.pod(&[("CONSUL_HTTP_TOKEN", TOKEN)]), &[]);
    pod.run(Phase::Pre, &container).is_ok();

    let fresh = Consul::with_token(&installation);
    let mut named = fresh.pod(&[("SECRET", TOKEN)]);
    named["metadata"]["annotations"]["quiescent.dev/consul-dump.tokenEnv"] = "SECRET".into();
    let restored = Pod::inject(&named, &[]).restored_from(&pod);
    for shell in ["busybox", "bash"] {
        let hook = restored.run(Phase::Restore, &container.clone().with_shell(shell));
        assert_eq!(hook.code, Some(0), "{hook:?}");
    }
    assert_eq!(fresh.value("key"), "value");
}

#[test]
fn a_full_volume_is_said_and_keeps_the_last_dump() {
    let Some(installation) = Consul::at_hand() else {
        return;
    };
    let server = Consul::of(&installation);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    let small = Container {
        volume: Some(100),
        ..installation.container()
    };
    pod.run(Phase::Pre, &small).is_ok();
    let good = pod.files();
    // Nothing that a compressed snapshot could make small.
    let noise = crate::databases::server::output(
        std::process::Command::new("sh").args(["-c", "head -c 150000 /dev/urandom | base64 -w 0"]),
    );
    set(&mut server.http(), &[("noise", &noise)]);
    pod.run(Phase::Pre, &small)
        .failed(1, &["is full", "sizeLimit"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn state_of_others_is_replaced_only_when_told() {
    let Some(installation) = Consul::at_hand() else {
        return;
    };
    let container = installation.container();
    let server = Consul::of(&installation);
    set(&mut server.http(), &[("key", "value")]);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &container).is_ok();

    let other = Consul::of(&installation);
    set(&mut other.http(), &[("mine", "1")]);
    let mut asked = other.pod(&[]);
    let restored = Pod::inject(&asked, &[]).restored_from(&pod);
    restored
        .run(Phase::Restore, &container)
        .failed(6, &["mine", "nothing was changed", "overwrite"]);
    assert_eq!(other.value("mine"), "1");

    asked["metadata"]["annotations"]["quiescent.dev/consul-dump.overwrite"] = "true".into();
    let told = Pod::inject(&asked, &[]).restored_from(&pod);
    told.run(Phase::Restore, &container).is_ok();
    assert_eq!(
        (other.value("mine"), other.value("key")),
        (String::new(), "value".into())
    );
    set(&mut other.http(), &[("since", "then")]);
    told.run(Phase::Restore, &container)
        .is_skipped("already-loaded");
    assert_eq!(other.value("since"), "then");
}

#[test]
fn configuration_entries_of_others_are_not_replaced() {
    let Some(installation) = Consul::at_hand() else {
        return;
    };
    let container = installation.container();
    let server = Consul::of(&installation);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &container).is_ok();

    let other = Consul::of(&installation);
    let entry = json!({ "Kind": "service-resolver", "Name": "mine" }).to_string();
    let made = other.http().request("PUT", "/v1/config", &entry);
    assert_eq!(made.unwrap().0, 200);
    let restored = Pod::inject(&other.pod(&[]), &[]).restored_from(&pod);
    restored
        .run(Phase::Restore, &container)
        .failed(6, &["mine", "nothing was changed", "overwrite"]);
}

#[test]
fn an_agent_that_is_no_server_has_nothing_to_save() {
    let Some(installation) = Consul::at_hand() else {
        return;
    };
    let server = Consul::of(&installation);
    let client = server.client_of(&installation);
    let pod = Pod::inject(&client.pod(&[]), &[]);
    pod.run(Phase::Pre, &installation.container())
        .is_skipped("role=client");
}
