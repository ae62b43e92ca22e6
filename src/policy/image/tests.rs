use super::{Image, ImagePattern};

fn matches(pattern: &str, image: &str) -> bool {
    pattern
        .parse::<ImagePattern>()
        .unwrap()
        .matches(&Image::parse(image))
}

#[test]
fn references_are_taken_apart() {
    let parsed = Image::parse("registry.example:5000/team/postgres:16.4@sha256:abc");
    assert_eq!(parsed.registry, Some("registry.example:5000"));
    assert_eq!(parsed.repository, "team/postgres");
    assert_eq!(parsed.tag, Some("16.4"));
    assert_eq!(parsed.digest, Some("sha256:abc"));
    for reference in [
        "postgres",
        "library/postgres",
        "docker.io/postgres",
        "docker.io/library/postgres",
        "index.docker.io/library/postgres",
    ] {
        let parsed = Image::parse(reference);
        assert_eq!(
            (parsed.registry, parsed.repository),
            (None, "postgres"),
            "{reference}"
        );
    }
    assert_eq!(Image::parse("localhost/x:1").registry, Some("localhost"));
    assert_eq!(Image::parse("").repository, "");
}

#[test]
fn a_repository_is_the_same_in_every_registry() {
    for image in [
        "postgres",
        "postgres:15",
        "docker.io/library/postgres:16-alpine",
        "quay.example/postgres",
        "mirror:5000/postgres@sha256:00",
    ] {
        assert!(matches("postgres", image), "{image}");
    }
    for image in [
        "acme/postgres",
        "postgres-exporter",
        "ghcr.example/acme/postgres",
        "postgresql",
        "",
    ] {
        assert!(!matches("postgres", image), "{image}");
    }
}

#[test]
fn a_leading_star_stands_for_any_components() {
    for image in [
        "bitnami/postgresql",
        "docker.io/bitnami/postgresql:16.4.0",
        "mirror.example/hub/bitnami/postgresql",
    ] {
        assert!(matches("*/bitnami/postgresql", image), "{image}");
    }
    assert!(!matches(
        "*/bitnami/postgresql",
        "bitnami/postgresql-repmgr"
    ));
    assert!(matches("*/bitnami*/postgresql", "bitnamilegacy/postgresql"));
    assert!(!matches("bitnami/*", "mirror/bitnami/postgresql"));
    assert!(matches("*/postgres", "postgres"));
}

#[test]
fn a_registry_counts_where_it_is_named() {
    assert!(matches("ghcr.io/acme/db", "ghcr.io/acme/db:1"));
    assert!(!matches("ghcr.io/acme/db", "quay.io/acme/db:1"));
    assert!(matches("docker.io/postgres", "postgres:1"));
    assert!(!matches("docker.io/postgres", "ghcr.io/postgres:1"));
}

#[test]
fn tags_are_compared_as_versions() {
    assert!(matches("postgres:>=15", "postgres:15"));
    assert!(matches("postgres:>=15", "postgres:15.2-alpine"));
    assert!(matches("postgres:>=15", "postgres:100"));
    assert!(!matches("postgres:>=15", "postgres:9.6"));
    assert!(matches("postgres:<=15", "postgres:15.9"));
    assert!(!matches("postgres:>15", "postgres:15.9"));
    assert!(matches("postgres:>=13,<17", "postgres:16.3-bookworm"));
    assert!(!matches("postgres:>=13 <17", "postgres:17"));
    assert!(matches("etcd:>=3.5", "etcd:v3.5.9"));
    // Nobody knows which version `latest` is.
    assert!(!matches("postgres:>=15", "postgres:latest"));
    assert!(!matches("postgres:>=15", "postgres"));
    assert!(!matches("postgres:>=15", "postgres@sha256:00"));
}

#[test]
fn tags_and_digests_are_compared_as_texts() {
    assert!(matches("postgres:15", "postgres:15"));
    assert!(!matches("postgres:15", "postgres:15.1"));
    assert!(matches("postgres:15*", "postgres:15.1"));
    assert!(matches("postgres:latest", "postgres"));
    let digest = format!("postgres@sha256:{}", "a".repeat(64));
    assert!(matches(&digest, &digest));
    assert!(!matches(&digest, "postgres:15"));
}

#[test]
fn what_names_no_image_is_refused() {
    for pattern in [
        "",
        "Postgres",
        "postgres:",
        "postgres:>=",
        "postgres:>=x",
        "a//b",
        "postgres@sha256:12",
        "post gres",
        "/postgres",
        "postgres:>=15 16",
    ] {
        assert!(pattern.parse::<ImagePattern>().is_err(), "{pattern:?}");
    }
}

#[test]
fn a_range_with_any_version_in_it_is_one() {
    for range in [
        "a:<1.0",
        "a:<1",
        "a:>0.9.9 <1",
        "a:<=1 >1.5",
        "a:>=1.5 <1.5.1",
    ] {
        assert!(range.parse::<ImagePattern>().is_ok(), "{range}");
    }
    for range in ["a:<0", "a:<0.0", "a:>1 <1.5", "a:=1.2 >1.2", "a:>=2 <2"] {
        assert!(range.parse::<ImagePattern>().is_err(), "{range}");
    }
}
