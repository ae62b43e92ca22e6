//! `explain` for a pod that gets nothing: the first gate that closed, and what opens it. Each advice
//! is followed here, and opens.

use serde_json::Value;

use crate::support::run;

/// A pod with these lines in its metadata, and a container with this image.
fn pod(metadata: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: pg\n  namespace: shop\n{metadata}spec:\n  containers:\n    - name: db\n      image: {image}\n"
    )
}

fn explain(pod: &str, arguments: &[&str]) -> String {
    let output = run(&[&["explain", "-f", "-"], arguments].concat(), pod);
    String::from_utf8(output.stdout).unwrap()
}

/// Holds what explain says of a pod, and that the pod is selected once its advice is followed.
fn check(before: (&str, &[&str]), says: &str, advises: &str, after: (&str, &[&str])) {
    let told = explain(before.0, before.1);
    let mut lines = told.lines().skip_while(|line| !line.contains(says));
    assert!(lines.next().is_some(), "{says}\n{told}");
    let advice = lines.next().unwrap_or_default().trim();
    assert_eq!(advice, format!("→ {advises}"), "{told}");
    let told = explain(after.0, after.1);
    assert!(told.contains("would add"), "{told}");
}

#[test]
fn a_closed_gate_says_what_opens_it() {
    let plain = pod("", "postgres:16");
    let label = |label: &str| pod(&format!("  labels: {{{label}}}\n"), "postgres:16");
    let plain = &*plain;
    check(
        (&label("quiescent.dev/inject: disabled"), &[]),
        "✘ considered",
        "take the label off the pod, or make it quiescent.dev/inject=enabled",
        (&label("quiescent.dev/inject: enabled"), &[]),
    );
    check(
        (
            plain,
            &["--namespace-labels", "quiescent.dev/inject=disabled"],
        ),
        "inject says disabled",
        "kubectl label namespace shop quiescent.dev/inject=enabled --overwrite, or give the pod that label",
        (
            plain,
            &["--namespace-labels", "quiescent.dev/inject=enabled"],
        ),
    );
    check(
        (plain, &["--mode", "opt-in", "--namespace-labels", "a=b"]),
        "neither pod nor namespace",
        "kubectl label namespace shop quiescent.dev/inject=enabled, or give the pod that label",
        (
            &label("quiescent.dev/inject: enabled"),
            &["--mode", "opt-in"],
        ),
    );
    check(
        (plain, &["--mode", "opt-in"]),
        "labels of the namespace are not known",
        "--namespace-labels quiescent.dev/inject=enabled, if namespace shop has it",
        (
            plain,
            &[
                "--mode",
                "opt-in",
                "--namespace-labels",
                "quiescent.dev/inject=enabled",
            ],
        ),
    );
    check(
        (&label("quiescent.dev/method: 'off'"), &[]),
        "method says off",
        "take the label off the pod, or make it quiescent.dev/method=dump",
        (&label("quiescent.dev/method: dump"), &[]),
    );
    check(
        (plain, &["--default-method", "off"]),
        "method says off",
        "label the pod quiescent.dev/method=dump, or say --default-method dump",
        (
            &label("quiescent.dev/method: dump"),
            &["--default-method", "off"],
        ),
    );
    check(
        (plain, &["--velero-namespace", "shop"]),
        "namespace is Velero's",
        "--velero-namespace NAME, if this is another one",
        (plain, &["--velero-namespace", "other"]),
    );
}

#[test]
fn a_policy_that_came_near_says_what_it_misses() {
    check(
        (&pod("", "acme/postgres-ha:16"), &[]),
        "– postgresql-dump",
        "if that server is in it, write a policy of your own for \"*/postgres-ha\": quiescent library export writes one out to begin with",
        (&pod("", "postgres:16"), &[]),
    );
    let two = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: pg\n  namespace: shop\n  annotations: {x: z}\nspec:\n  containers:\n    - {name: a, image: postgres}\n    - {name: b, image: postgres}\n";
    check(
        (two, &[]),
        "several containers",
        "annotate the pod quiescent.dev/container=a, or another of a, b",
        (&two.replace("x: z", "quiescent.dev/container: b"), &[]),
    );
    let parameter = |value: &str| {
        pod(
            &format!("  annotations: {{quiescent.dev/postgresql-dump.lockWait: {value}}}\n"),
            "postgres:16",
        )
    };
    check(
        (&parameter("soon"), &[]),
        "a parameter to a value it cannot have",
        "set quiescent.dev/postgresql-dump.lockWait to a duration: it is \"soon\"",
        (&parameter("20s"), &[]),
    );
    let author = pod(
        "  annotations: {pre.hook.backup.velero.io/command: /bin/sync}\n",
        "postgres:16",
    );
    check(
        (&author, &[]),
        "hooks of its author",
        "take the pod's own hook annotations out, or set spec.onConflict of the policy to Compose or Override",
        (&pod("", "postgres:16"), &[]),
    );
}

#[test]
fn of_several_volumes_the_one_that_does_not_fit_is_named() {
    let pod = |taken: &str| {
        format!(
            "{}  volumes:\n    - {{name: quiescent-dump, emptyDir: {{}}}}\n    - {{name: {taken}, emptyDir: {{}}}}\n",
            pod("", "postgres:16")
        )
    };
    check(
        (&pod("quiescent-postgresql-dump"), &[]),
        "✘ postgresql-dump",
        "give the pod's volume \"quiescent-postgresql-dump\" another name",
        (&pod("other"), &[]),
    );
}

