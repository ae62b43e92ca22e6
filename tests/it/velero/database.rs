//! One PostgreSQL in the cluster, made by a StatefulSet without an annotation of ours.
use std::time::Duration;

use serde_json::Value;

use super::cluster::Cluster;
use crate::apiserver::kit::eventually;

/// One PostgreSQL in a namespace that wants hooks.
pub struct Database<'c> {
    pub cluster: &'c Cluster,
    pub namespace: &'c str,
}

impl Database<'_> {
    /// Namespace, scripts, StatefulSet; returns the pod when it is ready.
    pub fn start(&self) -> Value {
        let kubectl = &self.cluster.node.kubectl;
        let namespace = self.namespace;
        self.cluster.namespace_with_hooks(namespace);
        let stored = kubectl.json(&format!("create -n {namespace} -f -"), STATEFUL_SET);
        assert_eq!(
            stored["spec"]["template"]["metadata"]["annotations"],
            Value::Null,
            "{stored:#}"
        );
        kubectl.run(&format!(
            "rollout status -n {namespace} statefulset/pg --timeout 120s"
        ));
        let pod = self.pod();
        assert!(
            pod["metadata"]["annotations"]["pre.hook.backup.velero.io/command"].is_string(),
            "{pod:#}"
        );
        pod
    }

    pub fn pod(&self) -> Value {
        self.cluster
            .node
            .kubectl
            .json(&format!("get pod -n {} pg-0", self.namespace), "")
    }

    pub fn shell(&self, script: &str) -> String {
        match self.cluster.node.kubectl.exec(
            self.namespace,
            "pg-0",
            "postgres",
            &["sh", "-c", script],
        ) {
            Ok(output) => output,
            Err(error) => panic!("{script}: {error}"),
        }
    }

    pub fn attempt(&self, database: &str, sql: &str) -> Result<String, String> {
        let script = format!(
            "PGPASSWORD=$POSTGRES_PASSWORD psql -w -U postgres -d {database} -qAt -v ON_ERROR_STOP=1 -c \"{sql}\""
        );
        self.cluster
            .node
            .kubectl
            .exec(self.namespace, "pg-0", "postgres", &["sh", "-c", &script])
    }

    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        match self.attempt(database, sql) {
            Ok(output) => output,
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// Two databases, and a role with a right in one.
    pub fn fill(&self) {
        self.sql("postgres", "create database crm;");
        self.sql("postgres", "create role reporting login;");
        self.sql("shop", "create table orders as select id, md5(id::text) as item from generate_series(1, 50000) id;");
        self.sql("shop", "grant select on orders to reporting;");
        self.sql(
        "crm",
        "create table people as select id, 'Zoë ' || id as name from generate_series(1, 1000) id;",
    );
    }

    /// Changes with every row, and with the role and its right.
    pub fn fingerprint(&self) -> String {
        let orders = self.sql(
            "shop",
            "select count(*), md5(string_agg(item, ',' order by id)) from orders",
        );
        let people = self.sql(
            "crm",
            "select count(*), md5(string_agg(name, ',' order by id)) from people",
        );
        let right = self.sql(
            "shop",
            "select has_table_privilege('reporting', 'orders', 'select')",
        );
        orders + &people + &right
    }

    /// Whether local connections need no password.
    pub fn trust(&self, trusted: bool) {
        let (from, to) = if trusted {
            ("scram-sha-256", "trust")
        } else {
            ("trust", "scram-sha-256")
        };
        self.shell(&format!(
            "sed -i '/^local/s/{from}/{to}/' \"$PGDATA/pg_hba.conf\" && kill -HUP \"$(head -n 1 \"$PGDATA/postmaster.pid\")\""
        ));
        eventually(
            "the server has read its pg_hba.conf",
            Duration::from_secs(20),
            || (self.attempt("postgres", "select 1").is_ok() == trusted).then_some(()),
        );
    }
}

/// Not one annotation. The data lies in an emptyDir so that nothing but our dump can bring it back:
/// a claim's volume would still have its old files when the restored claim finds it again.
const STATEFUL_SET: &str = r"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: pg}
spec:
  serviceName: pg
  selector: {matchLabels: {app: pg}}
  template:
    metadata: {labels: {app: pg}}
    spec:
      containers:
        - name: postgres
          image: quiescent.test/postgres:15
          env: [{name: POSTGRES_PASSWORD, value: correct horse}, {name: POSTGRES_DB, value: shop}]
          readinessProbe: {exec: {command: [pg_isready, -U, postgres, -d, shop]}, periodSeconds: 1}
          volumeMounts: [{name: data, mountPath: /var/lib/postgresql/data}]
      volumes: [{name: data, emptyDir: {}}]
";
