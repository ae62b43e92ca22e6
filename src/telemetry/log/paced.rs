//! Writes many lines at once where many come: a system call and a thread woken for each line would cost
//! more than the review that it tells about.
use std::{
    io::{self, BufWriter, Write},
    thread,
    time::Duration,
};

/// How late a line may be that follows another.
const PACE: Duration = Duration::from_millis(10);

/// A writer whose `flush` writes what has come since the last one, and then waits a moment for more to come.
#[derive(Debug)]
pub struct Paced<W: Write>(BufWriter<W>);

impl<W: Write> Paced<W> {
    pub fn new(inner: W) -> Self {
        Self(BufWriter::with_capacity(64 * 1024, inner))
    }
}

impl<W: Write> Write for Paced<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.0.flush();
        thread::sleep(PACE);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each system call would have written.
    #[derive(Default)]
    struct Calls(Vec<Vec<u8>>);

    impl Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_come_together_are_written_together() {
        let mut writer = Paced::new(Calls::default());
        writer.write_all(b"one\n").unwrap();
        writer.write_all(b"two\n").unwrap();
        writer.flush().unwrap();
        assert_eq!(writer.0.get_ref().0, [b"one\ntwo\n"]);
    }
}
