use super::*;

fn check(schema: &Value, at: &str) {
    let schema = schema.as_object().unwrap_or_else(|| panic!("{at}"));
    for key in ["$ref", "$schema", "oneOf", "anyOf", "const", "title"] {
        assert!(!schema.contains_key(key), "{at} has {key}");
    }
    let any = ["x-kubernetes-preserve-unknown-fields", INT_OR_STRING];
    let any = any.iter().any(|key| schema.contains_key(*key));
    assert!(any || schema["type"].is_string(), "{at} has one type");
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.unwrap_or(&none) {
        check(property, &format!("{at}.{name}"));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(below) = schema.get(key) {
            check(below, &format!("{at}.{key}"));
        }
    }
}

#[test]
fn constants_are_one_list_whether_they_are_described_or_not() {
    let mixed = json!({"oneOf": [{"type": "string", "enum": ["Auto", "Never"]}, {"const": "Always", "description": "or not at all"}]});
    let schema = structural(mixed);
    assert_eq!(schema["type"], "string");
    assert_eq!(schema["enum"], json!(["Auto", "Never", "Always"]));
}

#[test]
fn the_schema_is_one_that_kubernetes_takes_and_every_rule_has_its_place() {
    for definition in definitions() {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        check(schema, "");
        let spec = &schema["properties"]["spec"];
        for (place, rule, _) in RULES {
            let rules = &spec.pointer(place).unwrap()["x-kubernetes-validations"];
            let rules = rules.as_array().unwrap();
            assert!(rules.iter().any(|it| it["rule"] == *rule), "{place}");
        }
        assert_eq!(spec["properties"]["exclude"]["type"], "array");
        let expect = "/properties/hooks/properties/pre/properties/http/properties/expect";
        let expect = &spec.pointer(expect).unwrap()["properties"];
        let (status, json) = (&expect["status"]["items"], &expect["json"]["items"]);
        assert_eq!(status[INT_OR_STRING], true);
        let any = &json["properties"]["equals"]["x-kubernetes-preserve-unknown-fields"];
        assert_eq!(*any, true);
        assert_eq!(spec["properties"]["onConflict"]["default"], "Keep");
    }
}
