//! Colours, which only underline what the words say.

use std::fmt;

use anstyle::{AnsiColor, Style as Ansi};

#[derive(Clone, Copy, Debug)]
pub enum Style {
    Good,
    Bad,
    Careful,
    Faint,
    Strong,
}

impl Style {
    const fn ansi(self) -> Ansi {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Careful => AnsiColor::Yellow.on_default(),
            Self::Faint => Ansi::new().dimmed(),
            Self::Strong => Ansi::new().bold(),
        }
    }

    /// The text in this style.
    pub fn paint(self, text: impl fmt::Display) -> String {
        let ansi = self.ansi();
        format!("{ansi}{text}{ansi:#}")
    }
}
