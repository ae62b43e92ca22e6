//! A session: a program that is told to end by the end of its standard input.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};

use tokio::sync::mpsc::UnboundedSender;

use crate::coordinator::{Event, Line};

/// Starts a session, whose lines and whose end come as events. It ends when what is returned is dropped.
///
/// # Errors
/// When the program cannot be started.
pub fn begin(argv: &[String], events: UnboundedSender<Event>) -> io::Result<ChildStdin> {
    let [program, arguments @ ..] = argv else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env_remove(super::http::TOKEN)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let input = child.stdin.take().expect("it was asked for");
    thread::Builder::new()
        .name("session".to_owned())
        .spawn(move || {
            let code = follow(&mut child, &events);
            // Without a reader the process is about to end.
            let _ = events.send(Event::Ended(code));
        })?;
    Ok(input)
}

/// Follows it to its end, and that of all that it started with its streams.
fn follow(child: &mut Child, events: &UnboundedSender<Event>) -> u8 {
    let output = child.stdout.take().expect("it was asked for");
    let complaints = child.stderr.take().expect("it was asked for");
    thread::scope(|threads| {
        threads.spawn(|| tell(complaints, true, events));
        tell(output, false, events);
    });
    let code = child.wait().ok().and_then(|status| status.code());
    // Killed by a signal, it has no code.
    code.map_or(1, |code| u8::try_from(code).unwrap_or(1))
}

fn tell(stream: impl Read, complaint: bool, events: &UnboundedSender<Event>) {
    let mut stream = BufReader::new(stream);
    let mut bytes = Vec::new();
    while stream
        .read_until(b'\n', &mut bytes)
        .is_ok_and(|read| read > 0)
    {
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches('\n').to_owned();
        eprintln!("{text}");
        let _ = events.send(Event::Said(Line { text, complaint }));
        bytes.clear();
    }
}
