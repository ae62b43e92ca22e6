//! Claims of what is under way: of two that ask for one, the second waits.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::known::Key;

/// Claims, each with whose it is.
#[derive(Default)]
pub struct Claims(Mutex<BTreeMap<Key, String>>);

/// Claims that nobody else may take, until it is dropped.
pub struct Claimed<'c>(&'c Claims, Vec<Key>);

impl Claims {
    /// Takes claims, or says whose one of them is.
    pub fn take(
        &self,
        namespace: &str,
        claims: Vec<String>,
        whose: &str,
    ) -> Result<Claimed<'_>, String> {
        let claims = claims.into_iter().map(|it| (namespace.to_owned(), it));
        let claims: Vec<Key> = claims.collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for claim in &claims {
            if let Some(other) = all.get(claim) {
                return Err(format!(
                    "ConsistentSnapshot {other} is at claim {}",
                    claim.1
                ));
            }
        }
        all.extend(claims.iter().map(|it| (it.clone(), whose.to_owned())));
        Ok(Claimed(self, claims))
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        let Self(Claims(all), claims) = self;
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        for claim in claims {
            all.remove(claim);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_taken_by_one_and_given_back() {
        let claims = Claims::default();
        let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        let first = claims.take("shop", names(&["data", "wal"]), "one").unwrap();
        let why = claims.take("shop", names(&["logs", "wal"]), "two");
        assert_eq!(why.err().unwrap(), "ConsistentSnapshot one is at claim wal");
        assert!(claims.take("web", names(&["wal"]), "three").is_ok());
        drop(first);
        assert!(claims.take("shop", names(&["wal", "logs"]), "two").is_ok());
    }
}
