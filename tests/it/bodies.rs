//! The bodies that the benchmarks measure with are what their generator makes.

use std::path::Path;

use crate::support::golden;

#[path = "../../benches/bodies/generate.rs"]
mod generate;

#[test]
fn the_bodies_are_fresh() {
    for (name, text) in generate::all() {
        let file = format!("benches/bodies/{name}.json");
        golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file), &text);
    }
}

#[test]
fn the_bodies_are_as_large_as_they_are_said_to_be() {
    let kilobytes = generate::all().map(|(name, text)| (name, text.len() / 1000));
    assert_eq!(kilobytes, [("small", 3), ("typical", 13), ("big", 199)]);
}
