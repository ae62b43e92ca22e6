//! What the pages print for those who have lost us.
use std::{fs, path::Path};

/// The first commands below a heading of a page in docs/.
#[track_caller]
pub fn printed(page: &str, heading: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(page);
    let text = fs::read_to_string(&path).unwrap();
    let below = text.split_once(&format!("## {heading}\n"));
    let commands = below.and_then(|(_, below)| below.split_once("```sh\n")?.1.split_once("```"));
    commands.expect("commands below the heading").0.to_owned()
}
