//! Changes in a document's text that leave everything else in it as it is written.
//!
//! What is added looks like its neighbours: their indentation, block or flow style, line ends. Whether
//! the new text means what it should is for the caller to see by reading it again.

mod place;
mod style;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde_json::{Map, Value as Json};

use super::{Key, Node, Value};
use style::{Style, flow, lines};

/// Why a text cannot be changed where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    #[error("what changes stands behind an alias or a merge key")]
    Alias,
    #[error("what changes is written in a form that cannot be edited in place")]
    Form,
    #[error("a change in place would change something else with it")]
    Differs,
}

/// A document's text with the changes that are to be made in it.
#[derive(Debug)]
pub struct Edit<'n> {
    text: &'n str,
    root: &'n Node,
    changes: Changes,
}

/// What is to happen to one node, by the positions of its children.
#[derive(Debug, Default)]
struct Changes {
    instead: Option<Json>,
    gone: BTreeSet<usize>,
    inside: BTreeMap<usize, Self>,
    /// New entries with their keys, or new items with empty ones.
    more: Vec<(String, Json)>,
}

/// Where a path leads.
enum Spot<'c, 'n> {
    Written(&'c mut Changes, &'n Node),
    New(&'c mut Json),
}

type Edits = Vec<(Range<usize>, String)>;

impl<'n> Edit<'n> {
    /// `root` is what `text` was parsed to.
    #[must_use]
    pub fn new(text: &'n str, root: &'n Node) -> Self {
        Self {
            text,
            root,
            changes: Changes::default(),
        }
    }

    /// Sets an entry of the mapping at a path, which comes last where it is new.
    pub fn insert(&mut self, path: &[String], key: &str, value: Json) -> Result<(), Obstacle> {
        match self.reach(path)? {
            Spot::New(Json::Object(there)) => {
                there.insert(key.to_owned(), value);
                Ok(())
            }
            Spot::Written(changes, node) => changes.insert(node, key, value),
            Spot::New(_) => Err(Obstacle::Form),
        }
    }

    /// Appends an item to the sequence at a path.
    pub fn push(&mut self, path: &[String], value: Json) -> Result<(), Obstacle> {
        match self.reach(path)? {
            Spot::New(Json::Array(there)) => {
                there.push(value);
                Ok(())
            }
            Spot::Written(changes, node) if matches!(node.value, Value::Sequence(_)) => {
                changes.more.push((String::new(), value));
                Ok(())
            }
            _ => Err(Obstacle::Form),
        }
    }

    /// Puts another value in place of the one at a path.
    pub fn replace(&mut self, path: &[String], value: Json) -> Result<(), Obstacle> {
        match self.reach(path)? {
            Spot::New(there) => *there = value,
            Spot::Written(changes, _) => {
                *changes = Changes {
                    instead: Some(value),
                    ..Changes::default()
                };
            }
        }
        Ok(())
    }

    /// Takes out the entry or the item at a path.
    pub fn remove(&mut self, path: &[String]) -> Result<(), Obstacle> {
        let (last, parent) = path.split_last().ok_or(Obstacle::Form)?;
        match self.reach(parent)? {
            Spot::Written(changes, node) => {
                let position = changes.position(node, last).ok_or(Obstacle::Form)?;
                changes.inside.remove(&position);
                changes.gone.insert(position);
                Ok(())
            }
            Spot::New(_) => Err(Obstacle::Form),
        }
    }

    /// The text with all changes in it.
    pub fn finish(self) -> Result<String, Obstacle> {
        let mut edits = Edits::new();
        let writer = Writer::new(self.text, self.root);
        writer.change(None, self.root, &self.changes, &mut edits)?;
        edits.sort_by_key(|(range, _)| range.start);
        let mut text = String::with_capacity(self.text.len());
        let mut done = 0;
        for (range, new) in edits {
            // Lines that go up to the end of the text take the line break before them, which the line
            // before may have taken with it already: then it is the one before that.
            if range.start < done && new.is_empty() && range.end == self.text.len() {
                let whole = text.strip_suffix('\n').unwrap_or(&text);
                let whole = whole.strip_suffix('\r').unwrap_or(whole).len();
                text.truncate(whole);
                done = range.end;
                continue;
            }
            let before = self.text.get(done..range.start).ok_or(Obstacle::Form)?;
            text.push_str(before);
            text.push_str(&new);
            done = range.end;
        }
        text.push_str(&self.text[done..]);
        Ok(text)
    }

