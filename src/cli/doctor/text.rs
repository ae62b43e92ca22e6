//! What was found out, for people: a line each, and below it what to do.

use std::fmt::Write as _;

use crate::{
    doctor::{Found, Told, Weight},
    report::Style,
};

pub fn text(told: &[Told]) -> String {
    let width = told.iter().map(|it| it.check.title().chars().count()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for Told {
        check,
        found,
        says,
        step,
    } in told
    {
        let title = check.title();
        let (mark, unknown) = match found {
            Found::Fine => (Style::Good.paint("✔"), ""),
            Found::Unknown => (Style::Faint.paint("?"), "unknown: "),
            Found::Finding(it) => match it.weight() {
                Weight::Careful => (Style::Careful.paint("!"), ""),
                Weight::Wrong => (Style::Bad.paint("✘"), ""),
            },
        };
        let _ = writeln!(text, "{mark} {title:<width$}  {unknown}{says}");
        if let Some(step) = step {
            let _ = writeln!(text, "    {} {step}", Style::Strong.paint("do:"));
        }
    }
    text
}
