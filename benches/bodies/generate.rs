//! The bodies that everything is measured with: reviews of database pods as an API server sends
//! them, to the order of fields, with all that defaulting, the service account's volume and the
//! managed fields add to what a person wrote.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Name and text of each, the small one first.
pub fn all() -> [(&'static str, String); 3] {
    [("small", small()), ("typical", typical()), ("big", big())]
        .map(|(name, review)| (name, review.to_string()))
}

/// What `kubectl run` makes: one container and nothing around it.
fn small() -> Value {
    let container = Container {
        env: vec![secret("POSTGRES_PASSWORD", "pg", "password")],
        mounts: vec![token_mount()],
        ..Container::new("pg", "postgres:17")
    };
    let pod = pod(
        json!({
            "name": "pg",
            "namespace": "shop",
            "uid": "0f6dd2d4-0c2f-4a55-9d4b-8a4f5b7f1c30",
            "creationTimestamp": "2026-03-02T09:41:07Z",
            "labels": {"run": "pg"},
        }),
        &json!({
            "volumes": [token_volume()],
            "containers": [container.json()],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "serviceAccount": "default",
            "securityContext": {},
            "schedulerName": "default-scheduler",
            "tolerations": tolerations(),
            "priority": 0,
            "enableServiceLinks": true,
            "preemptionPolicy": "PreemptLowerPriority",
        }),
        "kubectl-run",
    );
    let user = json!({
        "username": "kubernetes-admin",
        "groups": ["kubeadm:cluster-admins", "system:authenticated"],
    });
    review("5b0c6c0e-6c6f-4c0e-8d0a-4f1d6c1b7a10", "pg", &user, &pod)
}

/// A pod of a StatefulSet from a chart: the server, its exporter, and what prepares its volume.
#[expect(clippy::too_many_lines, reason = "it is a pod")]
fn typical() -> Value {
    let server = Container {
        env: server_env(),
        ports: vec![("tcp-postgresql", 5432)],
        mounts: vec![
            mount("empty-dir", "/tmp", Some("tmp-dir")),
            mount(
                "empty-dir",
                "/opt/bitnami/postgresql/conf",
                Some("app-conf-dir"),
            ),
            mount(
                "empty-dir",
                "/opt/bitnami/postgresql/tmp",
                Some("app-tmp-dir"),
            ),
            mount("custom-init-scripts", "/docker-entrypoint-initdb.d/", None),
            mount(
                "postgresql-password",
                "/opt/bitnami/postgresql/secrets/",
                None,
            ),
            mount("dshm", "/dev/shm", None),
            mount("data", "/bitnami/postgresql", None),
            token_mount(),
        ],
        probes: Some("exec pg_isready -U \"shop\" -d \"dbname=shop\" -h 127.0.0.1 -p 5432"),
        ..Container::new(
            "postgresql",
            "docker.io/bitnami/postgresql:17.2.0-debian-12-r8",
        )
    };
    let exporter = Container {
        env: vec![
            plain("DATA_SOURCE_URI", "127.0.0.1:5432/postgres?sslmode=disable"),
            plain(
                "DATA_SOURCE_PASS_FILE",
                "/opt/bitnami/postgresql/secrets/password",
            ),
            plain("DATA_SOURCE_USER", "shop"),
        ],
        ports: vec![("http-metrics", 9187)],
        mounts: vec![
            mount("empty-dir", "/tmp", Some("tmp-dir")),
            mount(
                "postgresql-password",
                "/opt/bitnami/postgresql/secrets/",
                None,
            ),
            token_mount(),
        ],
        probes: Some("wget -q -O /dev/null http://127.0.0.1:9187/"),
        ..Container::new(
            "metrics",
            "docker.io/bitnami/postgres-exporter:0.17.1-debian-12-r0",
        )
    };
    let prepare = Container {
        mounts: vec![
            mount("data", "/bitnami/postgresql", None),
            mount("dshm", "/dev/shm", None),
            token_mount(),
        ],
        command: vec![
            "/bin/sh",
            "-ec",
            "chown 1001:1001 /bitnami/postgresql\nmkdir -p /bitnami/postgresql/data\nchmod 700 /bitnami/postgresql/data\nfind /bitnami/postgresql -mindepth 1 -maxdepth 1 -not -name \"conf\" -not -name \".snapshot\" -not -name \"lost+found\" | \\\n  xargs -r chown -R 1001:1001\nchmod -R 777 /dev/shm\n",
        ],
        ..Container::new(
            "init-chmod-data",
            "docker.io/bitnami/os-shell:12-debian-12-r38",
        )
    };
    let pod = pod(
        of_stateful_set(
            "shop-postgresql",
            &json!({
                "checksum/configuration": "6a1c5bb0f4d8a41ec8e5a2f7b21f6f2f5dbe8fa9e1ad1dd9c02c44a2d2a3fdc1",
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                "prometheus.io/port": "9187",
                "prometheus.io/scrape": "true",
            }),
        ),
        &json!({
            "volumes": [
                claim("data", "data-shop-postgresql-0"),
                {"name": "empty-dir", "emptyDir": {}},
                {"name": "custom-init-scripts", "configMap": {"name": "shop-postgresql-init-scripts", "defaultMode": 420}},
                {"name": "postgresql-password", "secret": {"secretName": "shop-postgresql", "defaultMode": 420}},
                {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
                token_volume(),
            ],
            "initContainers": [prepare.json()],
            "containers": [server.json(), exporter.json()],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "shop-postgresql",
            "serviceAccount": "shop-postgresql",
            "automountServiceAccountToken": true,
            "securityContext": {"fsGroup": 1001, "fsGroupChangePolicy": "Always"},
            "hostname": "shop-postgresql-0",
            "subdomain": "shop-postgresql-hl",
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [{
                        "weight": 1,
                        "podAffinityTerm": {
                            "labelSelector": {"matchLabels": {
                                "app.kubernetes.io/component": "primary",
                                "app.kubernetes.io/instance": "shop",
                                "app.kubernetes.io/name": "postgresql",
                            }},
                            "topologyKey": "kubernetes.io/hostname",
                        },
                    }],
                },
            },
            "schedulerName": "default-scheduler",
            "tolerations": tolerations(),
            "priority": 0,
            "enableServiceLinks": true,
            "preemptionPolicy": "PreemptLowerPriority",
        }),
        "kube-controller-manager",
    );
    review(
        "b7f0f0a4-2c0d-4b0e-9a51-1f2f4d7c9e21",
        "shop-postgresql-0",
        &controller(),
        &pod,
    )
}

