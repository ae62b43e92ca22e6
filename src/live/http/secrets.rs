//! What the Secrets of a call have, for as long as it is made.

use std::{collections::BTreeMap, env, os::unix::ffi::OsStringExt as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube::Client;
use serde::Deserialize;

use crate::{
    kubernetes::object,
    policy::{
        call::{Call, Text, variable},
        file::SecretKeyRef,
    },
};

/// Values by where they stand. They have no `Debug`, so that no log has them.
pub struct Secrets {
    values: Vec<(SecretKeyRef, Vec<u8>)>,
    ca: Option<SecretKeyRef>,
    /// What must not be shown.
    texts: Vec<String>,
}

#[derive(Deserialize)]
struct Secret {
    #[serde(default)]
    data: BTreeMap<String, String>,
}

/// Reads the Secrets that a call names, and no others.
///
/// # Errors
/// The sentence to say, without anything of what they have.
pub async fn read(client: &Client, namespace: &str, call: &Call) -> Result<Secrets, String> {
    let mut values = Vec::new();
    for reference in call.secrets() {
        let value = value(client, namespace, reference).await?;
        values.push((reference.clone(), value));
    }
    Ok(Secrets::new(values, call.ca.clone()))
}

/// The same from the variables of this container, which Kubernetes made of the Secrets.
///
/// # Errors
/// The sentence to say.
pub fn of_variables(call: &Call) -> Result<Secrets, String> {
    let values = call.secrets().into_iter().map(|reference| {
        let value = env::var_os(variable(reference))
            .ok_or_else(|| format!("{reference} was not there when this container was started"))?;
        Ok((reference.clone(), value.into_vec()))
    });
    let values = values.collect::<Result<_, String>>()?;
    Ok(Secrets::new(values, call.ca.clone()))
}

async fn value(
    client: &Client,
    namespace: &str,
    reference: &SecretKeyRef,
) -> Result<Vec<u8>, String> {
    let path = format!("/api/v1/namespaces/{namespace}/secrets");
    let text = object(client, &path, &reference.name).await;
    let text = text.map_err(|error| format!("{reference} cannot be read: {error}"))?;
    // What is wrong with it is not said: it would be shown with a part of it.
    let unreadable = || format!("{reference} cannot be read");
    let secret: Secret = serde_json::from_str(&text).map_err(|_| unreadable())?;
    let Some(value) = secret.data.get(&reference.key) else {
        return Err(format!("{reference} is not there"));
    };
    BASE64_STANDARD.decode(value).map_err(|_| unreadable())
}

impl Secrets {
    pub fn new(values: Vec<(SecretKeyRef, Vec<u8>)>, ca: Option<SecretKeyRef>) -> Self {
        let hidden = values.iter().filter(|(it, _)| Some(it) != ca.as_ref());
        let texts = hidden.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        Self {
            texts: texts.collect(),
            values,
            ca,
        }
    }

    /// What is sent for a text.
    pub fn bytes(&self, text: &Text) -> Vec<u8> {
        let mut bytes = text.literal.clone().into_bytes();
        bytes.extend(text.secret.iter().flat_map(|it| self.of(it)));
        bytes
    }

    /// The certificates to trust, where the call names any.
    pub fn ca(&self) -> Option<&[u8]> {
        self.ca.as_ref().map(|it| self.of(it))
    }

    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    fn of(&self, reference: &SecretKeyRef) -> &[u8] {
        let mut values = self.values.iter();
        let found = values.find(|(known, _)| known == reference);
        found.map_or(&[], |(_, value)| value)
    }
}
