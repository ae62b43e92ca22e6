//! Good and bad directories, and the sentence that each bad one gets.
use super::*;
use crate::certs::fixture::{Pair, fresh, self_signed, with_intermediate, write};

fn load(pair: &Pair) -> Result<Certificate, LoadError> {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), pair);
    Directory::new(directory.path()).certificate(SystemTime::now())
}

/// The failure must name `file` by its whole path, and say `part`.
fn check(pair: &Pair, file: &str, part: &str) {
    let sentence = load(pair).unwrap_err().to_string();
    assert!(sentence.contains(&format!("/{file} ")), "{sentence}");
    assert!(sentence.contains(part), "{sentence}");
}

fn changed(change: impl FnOnce(&mut Pair)) -> Pair {
    let mut pair = fresh();
    change(&mut pair);
    pair
}

#[test]
fn a_pair_is_loaded_and_trusted_by_itself() {
    let pair = fresh();
    let certificate = load(&pair).unwrap();
    assert_eq!(certificate.ca_pem(), pair.chain.replace("\r\n", "\n"));
}

#[test]
fn a_chain_is_served_whole_and_ends_with_its_first_to_expire() {
    let pair = with_intermediate();
    let certificate = load(&pair).unwrap();
    assert_eq!(certificate.key.cert.len(), 2);
    let root = pair.ca.unwrap().replace("\r\n", "\n");
    assert_eq!(certificate.ca_pem(), root);

    let soon = SystemTime::now() + Duration::from_secs(90);
    let mut short = fresh();
    short.chain += &self_signed(soon).chain;
    let end = unix_seconds(load(&short).unwrap().not_after());
    assert_eq!(end, unix_seconds(soon));
}

#[test]
fn without_a_ca_the_topmost_of_the_chain_is_trusted() {
    let pair = Pair {
        ca: None,
        ..with_intermediate()
    };
    let certificate = load(&pair).unwrap();
    let topmost = pair.chain.replace("\r\n", "\n");
    assert!(topmost.ends_with(certificate.ca_pem()));
    assert_ne!(topmost, certificate.ca_pem());
}

#[test]
fn missing_files_are_named() {
    check(&Pair::default(), "tls.crt", "does not exist");
    check(
        &changed(|pair| pair.key.clear()),
        "tls.key",
        "does not exist",
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &fresh());
    // A directory in its place cannot be read even by root.
    fs::remove_file(directory.path().join("tls.key")).unwrap();
    fs::create_dir(directory.path().join("tls.key")).unwrap();
    let error = Directory::new(directory.path()).files().err().unwrap();
    assert!(matches!(error, LoadError::Unreadable { .. }), "{error}");
    assert!(
        error.to_string().contains("/tls.key cannot be read: "),
        "{error}"
    );
}

#[test]
fn what_is_in_the_wrong_file_is_missed_in_the_right_one() {
    check(
        &changed(|pair| pair.chain = pair.key.clone()),
        "tls.crt",
        "no certificate",
    );
    check(
        &changed(|pair| pair.key = pair.chain.clone()),
        "tls.key",
        "no private key",
    );
    check(
        &changed(|pair| pair.chain = "hello".into()),
        "tls.crt",
        "no PEM",
    );
    check(
        &changed(|pair| pair.key = "hello".into()),
        "tls.key",
        "no PEM",
    );
}

#[test]
fn damage_is_told_without_quoting_the_file() {
    let cut = changed(|pair| pair.chain.truncate(pair.chain.len() / 2));
    check(&cut, "tls.crt", "no END line");
    let cut = changed(|pair| pair.key.truncate(pair.key.len() / 2));
    check(&cut, "tls.key", "no END line");
    let secret = "c2VjcmV0!!";
    let odd = changed(|pair| {
        pair.key = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
    });
    check(&odd, "tls.key", "not base64");
    assert!(!load(&odd).unwrap_err().to_string().contains(secret));
}

#[test]
fn an_encrypted_key_is_told_from_none() {
    let encrypted = changed(|pair| pair.key = pair.key.replace("PRIVATE", "ENCRYPTED PRIVATE"));
    check(&encrypted, "tls.key", "encrypted");
}

#[test]
fn a_certificate_that_is_none_is_counted() {
    let none = changed(|pair| {
        pair.chain += "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    });
    let sentence = load(&none).unwrap_err().to_string();
    assert!(sentence.starts_with("certificate 2 of /"), "{sentence}");
}

#[test]
fn the_key_of_another_certificate_does_not_fit() {
    check(
        &changed(|pair| pair.key = fresh().key),
        "tls.key",
        "does not fit",
    );
}

#[test]
fn a_chain_in_the_wrong_order_does_not_fit() {
    let mut pair = with_intermediate();
    let second = pair.chain.rfind("-----BEGIN").unwrap();
    pair.chain = pair.chain[second..].to_owned() + &pair.chain[..second];
    check(&pair, "tls.key", "the server's own certificate first");
}

#[test]
fn an_expired_certificate_is_not_served() {
    let yesterday = SystemTime::now() - Duration::from_hours(24);
    check(&self_signed(yesterday), "tls.crt", "expired on ");
}
