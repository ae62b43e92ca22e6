//! What Velero's own parsers answered, held against ours.

use super::{HookPhase, Timeout, decode_command, encode_command, parse_bool};

/// Inputs and answers of Velero 1.18: commands, then durations, then booleans.
const VECTORS: &str = include_str!("vectors.txt");

/// One line as input and answer.
fn vectors(section: usize) -> impl Iterator<Item = (String, &'static str)> {
    let section = VECTORS.split("\n--- ").nth(section).unwrap();
    let lines = section.lines().filter(|line| line.starts_with('"'));
    lines.map(|line| {
        let (input, answer) = line.split_once(" -> ").unwrap();
        // Go quotes strings as JSON does, as far as these lines go.
        (serde_json::from_str(input.trim_end()).unwrap(), answer)
    })
}

#[test]
fn commands_are_read_as_velero_reads_them() {
    let mut read = 0;
    for (input, answer) in vectors(0) {
        let ours = decode_command(&input);
        read += 1;
        if answer.starts_with("PANIC") {
            assert_eq!(ours, None, "{input:?}");
            continue;
        }
        let (count, argv) = answer
            .strip_prefix("argc=")
            .unwrap()
            .split_once(' ')
            .unwrap();
        let ours = ours.unwrap();
        assert_eq!(ours.len().to_string(), count, "{input:?}");
        let argv: Vec<String> = serde_json::from_str(argv).unwrap();
        assert_eq!(ours, argv, "{input:?}");
    }
    assert_eq!(read, 27);
}

#[test]
fn durations_are_read_as_velero_reads_them() {
    let mut read = 0;
    for (input, answer) in vectors(1) {
        let (value, error) = answer.split_once(" err=").unwrap();
        let ours = input.parse::<Timeout>();
        read += 1;
        match (error, &ours) {
            ("<nil>", Ok(ours)) => assert_eq!(ours.to_string(), short(value), "{input:?}"),
            ("<nil>", Err(_)) => panic!("{input:?} is {value} for Velero and {ours:?} for us"),
            (_, Ok(_)) => panic!("{input:?} is {error} for Velero and {ours:?} for us"),
            (_, Err(_)) => {}
        }
    }
    assert_eq!(read, 24);
}

/// Go writes `2m0s` where we write `2m`.
fn short(text: &str) -> String {
    let text = if text.contains('m') {
        text.strip_suffix("0s")
            .filter(|rest| rest.ends_with('m'))
            .unwrap_or(text)
    } else {
        text
    };
    let text = if text.contains('h') {
        text.strip_suffix("0m")
            .filter(|rest| rest.ends_with('h'))
            .unwrap_or(text)
    } else {
        text
    };
    text.to_owned()
}

#[test]
fn booleans_are_read_as_velero_reads_them() {
    let mut read = 0;
    for (input, answer) in vectors(2) {
        let (value, error) = answer.split_once(" err=").unwrap();
        let expected = (error == "<nil>").then(|| value == "true");
        assert_eq!(parse_bool(&input), expected, "{input:?}");
        read += 1;
    }
    assert_eq!(read, 10);
}

#[test]
fn what_is_written_as_a_command_is_read_back() {
    let argv = [
        "/bin/sh",
        "-c",
        "echo \"a\u{7}b\"\n\t'ü' 🦀 \\ / </dev/null",
        "",
    ];
    assert_eq!(decode_command(&encode_command(&argv)).unwrap(), argv);
    assert_eq!(encode_command(&["a", "b"]), r#"["a","b"]"#);
}

#[test]
fn a_duration_survives_being_written() {
    for nanoseconds in [
        1,
        999,
        1_500,
        30_000_000_000,
        90_000_000_000,
        3_600_000_000_000,
        5_400_000_000_001,
    ] {
        let text = format!("{nanoseconds}ns");
        let duration: Timeout = text.parse().unwrap();
        assert_eq!(duration.nanoseconds(), nanoseconds);
        assert_eq!(
            duration.to_string().parse::<Timeout>().unwrap(),
            duration,
            "{duration}"
        );
    }
    assert_eq!(
        "-9223372036854775808ns"
            .parse::<Timeout>()
            .unwrap()
            .nanoseconds(),
        i64::MIN
    );
    assert!("9223372036854775808ns".parse::<Timeout>().is_err());
    assert!("1s-1s".parse::<Timeout>().is_err());
    assert!("".parse::<Timeout>().is_err());
}

#[test]
fn each_phase_has_keys_of_its_own() {
    for phase in HookPhase::ALL {
        let keys = phase.keys();
        for key in [keys.command, keys.container, keys.on_error, keys.timeout] {
            assert!(key.starts_with(phase.prefix()), "{key}");
        }
    }
}

#[test]
fn the_elements_of_a_command_know_their_places() {
    let text = "[\"/bin/sh\", null,\"a\\\"b\" ]";
    let elements = super::command_elements(text).unwrap();
    let written: Vec<&str> = elements.iter().map(|(_, at)| &text[at.clone()]).collect();
    assert_eq!(written, ["\"/bin/sh\"", "null", "\"a\\\"b\""]);
    for (text, place) in [
        ("['a']", 1),
        ("[\"a\",]", 5),
        ("[\"a\"", 4),
        ("[\"a\"]x", 5),
        ("a", 0),
    ] {
        assert_eq!(super::command_elements(text), Err(place), "{text}");
    }
}
