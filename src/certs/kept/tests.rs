use std::collections::BTreeMap;

use super::*;
use crate::certs::{authority, leaf};

const DAY: Duration = Duration::from_hours(24);

type Data = BTreeMap<&'static str, String>;

fn names() -> Vec<String> {
    vec!["quiescent.quiescent.svc".to_owned()]
}

/// An authority with a leaf, as a Secret keeps them.
fn secret(now: SystemTime) -> Data {
    let signer = authority(10 * DAY, now).unwrap();
    let served = leaf(&signer, &names(), DAY, now).unwrap();
    [
        (CA, signer.certificate),
        (CA_KEY, signer.key),
        (CHAIN, served.certificate),
        (KEY, served.key),
    ]
    .into()
}

fn read(issuer: Issuer, data: &Data, now: SystemTime) -> Kept {
    let get = |key: &str| data.get(key).map(String::as_bytes);
    kept(issuer, &names(), get, now)
}

#[test]
fn what_we_make_is_whole_and_lasts_as_long_as_it_should() {
    let now = SystemTime::now();
    let data = secret(now);
    for issuer in [Issuer::Ourselves, Issuer::Another] {
        let kept = read(issuer, &data, now);
        let [authority] = kept.authorities[..] else {
            panic!("{kept:?}")
        };
        let leaf = kept.leaf.unwrap();
        assert_eq!(leaf.until, unix_seconds(now + DAY));
        assert_eq!(authority.until, unix_seconds(now + 10 * DAY));
        assert_eq!(authority.from, unix_seconds(now - Duration::from_hours(1)));
        assert_eq!(kept.next, None);
    }
}

#[test]
fn a_leaf_that_cannot_be_served_is_none() {
    let now = SystemTime::now();
    let other = secret(now);
    for damage in [
        |data: &mut Data, other: &Data| data.insert(KEY, other[KEY].clone()),
        |data: &mut Data, other: &Data| data.insert(CA, other[CA].clone()),
        |data: &mut Data, _: &Data| data.insert(CHAIN, data[CHAIN][..300].to_owned()),
        |data: &mut Data, _: &Data| data.remove(KEY),
    ] {
        let mut data = secret(now);
        damage(&mut data, &other);
        assert_eq!(read(Issuer::Another, &data, now).leaf, None);
    }
    let data = secret(now);
    assert_eq!(read(Issuer::Another, &data, now + 2 * DAY).leaf, None);
    let get = |key: &str| data.get(key).map(String::as_bytes);
    let renamed = ["quiescent.backup.svc".to_owned()];
    assert_eq!(kept(Issuer::Another, &renamed, get, now).leaf, None);
}

#[test]
fn an_authority_without_its_key_signs_nothing() {
    let now = SystemTime::now();
    let mut data = secret(now);
    data.insert(CA_KEY, secret(now)[CA_KEY].clone());
    assert!(read(Issuer::Ourselves, &data, now).authorities.is_empty());
    assert_eq!(read(Issuer::Another, &data, now).authorities.len(), 1);
}

#[test]
fn a_bundle_has_each_certificate_that_is_wanted_once() {
    let now = SystemTime::now();
    let (one, other) = (secret(now), secret(now));
    let both = format!("{}{}", one[CA], other[CA]);
    let Bundle::Trusts(held) = bundle(both.as_bytes()) else {
        panic!("two certificates")
    };
    let texts = [both.as_bytes(), other[CA].as_bytes(), b"no PEM"];
    let all = trusting(texts, |_| true);
    assert_eq!(all.matches("BEGIN CERTIFICATE").count(), 2);
    let second = trusting(texts, |id| *id == held[1].id);
    assert_eq!(bundle(second.as_bytes()), Bundle::Trusts(vec![held[1]]));
    assert_eq!(bundle(b"no PEM"), Bundle::Unreadable);
    assert_eq!(trusting(texts, |_| false), "");
}
