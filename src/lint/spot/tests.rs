use super::Spot;
use crate::yaml::parse;

/// What is underlined for the words of a scalar that is written like this.
fn underlined(written: &str, words: &str) -> String {
    let source = format!("key: {written}\n");
    let documents = parse(&source).unwrap();
    let root = documents[0].root.as_ref().unwrap();
    let spot = Spot::of(root.get("key").unwrap()).find(words);
    source[spot.span(&source)].to_owned()
}

#[test]
fn words_are_found_however_the_scalar_is_written() {
    for written in [
        "a select Now() b",
        "'it''s select Now() b'",
        "\"\\\"a\\\" select Now() b\"",
        ">-\n  a\n  select Now() b",
        "|\n  a\n  select Now() b",
    ] {
        assert_eq!(
            underlined(written, "select now()"),
            "select Now()",
            "{written}"
        );
    }
}

#[test]
fn the_right_one_of_several_is_meant() {
    let source = "key: 'b a b'\n";
    let documents = parse(source).unwrap();
    let spot = Spot::of(documents[0].root.as_ref().unwrap().get("key").unwrap());
    assert_eq!(spot.part(4..5).span(source), 10..11);
}

#[test]
fn words_that_an_escape_hides_are_the_whole_scalar() {
    assert_eq!(underlined("'it''s'", "it's"), "'it''s'");
    assert_eq!(underlined("'here'", "not there"), "'here'");
}
