//! Places inside of scalars: from a part of what a scalar says to the bytes that say it.

use std::ops::Range;

use crate::yaml::Node;

/// A part of a scalar.
#[derive(Clone, Debug)]
pub struct Spot<'d> {
    node: Range<usize>,
    text: &'d str,
    part: Range<usize>,
}

impl<'d> Spot<'d> {
    #[must_use]
    pub fn of(node: &'d Node) -> Self {
        let text = node.as_str().unwrap_or_default();
        Self {
            node: node.span.clone(),
            text,
            part: 0..text.len(),
        }
    }

    /// A part of this part.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        let start = (self.part.start + range.start).min(self.part.end);
        let end = (self.part.start + range.end).clamp(start, self.part.end);
        Self {
            part: start..end,
            ..self.clone()
        }
    }

    /// Where `words` stand first in this part, capitals or not; else the part itself.
    #[must_use]
    pub fn find(&self, words: &str) -> Self {
        let here = self.text.get(self.part.clone()).unwrap_or_default();
        let found = here
            .to_ascii_lowercase()
            .find(&words.to_ascii_lowercase())
            .filter(|_| !words.is_empty());
        found.map_or_else(
            || self.clone(),
            |start| self.part(start..start + words.len()),
        )
    }

    /// The bytes of the file. Where the way of writing hides them, those of the whole scalar.
    #[must_use]
    pub fn span(&self, source: &str) -> Range<usize> {
        let whole = self.node.clone();
        let (Some(raw), Some(part)) = (source.get(whole.clone()), self.text.get(self.part.clone()))
        else {
            return whole;
        };
        let line = part.lines().next().unwrap_or_default();
        if line.is_empty() || self.part == (0..self.text.len()) {
            return whole;
        }
        // The same words stand in the file in the same order, unless escapes came between them.
        let said: Vec<usize> = self.text.match_indices(line).map(|(at, _)| at).collect();
        let written: Vec<usize> = raw.match_indices(line).map(|(at, _)| at).collect();
        let nth = said.iter().position(|at| *at == self.part.start);
        match nth.filter(|_| said.len() == written.len()) {
            Some(nth) => {
                let start = whole.start + written[nth];
                start..start + line.len()
            }
            None => whole,
        }
    }
}

#[cfg(test)]
mod tests;