#[test]
fn a_policy_of_ones_own_names_the_label_the_owner_and_the_container() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.yaml");
    let matching = |text: &str, container: &str| {
        let policy = format!(
            "apiVersion: quiescent.dev/v1\nkind: HookPolicy\nmetadata: {{name: own}}\nspec:\n  match: {text}\n  container: {container}\n  hooks:\n    pre: {{command: [/bin/sync], timeout: 20s, onError: Fail}}\n    post: {{command: [/bin/sync, -f], timeout: 20s, onError: Continue}}\n"
        );
        std::fs::write(&path, policy).unwrap();
    };
    let policies = ["--policies", path.to_str().unwrap()];
    let plain = pod("", "x");
    let labelled = pod("  labels: {app: orders, tier: data}\n", "x");
    matching("{podSelector: {matchLabels: {app: orders}}}", "{name: db}");
    check(
        (&plain, &policies),
        "labels are not what",
        "label the pod: app=orders",
        (&labelled, &policies),
    );
    matching(
        "{podSelector: {matchExpressions: [{key: tier, operator: In, values: [data, cold]}]}}",
        "{name: db}",
    );
    check(
        (&plain, &policies),
        "labels are not what",
        "label the pod: tier is one of data, cold",
        (&labelled, &policies),
    );
    matching("{namespaces: [accounts], images: [x]}", "{name: db}");
    let told = explain(&plain, &policies);
    assert!(
        told.contains("→ put shop into its spec.match.namespaces"),
        "{told}"
    );
    matching(
        "{owners: [{kind: StatefulSet, name: 'pg-*'}]}",
        "{name: db}",
    );
    let told = explain(&plain, &policies);
    assert!(
        told.contains("→ it is for pods of StatefulSet pg-*"),
        "{told}"
    );
    matching("{images: [x]}", "{name: server}");
    let told = explain(&plain, &policies);
    assert!(
        told.contains("→ it looks for a container named \"server\"; the pod has db"),
        "{told}"
    );
    matching(
        "{images: [x], namespaceSelector: {matchLabels: {tier: data}}}",
        "{name: db}",
    );
    let known = [&policies[..], &["--namespace-labels", "tier=data"]].concat();
    check(
        (
            &plain,
            &[&policies[..], &["--namespace-labels", "a=b"]].concat(),
        ),
        "namespace's labels are not what",
        "label the namespace shop: tier=data",
        (&plain, &known),
    );
    check(
        (&plain, &policies),
        "labels of the namespace are not known",
        "tell the labels of namespace shop with --namespace-labels; it asks for tier=data",
        (&plain, &known),
    );
}

#[test]
fn programs_are_told_too() {
    let value =
        |pod: &str| -> Value { serde_json::from_str(&explain(pod, &["-o", "json"])).unwrap() };
    let gate = value(&pod(
        "  labels: {quiescent.dev/inject: disabled}\n",
        "postgres",
    ));
    assert!(
        gate[0]["opens"]
            .as_str()
            .unwrap()
            .contains("take the label off")
    );
    let near = value(&pod("", "acme/postgres-ha"));
    let verdicts = near[0]["verdicts"].as_array().unwrap();
    let of = |name: &str| verdicts.iter().find(|it| it["policy"] == name).unwrap();
    assert!(of("postgresql-dump")["opens"].is_string());
    assert!(of("redis-dump")["opens"].is_null());
}

/// A database whose log lies on a claim of its own.
const TWO_CLAIMS: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: pg, namespace: shop}
spec:
  template:
    metadata: {labels: {app: pg}}
    spec:
      containers:
        - name: postgres
          image: postgres:16
          env: [{name: POSTGRES_INITDB_WALDIR, value: /wal/pg_wal}]
          volumeMounts:
            - {name: data, mountPath: /var/lib/postgresql/data}
            - {name: wal, mountPath: /wal}
  volumeClaimTemplates:
    - {metadata: {name: data}}
    - {metadata: {name: wal}}
";

#[test]
fn claims_that_belong_together_are_something_to_beware_of() {
    let line = "! claims data and wal";
    let why = "belong together, and Velero takes their snapshots seconds apart (PostgreSQL)";
    for (method, next) in [
        (
            "dump",
            "the dump is right all the same: restore it into empty claims",
        ),
        (
            "snapshot",
            "dump instead (quiescent.dev/method=dump), or keep the data on one claim",
        ),
    ] {
        let told = explain(TWO_CLAIMS, &["--default-method", method]);
        let mut lines = told.lines().skip_while(|line| !line.contains("beware"));
        lines.next();
        let said = lines.next().unwrap_or_default();
        assert!(said.contains(line) && said.ends_with(why), "{told}");
        let advice = lines.next().unwrap_or_default().trim();
        assert_eq!(advice, format!("→ {next}"), "{told}");
        let json = explain(TWO_CLAIMS, &["--default-method", method, "-o", "json"]);
        let json: Value = serde_json::from_str(&json).unwrap();
        let apart = &json[0]["apart"][0];
        assert_eq!(apart["claims"], serde_json::json!(["data", "wal"]));
        assert_eq!(apart["next"], next);
    }
    let one = TWO_CLAIMS.replace("/wal/pg_wal", "/var/lib/postgresql/data/wal");
    let told = explain(&one, &[]);
    assert!(
        told.contains("would add") && !told.contains("beware"),
        "{told}"
    );
}