    fn reach(&mut self, path: &[String]) -> Result<Spot<'_, 'n>, Obstacle> {
        let mut changes = &mut self.changes;
        let mut node = self.root;
        for (depth, step) in path.iter().enumerate() {
            if changes.instead.is_some() {
                return below(changes.instead.as_mut(), &path[depth..]);
            }
            let Some(position) = changes.position(node, step) else {
                return below(changes.new_child(node, step), &path[depth + 1..]);
            };
            let child = place::child(self.text, node, position)?;
            changes = changes.inside.entry(position).or_default();
            node = child;
        }
        if changes.instead.is_some() {
            return below(changes.instead.as_mut(), &[]);
        }
        Ok(Spot::Written(changes, node))
    }
}

/// What a path leads to in a value that is not written yet.
fn below<'c, 'n>(value: Option<&'c mut Json>, path: &[String]) -> Result<Spot<'c, 'n>, Obstacle> {
    let mut value = value.ok_or(Obstacle::Form)?;
    for step in path {
        value = match value {
            Json::Array(items) => step.parse().ok().and_then(|it: usize| items.get_mut(it)),
            other => other.get_mut(step.as_str()),
        }
        .ok_or(Obstacle::Form)?;
    }
    Ok(Spot::New(value))
}

impl Changes {
    fn insert(&mut self, node: &Node, key: &str, value: Json) -> Result<(), Obstacle> {
        if !matches!(node.value, Value::Mapping(_)) {
            return Err(Obstacle::Form);
        }
        if let Some(position) = self.position(node, key) {
            let instead = Self {
                instead: Some(value),
                ..Self::default()
            };
            self.inside.insert(position, instead);
        } else if let Some((_, there)) = self.more.iter_mut().find(|(name, _)| name == key) {
            *there = value;
        } else {
            self.more.push((key.to_owned(), value));
        }
        Ok(())
    }

    /// The position in the text of the child that a step leads to.
    fn position(&self, node: &Node, step: &str) -> Option<usize> {
        match &node.value {
            Value::Mapping(entries) => entries
                .iter()
                .position(|(key, _)| key.name == step)
                .filter(|position| !self.gone.contains(position)),
            Value::Sequence(items) => {
                let positions = 0..items.len();
                let step = step.parse().ok()?;
                if self.gone.is_empty() {
                    return positions.contains(&step).then_some(step);
                }
                let mut kept = positions.filter(|position| !self.gone.contains(position));
                kept.nth(step)
            }
            _ => None,
        }
    }

    fn new_child(&mut self, node: &Node, step: &str) -> Option<&mut Json> {
        let found = match &node.value {
            Value::Sequence(items) => {
                let kept = items.len() - self.gone.len();
                let index: usize = step.parse().ok()?;
                self.more.get_mut(index.checked_sub(kept)?)
            }
            _ => self.more.iter_mut().find(|(key, _)| key == step),
        };
        found.map(|(_, value)| value)
    }

    fn is_empty(&self) -> bool {
        let Self {
            instead,
            gone,
            inside,
            more,
        } = self;
        instead.is_none()
            && gone.is_empty()
            && more.is_empty()
            && inside.values().all(Self::is_empty)
    }

    /// The new children as a value of their own.
    fn new_value(&self, node: &Node) -> Json {
        let more = self.more.iter().cloned();
        match node.value {
            Value::Sequence(_) => more.map(|(_, value)| value).collect(),
            _ => Json::Object(more.collect::<Map<_, _>>()),
        }
    }
}

/// Where a value stands in a block mapping: its key, and the column of that.
#[derive(Clone, Copy)]
struct Slot<'n> {
    key: &'n Key,
    column: usize,
}

/// Turns changes of a tree into changes of its text.
struct Writer<'n> {
    text: &'n str,
    style: Style,
}

impl<'n> Writer<'n> {
    fn new(text: &'n str, root: &'n Node) -> Self {
        Self {
            text,
            style: Style::of(text, root),
        }
    }

    /// Changes a node; `slot` is absent for what is no direct value of a block mapping.
    fn change(
        &self,
        slot: Option<Slot<'n>>,
        node: &'n Node,
        changes: &Changes,
        edits: &mut Edits,
    ) -> Result<(), Obstacle> {
        if changes.is_empty() {
            return Ok(());
        }
        if let Some(value) = &changes.instead {
            return self.instead(slot, node, value, edits);
        }
        let children = place::children(node).len();
        if changes.gone.len() == children && changes.more.is_empty() {
            return Err(Obstacle::Form);
        }
        let in_flow = place::is_flow(self.text, node);
        match &node.value {
            Value::Mapping(_) | Value::Sequence(_) if in_flow && children == 0 => {
                self.instead(slot, node, &changes.new_value(node), edits)
            }
            Value::Mapping(_) | Value::Sequence(_) if in_flow => {
                self.change_flow(node, changes, edits)
            }
            Value::Mapping(entries) => self.change_mapping(node, entries, changes, edits),
            Value::Sequence(items) => self.change_sequence(node, items, changes, edits),
            _ => Err(Obstacle::Form),
        }
    }