/// As large as pods are in practice: many sidecars with long environments, and annotations in which
/// a mesh keeps its state.
fn big() -> Value {
    let mut containers = vec![Container {
        env: server_env(),
        ports: vec![("tcp-postgresql", 5432)],
        mounts: vec![
            mount("data", "/var/lib/postgresql/data", None),
            token_mount(),
        ],
        probes: Some("exec pg_isready -U postgres -h 127.0.0.1 -p 5432"),
        ..Container::new(
            "postgres",
            "registry.shop.example/bitnami/postgresql:16.6.0",
        )
    }];
    let names: Vec<String> = (0..14)
        .map(|number| format!("worker-{number:02}"))
        .collect();
    for (number, name) in names.iter().enumerate() {
        containers.push(Container {
            env: (0..44)
                .map(|index| {
                    plain(
                        &format!("SHOP_SETTING_{index:02}"),
                        &format!("https://backend-{number:02}.shop.svc.cluster.local:8443/v1/settings/{index:02}?locale=\"de\""),
                    )
                })
                .collect(),
            ports: vec![("http", 8080), ("http-metrics", 9090)],
            mounts: (0..8)
                .map(|index| mount(VOLUMES[index], MOUNTS[index], None))
                .chain([token_mount()])
                .collect(),
            probes: Some("wget -q -O /dev/null http://127.0.0.1:8080/healthz"),
            ..Container::new(name, "registry.shop.example/platform/worker:4.11.3")
        });
    }
    let listeners: Vec<Value> = (0..109)
        .map(|number| {
            json!({
                "name": format!("outbound|8443||backend-{number:03}.shop.svc.cluster.local"),
                "address": {"socketAddress": {"address": format!("10.96.{}.{}", number / 16, number), "portValue": 8443}},
                "filterChains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typedConfig": {"statPrefix": "outbound", "cluster": "backend"}}]}],
            })
        })
        .collect();
    let volumes: Vec<Value> = VOLUMES
        .iter()
        .map(|name| json!({"name": name, "configMap": {"name": format!("shop-{name}"), "defaultMode": 420}}))
        .collect();
    let mut all = vec![claim("data", "data-shop-postgresql-0")];
    all.extend(volumes);
    all.push(token_volume());
    let pod = pod(
        of_stateful_set(
            "shop-postgresql",
            &json!({
                "mesh.shop.example/listeners": Value::from(listeners).to_string(),
                "prometheus.io/scrape": "true",
            }),
        ),
        &json!({
            "volumes": all,
            "containers": containers.iter().map(Container::json).collect::<Vec<_>>(),
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 60,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "shop-postgresql",
            "serviceAccount": "shop-postgresql",
            "securityContext": {"fsGroup": 999},
            "hostname": "shop-postgresql-0",
            "schedulerName": "default-scheduler",
            "tolerations": tolerations(),
            "priority": 0,
            "enableServiceLinks": true,
            "preemptionPolicy": "PreemptLowerPriority",
        }),
        "kube-controller-manager",
    );
    review(
        "d1a4c1c2-93a5-4d0a-8a8e-6a5c2e9f0b32",
        "shop-postgresql-0",
        &controller(),
        &pod,
    )
}

