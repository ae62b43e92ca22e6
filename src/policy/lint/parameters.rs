//! What others may set for a policy.

use std::collections::BTreeMap;

use super::{
    super::{PARAMETER_PREFIX, Parameter, Rule, TIMEOUT_VARIABLE, file},
    Compiler,
};

impl Compiler<'_, '_> {
    pub(super) fn parameters(
        &mut self,
        spec: &file::Spec,
        policy: &str,
    ) -> BTreeMap<String, Parameter> {
        let mut parameters = BTreeMap::new();
        for (name, written) in &spec.parameters {
            let path = ["spec", "parameters", name];
            let fits = !name.is_empty()
                && name.bytes().all(|c| c.is_ascii_alphanumeric())
                && name.starts_with(|c: char| c.is_ascii_lowercase());
            if !fits {
                self.key_error(
                    Rule::BadParameter,
                    &path,
                    format!("{name:?} cannot be the name of a parameter"),
                )
                .help("use letters and digits, beginning with a small letter, such as lockWait");
            }
            // What stands behind the slash of an annotation's key has 63 characters at most.
            if policy.len() + 1 + name.len() > 63 {
                self.key_error(
                    Rule::BadParameter,
                    &path,
                    format!("no annotation can set {name:?}: {policy}.{name} is too long"),
                );
            }
            let parameter = Parameter {
                kind: written.r#type,
                default: written.default.clone(),
                allowed: written.r#enum.clone(),
                description: written.description.clone(),
                variable: variable(name),
                annotation: format!("{PARAMETER_PREFIX}{policy}.{name}"),
            };
            if !written.default.is_empty() && !parameter.accepts(&written.default) {
                self.error(
                    Rule::BadParameter,
                    &["spec", "parameters", name, "default"],
                    format!(
                        "the default {:?} is no value of this parameter",
                        written.default
                    ),
                );
            }
            if parameter.variable == TIMEOUT_VARIABLE {
                self.key_error(
                    Rule::BadParameter,
                    &path,
                    format!(
                        "{TIMEOUT_VARIABLE} is set already: the seconds that a script may take"
                    ),
                );
            }
            parameters.insert(name.clone(), parameter);
        }
        parameters
    }
}

/// `lockWait` is `QUIESCENT_LOCK_WAIT`.
fn variable(parameter: &str) -> String {
    let mut name = "QUIESCENT_".to_owned();
    for c in parameter.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}