    fn change_mapping(
        &self,
        node: &'n Node,
        entries: &'n [(Key, Node)],
        changes: &Changes,
        edits: &mut Edits,
    ) -> Result<(), Obstacle> {
        let column = place::mapping_column(self.text, node).ok_or(Obstacle::Alias)?;
        for (position, (key, value)) in entries.iter().enumerate() {
            if changes.gone.contains(&position) {
                place::child(self.text, node, position)?;
                let whole = key.span.start..place::entry_end(self.text, key, value);
                edits.push((
                    place::lines(self.text, whole).ok_or(Obstacle::Form)?,
                    String::new(),
                ));
            } else if let Some(inside) = changes.inside.get(&position) {
                let slot = Some(Slot { key, column });
                self.change(slot, value, inside, edits)?;
            }
        }
        if !changes.more.is_empty() {
            let new = Json::Object(changes.more.iter().cloned().collect());
            let shape = self.style.near(node.span.start);
            let end = place::end(self.text, node);
            self.put_behind(end, &lines(&new, column, shape), edits);
        }
        Ok(())
    }

    fn change_sequence(
        &self,
        node: &'n Node,
        items: &'n [Node],
        changes: &Changes,
        edits: &mut Edits,
    ) -> Result<(), Obstacle> {
        for (position, item) in items.iter().enumerate() {
            if changes.gone.contains(&position) {
                let dash = place::dash(self.text, item).ok_or(Obstacle::Form)?;
                let whole = dash..place::end(self.text, item);
                edits.push((
                    place::lines(self.text, whole).ok_or(Obstacle::Form)?,
                    String::new(),
                ));
            } else if let Some(inside) = changes.inside.get(&position) {
                self.change(None, item, inside, edits)?;
            }
        }
        let Some(last) = items.last().filter(|_| !changes.more.is_empty()) else {
            return Ok(());
        };
        let dash = place::dash(self.text, last).ok_or(Obstacle::Form)?;
        let column = place::column(self.text, dash);
        let shape = self.style.near(dash);
        let new: Vec<String> = if place::is_flow(self.text, last) {
            let indent = " ".repeat(column);
            let more = changes.more.iter();
            more.map(|(_, value)| format!("{indent}- {}", flow(value, false, None)))
                .collect()
        } else {
            lines(&changes.new_value(node), column, shape)
        };
        self.put_behind(place::end(self.text, last), &new, edits);
        Ok(())
    }

    fn instead(
        &self,
        slot: Option<Slot<'n>>,
        node: &'n Node,
        value: &Json,
        edits: &mut Edits,
    ) -> Result<(), Obstacle> {
        let grows = match value {
            Json::Object(entries) => !entries.is_empty(),
            Json::Array(items) => !items.is_empty(),
            _ => false,
        };
        let was = place::written(self.text, node);
        let Some(Slot { key, column }) = slot else {
            // Nothing is written where an item or a flow entry is empty.
            if was.is_empty() {
                return Err(Obstacle::Form);
            }
            let one_line = flow(value, self.style.json, None);
            let line = place::line(self.text, was.start);
            let fits = self.style.json || was.start - line + one_line.len() < LONGEST;
            let new = if grows && !fits {
                let column = self.indent(line) + 4;
                flow(value, false, Some(column)).replace('\n', self.style.newline)
            } else if grows {
                one_line
            } else {
                self.style.like(&self.text[was.clone()], value, true)
            };
            edits.push((was, new));
            return Ok(());
        };
        let colon = place::colon(self.text, key).ok_or(Obstacle::Form)?;
        if !grows {
            let new = self.style.like(&self.text[was.clone()], value, false);
            let new = if was.is_empty() {
                (colon..colon, format!(" {new}"))
            } else {
                (was, new)
            };
            edits.push(new);
            return Ok(());
        }
        let empty = match &node.value {
            Value::Null => true,
            Value::Sequence(_) | Value::Mapping(_) => place::children(node).is_empty(),
            _ => false,
        };
        let end = if was.is_empty() { colon } else { was.end };
        if !empty || self.text[colon..end].contains('&') {
            return Err(Obstacle::Form);
        }
        if end > colon {
            edits.push((colon..end, String::new()));
        }
        let shape = self.style.near(key.span.start);
        let column = column
            + match value {
                Json::Array(_) => shape.sequence,
                _ => shape.mapping,
            };
        self.put_behind(end, &lines(value, column, shape), edits);
        Ok(())
    }