const VOLUMES: [&str; 8] = [
    "settings",
    "features",
    "locales",
    "templates",
    "routes",
    "limits",
    "keys",
    "banners",
];

const MOUNTS: [&str; 8] = [
    "/etc/shop/settings",
    "/etc/shop/features",
    "/etc/shop/locales",
    "/etc/shop/templates",
    "/etc/shop/routes",
    "/etc/shop/limits",
    "/etc/shop/keys",
    "/etc/shop/banners",
];

/// The volume that the API server gives every pod for its service account.
const TOKEN: &str = "kube-api-access-r7x2k";

fn review(uid: &str, name: &str, user: &Value, pod: &Value) -> Value {
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": uid,
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": name,
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": user,
            "object": pod,
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
}

fn controller() -> Value {
    json!({
        "username": "system:serviceaccount:kube-system:statefulset-controller",
        "uid": "3c1d9d5b-6a0c-47bb-b3a9-0a2f5e1d7c44",
        "groups": [
            "system:serviceaccounts",
            "system:serviceaccounts:kube-system",
            "system:authenticated",
        ],
        "extra": {
            "authentication.kubernetes.io/credential-id": ["JTI=6e0ac1b2-7c45-4d6e-9d83-1f1f6c0d2b17"],
        },
    })
}

/// The pod, with who manages each of its fields.
fn pod(mut metadata: Value, spec: &Value, manager: &str) -> Value {
    let mut written = json!({"metadata": metadata, "spec": spec});
    for field in [
        "name",
        "generateName",
        "namespace",
        "uid",
        "creationTimestamp",
    ] {
        written["metadata"].as_object_mut().unwrap().remove(field);
    }
    metadata["managedFields"] = json!([{
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2026-03-02T09:41:07Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields(&written),
    }]);
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": {}})
}

fn of_stateful_set(name: &str, annotations: &Value) -> Value {
    json!({
        "name": format!("{name}-0"),
        "generateName": format!("{name}-"),
        "namespace": "shop",
        "uid": "8a0e4f0c-1d52-4d0b-b1a6-5c3c7f0e2d55",
        "creationTimestamp": "2026-03-02T09:41:07Z",
        "labels": {
            "app.kubernetes.io/component": "primary",
            "app.kubernetes.io/instance": "shop",
            "app.kubernetes.io/managed-by": "Helm",
            "app.kubernetes.io/name": "postgresql",
            "app.kubernetes.io/version": "17.2.0",
            "apps.kubernetes.io/pod-index": "0",
            "controller-revision-hash": format!("{name}-6f7d9c5b8"),
            "helm.sh/chart": "postgresql-16.3.2",
            "statefulset.kubernetes.io/pod-name": format!("{name}-0"),
        },
        "annotations": annotations,
        "ownerReferences": [{
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "name": name,
            "uid": "e2b1c7d0-8d0a-4c1f-a6a0-9f3b2c1d0e66",
            "controller": true,
            "blockOwnerDeletion": true,
        }],
    })
}

#[derive(Default)]
struct Container<'c> {
    name: &'c str,
    image: &'c str,
    command: Vec<&'c str>,
    ports: Vec<(&'c str, u16)>,
    env: Vec<Value>,
    mounts: Vec<Value>,
    /// The command of all three probes.
    probes: Option<&'c str>,
}

impl<'c> Container<'c> {
    fn new(name: &'c str, image: &'c str) -> Self {
        Self {
            name,
            image,
            ..Self::default()
        }
    }

