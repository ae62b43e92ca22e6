//! Classes of storage, as far as a claim that is restored asks for one.

use serde_json::Value;

/// Marks the class of claims that name none.
const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

/// A StorageClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    pub name: String,
    pub driver: String,
    pub is_default: bool,
    /// Whether its claims get a volume when a pod wants it, and not before.
    pub waits: bool,
}

impl Class {
    #[must_use]
    pub fn read(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            name: text(&object["metadata"]["name"]),
            driver: text(&object["provisioner"]),
            is_default: object["metadata"]["annotations"][IS_DEFAULT] == "true",
            waits: object["volumeBindingMode"] == "WaitForFirstConsumer",
        }
    }

    /// The class for what lies on a driver's storage, where the claim that named one is gone.
    ///
    /// # Errors
    /// Which there are, where none or several fit.
    pub fn of_driver<'c>(classes: &'c [Self], driver: &str) -> Result<&'c Self, String> {
        let all: Vec<&Self> = classes.iter().filter(|it| it.driver == driver).collect();
        let default = all.iter().copied().find(|it| it.is_default);
        match (default, &all[..]) {
            (Some(class), _) => Ok(class),
            (None, [class]) => Ok(*class),
            (None, []) => Err(format!("there is no StorageClass of {driver}")),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|it| it.name.as_str()).collect();
                let names = names.join(", ");
                Err(format!(
                    "several StorageClasses are of {driver}: name one with --storage-class: {names}"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_driver_has_one_class_or_a_default_one() {
        let class = |name: &str, driver: &str, default: &str, mode: &str| {
            Class::read(&json!({
                "metadata": {"name": name, "annotations": {IS_DEFAULT: default}},
                "provisioner": driver, "volumeBindingMode": mode,
            }))
        };
        let classes = [
            class("one", "a", "false", "Immediate"),
            class("x", "b", "false", "WaitForFirstConsumer"),
            class("y", "b", "true", "Immediate"),
            class("v", "c", "", "Immediate"),
            class("w", "c", "", "Immediate"),
        ];
        let name = |driver| Class::of_driver(&classes, driver).map(|it| it.name.as_str());
        assert_eq!(name("a"), Ok("one"));
        assert_eq!(name("b"), Ok("y"));
        assert!(name("c").unwrap_err().contains("--storage-class: v, w"));
        assert!(name("d").unwrap_err().contains("no StorageClass of d"));
        assert!(classes[1].waits && !classes[0].waits);
    }
}
