use serde_json::json;

use super::text;
use crate::{
    audit::{Around, Backups, Finding, audit},
    library,
    policy::PolicySet,
    select::{Facts, Namespace, Settings},
};

fn findings(names: &[&str]) -> Vec<Finding> {
    let (policies, _) = PolicySet::new(library::defaults());
    let settings = Settings::default();
    let facts = Facts {
        namespace: "a-namespace-with-a-name-as-long-as-some-people-make-them",
        about_namespace: Namespace::Unknown,
        owner: None,
        settings: &settings,
    };
    let around = Around {
        facts,
        backups: Backups::Unknown,
        config_maps: None,
    };
    let of = |name: &&str| {
        let pod = json!({
            "metadata": {"name": name, "uid": "1", "ownerReferences": [{"kind": "StatefulSet", "name": "pg"}]},
            "spec": {"containers": [{"name": "db", "image": "postgres:16", "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql"}]}], "volumes": [{"name": "data", "persistentVolumeClaim": {}}]},
        });
        audit(&policies, &pod.to_string(), around).unwrap()
    };
    names.iter().flat_map(of).collect()
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_table_fits_its_terminal() {
    let long = findings(&["a-database-that-somebody-gave-a-name-as-long-as-a-sentence-0"]);
    for width in [80, 100, 120] {
        let table = plain(&text(&long, Some(width)));
        let row = table.lines().nth(1).unwrap();
        assert!(row.chars().count() <= width, "{width}: {row}");
        assert!(row.contains('…'), "{row}");
    }
    let wide = plain(&text(&long, None));
    assert!(wide.contains("a-name-as-long-as-a-sentence-0"));
    assert!(!wide.contains('…'), "{wide}");
}

#[test]
fn pods_of_one_workload_are_one_row_and_count_each() {
    let many = findings(&["pg-0", "pg-1", "pg-2"]);
    let table = plain(&text(&many, Some(200)));
    assert!(table.contains(" pg-0 … pg-2 "), "{table}");
    assert!(
        table.contains("3 databases: 3 unprotected\nnext: kubectl -n "),
        "{table}"
    );
    assert!(
        table.ends_with("rollout restart statefulset/pg\n"),
        "{table}"
    );
}