    /// How far the line that begins at an offset is set in.
    fn indent(&self, line: usize) -> usize {
        let blank = self.text[line..].bytes().take_while(|it| *it == b' ');
        blank.count()
    }

    /// New lines behind the one in which something ends.
    fn put_behind(&self, end: usize, new: &[String], edits: &mut Edits) {
        let newline = self.style.newline;
        if let Some(length) = self.text[end..].find('\n') {
            let at = end + length + 1;
            edits.push((at..at, new.join(newline) + newline));
        } else {
            let at = self.text.len();
            edits.push((at..at, format!("{newline}{}", new.join(newline))));
        }
    }

    fn change_flow(
        &self,
        node: &'n Node,
        changes: &Changes,
        edits: &mut Edits,
    ) -> Result<(), Obstacle> {
        let children: Vec<Range<usize>> = place::children(node)
            .into_iter()
            .map(|(key, value)| match key {
                Some(key) => key.span.start..place::entry_end(self.text, key, value),
                None => value.span.clone(),
            })
            .collect();
        let within = |it: &Range<usize>| node.span.start < it.start && it.end < node.span.end;
        if !children.iter().all(within) || !children.is_sorted_by_key(|it| it.start) {
            return Err(Obstacle::Alias);
        }
        let kept = |position: &usize| !changes.gone.contains(position);
        let first = (0..children.len()).find(kept).ok_or(Obstacle::Form)?;
        if first > 0 {
            edits.push((children[0].start..children[first].start, String::new()));
        }
        for position in first + 1..children.len() {
            if !kept(&position) {
                let (before, gone) = (children[position - 1].end, &children[position]);
                // A comment between them says something about one of the two.
                if self.text[before..gone.start].contains('#') {
                    return Err(Obstacle::Form);
                }
                edits.push((before..gone.end, String::new()));
            }
        }
        for (position, (_, value)) in place::children(node).into_iter().enumerate() {
            if let Some(inside) = changes.inside.get(&position) {
                self.change(None, value, inside, edits)?;
            }
        }
        if let Some(last) = children.last().filter(|_| !changes.more.is_empty()) {
            self.grow_flow(node, last, &changes.more, edits);
        }
        Ok(())
    }

    /// New children of a flow collection, on lines of their own where they would not fit.
    fn grow_flow(
        &self,
        node: &Node,
        last: &Range<usize>,
        more: &[(String, Json)],
        edits: &mut Edits,
    ) {
        let json = self.style.json;
        let is_mapping = matches!(node.value, Value::Mapping(_));
        let written = |column: Option<usize>| -> Vec<String> {
            let more = more.iter();
            more.map(|(key, value)| {
                let value = flow(value, json, column);
                if is_mapping {
                    let key = style::key(key, json);
                    format!("{key}: {value}")
                } else {
                    value
                }
            })
            .collect()
        };
        let own_line = place::is_first_of_line(self.text, last.start)
            && place::line(self.text, last.start) != place::line(self.text, node.span.start);
        let line = place::line(self.text, node.span.start);
        let one_line = written(None).join(", ");
        let fits = json || last.end - line + one_line.len() < LONGEST;
        if !own_line && fits {
            edits.push((last.end..last.end, format!(", {one_line}")));
            return;
        }
        let column = if own_line {
            place::column(self.text, last.start)
        } else {
            self.indent(line) + 4
        };
        let separator = format!("\n{}", " ".repeat(column));
        let new = written(Some(column)).join(&format!(",{separator}"));
        let new = format!("{separator}{new}").replace('\n', self.style.newline);
        // A comment behind the last child stays with it.
        let rest = &self.text[last.end..];
        let rest = &rest[..rest.find(['\r', '\n']).unwrap_or(rest.len())];
        let has_comma = rest.trim_start().starts_with(',');
        let behind = rest.trim_start().trim_start_matches(',').trim_start();
        if own_line && behind.starts_with('#') {
            if !has_comma {
                edits.push((last.end..last.end, ",".to_owned()));
            }
            let at = last.end + rest.len();
            edits.push((at..at, new));
        } else {
            edits.push((last.end..last.end, format!(",{new}")));
        }
    }
}

/// Lines above this are broken where something is added to them.
const LONGEST: usize = 100;

#[cfg(test)]
mod tests;