    fn json(&self) -> Value {
        let Self {
            name,
            image,
            command,
            ports,
            env,
            mounts,
            probes,
        } = self;
        let mut json = Map::new();
        let mut say = |field: &str, value: Value| {
            json.insert(field.to_owned(), value);
        };
        say("name", (*name).into());
        say("image", (*image).into());
        if !command.is_empty() {
            say("command", json!(command));
        }
        if !ports.is_empty() {
            let ports = ports.iter().map(
                |(name, port)| json!({"name": name, "containerPort": port, "protocol": "TCP"}),
            );
            say("ports", ports.collect());
        }
        if !env.is_empty() {
            say("env", json!(env));
        }
        if probes.is_some() {
            say(
                "resources",
                json!({
                    "limits": {"cpu": "1500m", "memory": "1536Mi"},
                    "requests": {"cpu": "500m", "memory": "1Gi"},
                }),
            );
        } else {
            say("resources", json!({}));
        }
        say("volumeMounts", json!(mounts));
        if let Some(command) = probes {
            for (probe, delay) in [("livenessProbe", 30), ("readinessProbe", 5)] {
                say(
                    probe,
                    json!({
                        "exec": {"command": ["/bin/sh", "-c", command]},
                        "initialDelaySeconds": delay,
                        "timeoutSeconds": 5,
                        "periodSeconds": 10,
                        "successThreshold": 1,
                        "failureThreshold": 6,
                    }),
                );
            }
        }
        say("terminationMessagePath", "/dev/termination-log".into());
        say("terminationMessagePolicy", "File".into());
        say("imagePullPolicy", "IfNotPresent".into());
        if probes.is_some() {
            say(
                "securityContext",
                json!({
                    "capabilities": {"drop": ["ALL"]},
                    "privileged": false,
                    "runAsUser": 1001,
                    "runAsNonRoot": true,
                    "readOnlyRootFilesystem": true,
                    "allowPrivilegeEscalation": false,
                }),
            );
        }
        json.into()
    }
}

fn server_env() -> Vec<Value> {
    [
        ("POSTGRESQL_PORT_NUMBER", "5432"),
        ("POSTGRESQL_VOLUME_DIR", "/bitnami/postgresql"),
        ("PGDATA", "/bitnami/postgresql/data"),
        ("POSTGRES_USER", "shop"),
        (
            "POSTGRES_PASSWORD_FILE",
            "/opt/bitnami/postgresql/secrets/password",
        ),
        ("POSTGRES_DATABASE", "shop"),
        ("POSTGRESQL_SHARED_PRELOAD_LIBRARIES", "pgaudit"),
    ]
    .map(|(name, value)| plain(name, value))
    .into()
}

fn plain(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

fn secret(name: &str, secret: &str, key: &str) -> Value {
    json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
}

fn mount(name: &str, path: &str, sub_path: Option<&str>) -> Value {
    let mut mount = json!({"name": name, "mountPath": path});
    if let Some(sub_path) = sub_path {
        mount["subPath"] = sub_path.into();
    }
    mount
}

fn claim(name: &str, claim: &str) -> Value {
    json!({"name": name, "persistentVolumeClaim": {"claimName": claim}})
}

fn token_mount() -> Value {
    json!({
        "name": TOKEN,
        "readOnly": true,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    })
}

fn token_volume() -> Value {
    json!({
        "name": TOKEN,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
            ],
            "defaultMode": 420,
        },
    })
}

fn tolerations() -> Value {
    ["not-ready", "unreachable"]
        .map(|what| {
            json!({
                "key": format!("node.kubernetes.io/{what}"),
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            })
        })
        .to_vec()
        .into()
}

/// What the API server keeps as the fields that somebody manages: a tree of their names, in which
/// items of a list are named by their keys.
fn fields(value: &Value) -> Value {
    let children: BTreeMap<String, Value> = match value {
        Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| (format!("f:{name}"), fields(value)))
            .collect(),
        Value::Array(items) => items
            .iter()
            .filter_map(|item| Some((key(item)?, item)))
            .map(|(key, item)| {
                let mut tree = json!({".": {}});
                tree.as_object_mut()
                    .unwrap()
                    .extend(fields(item).as_object().unwrap().clone());
                (key, tree)
            })
            .collect(),
        _ => BTreeMap::new(),
    };
    json!(children)
}

fn key(item: &Value) -> Option<String> {
    let names: &[&str] = if item.get("containerPort").is_some() {
        &["containerPort", "protocol"]
    } else if item.get("mountPath").is_some() {
        &["mountPath"]
    } else if item.get("uid").is_some() {
        &["uid"]
    } else if item.get("name").is_some() {
        &["name"]
    } else {
        return None;
    };
    let key: BTreeMap<&str, &Value> = names.iter().map(|name| (*name, &item[name])).collect();
    Some(format!("k:{}", json!(key)))
}
