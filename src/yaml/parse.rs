//! From text to trees.

use std::{collections::HashMap, ops::Range};

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{Document, Duplicate, Key, Node, Value, scalar};

/// Deeper trees are nobody's manifest, and would exhaust the stack of whoever walks them.
const DEEPEST: usize = 128;

/// Aliases that multiply each other are a known way to fill a machine's memory.
const MOST_NODES: usize = 2_000_000;

/// A text that is no YAML.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    pub message: String,
    pub span: Range<usize>,
}

/// Reads all documents of a stream.
///
/// # Errors
/// Where the text stops being YAML, is nested too deeply, or uses what JSON cannot say.
pub fn parse(text: &str) -> Result<Vec<Document>, SyntaxError> {
    let mut documents = Vec::new();
    each(text, |document| documents.push(document))?;
    Ok(documents)
}

/// Reads all documents of a stream, one after the other: a tree takes many times its text.
///
/// # Errors
/// As for all of them at once, after those before it.
pub fn each(text: &str, mut take: impl FnMut(Document)) -> Result<(), SyntaxError> {
    let mut builder = Builder::default();
    let mut last: Option<Document> = None;
    let mut start = 0;
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|failure| SyntaxError {
            message: failure.info().clone(),
            span: at(text, failure.marker().byte_offset().unwrap_or(text.len())),
        })?;
        let here = span.byte_range().unwrap_or(0..0);
        match event {
            Event::DocumentStart(explicit, _) => {
                if let Some(mut document) = last.take() {
                    start = if explicit { here.start } else { start };
                    document.range.end = start;
                    take(document);
                }
                builder = Builder::default();
            }
            Event::DocumentEnd => {
                let (root, duplicates) = builder.finish();
                last = Some(Document {
                    range: start..text.len(),
                    root,
                    duplicates,
                });
                builder = Builder::default();
                start = here.end;
            }
            event => builder.take(event, &span, here)?,
        }
    }
    take(last.unwrap_or_else(|| Document {
        range: 0..text.len(),
        root: None,
        duplicates: Vec::new(),
    }));
    Ok(())
}

/// The character at an offset, or the last one of the text.
fn at(text: &str, offset: usize) -> Range<usize> {
    let start = offset.min(text.len());
    let length = text
        .get(start..)
        .and_then(|rest| rest.chars().next())
        .map_or(0, char::len_utf8);
    start..start + length
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    /// With the depth of the trees they name.
    anchors: HashMap<usize, (Node, usize)>,
    duplicates: Vec<Duplicate>,
    nodes: usize,
}

/// A collection whose end has not come yet.
struct Open {
    anchor: usize,
    span: Range<usize>,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<(Key, Node)>,
        merged: Vec<Node>,
        /// The key whose value comes next, and whether that is to be merged in.
        key: Option<(Key, bool)>,
    },
}

impl Builder {
    fn take(
        &mut self,
        event: Event<'_>,
        span: &Span,
        here: Range<usize>,
    ) -> Result<(), SyntaxError> {
        let error = |message: &str| SyntaxError {
            message: message.to_owned(),
            span: here.clone(),
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar_value(&text, style, tag.as_deref())
                    .ok_or_else(|| error("this tag has no meaning in a manifest"))?;
                let node = Node {
                    span: here.clone(),
                    value,
                };
                let merges = style == ScalarStyle::Plain && text == "<<";
                self.close(anchor, node, Some((text.into_owned(), merges)), span)?;
            }
            Event::Alias(anchor) => {
                let (node, depth) = self
                    .anchors
                    .get(&anchor)
                    .ok_or_else(|| error("an alias cannot be part of what it names"))?;
                if self.open.len() + depth > DEEPEST {
                    return Err(error("the aliases in this document are nested too deeply"));
                }
                let mut node = node.clone();
                node.span = here.clone();
                let name = node.as_str().map(|text| (text.to_owned(), false));
                self.nodes += size(&node);
                self.close(0, node, name, span)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(anchor, here.clone(), Content::Sequence(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, _) => self.begin(
                anchor,
                here.clone(),
                Content::Mapping {
                    entries: Vec::new(),
                    merged: Vec::new(),
                    key: None,
                },
            )?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let span_end = here.end;
                    let (anchor, node) = self.end(open, span_end);
                    self.close(anchor, node, None, span)?;
                }
            }
            _ => {}
        }
        if self.nodes > MOST_NODES {
            return Err(error(
                "the aliases in this document stand for too many nodes",
            ));
        }
        Ok(())
    }

    fn begin(
        &mut self,
        anchor: usize,
        span: Range<usize>,
        content: Content,
    ) -> Result<(), SyntaxError> {
        if self.open.len() >= DEEPEST {
            return Err(SyntaxError {
                message: format!("nested deeper than {DEEPEST} levels"),
                span,
            });
        }
        self.open.push(Open {
            anchor,
            span,
            content,
        });
        Ok(())
    }

    /// What a collection is now that all of it is known.
    fn end(&mut self, open: Open, end: usize) -> (usize, Node) {
        let Open {
            anchor,
            span,
            content,
        } = open;
        let (first, last, value) = match content {
            Content::Sequence(items) => (
                items.first().map(|item| item.span.start),
                items.last().map(|item| item.span.end),
                Value::Sequence(items),
            ),
            Content::Mapping {
                entries, merged, ..
            } => {
                let first = entries.first().map(|(key, _)| key.span.start);
                let last = entries.last().map(|(_, value)| value.span.end);
                (first, last, Value::Mapping(self.unique(entries, merged)))
            }
        };
        // The end of a block collection is found only where the next thing begins.
        let start = first.map_or(span.start, |first| first.min(span.start));
        let end = if span.is_empty() {
            last.unwrap_or(end)
        } else {
            end
        };
        let node = Node {
            span: start..end.max(start),
            value,
        };
        (anchor, node)
    }

    /// Each key once: of two the last counts, and what stands here wins over what is merged in.
    fn unique(&mut self, entries: Vec<(Key, Node)>, merged: Vec<Node>) -> Vec<(Key, Node)> {
        let mut unique: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
        let mut places: HashMap<String, usize> = HashMap::with_capacity(entries.len());
        for (key, value) in entries {
            if let Some(place) = places.get(&key.name) {
                let earlier = &mut unique[*place];
                self.duplicates.push(Duplicate {
                    key: key.name.clone(),
                    first: earlier.0.span.clone(),
                    second: key.span.clone(),
                });
                *earlier = (key, value);
            } else {
                places.insert(key.name.clone(), unique.len());
                unique.push((key, value));
            }
        }
        let sources = merged.into_iter().flat_map(|node| match node.value {
            Value::Sequence(items) => items,
            _ => vec![node],
        });
        for source in sources {
            let Value::Mapping(entries) = source.value else {
                continue;
            };
            for (key, value) in entries {
                if !places.contains_key(&key.name) {
                    places.insert(key.name.clone(), unique.len());
                    unique.push((key, value));
                }
            }
        }
        unique
    }

    /// Puts a finished node where it belongs. `text` is what it would be as a key, and whether that
    /// is the one that merges.
    fn close(
        &mut self,
        anchor: usize,
        node: Node,
        text: Option<(String, bool)>,
        span: &Span,
    ) -> Result<(), SyntaxError> {
        self.nodes += 1;
        if anchor != 0 {
            let depth = depth(&node);
            self.anchors.insert(anchor, (node.clone(), depth));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping {
                entries,
                merged,
                key,
            } => match key.take() {
                None => {
                    let (name, merges) = text.ok_or_else(|| SyntaxError {
                        message: "a key must be a string".to_owned(),
                        span: span.byte_range().unwrap_or(0..0),
                    })?;
                    let span = node.span;
                    *key = Some((Key { name, span }, merges));
                }
                Some((_, true)) if can_be_merged(&node) => merged.push(node),
                Some((_, true)) => {
                    return Err(SyntaxError {
                        message: "only a mapping, or a list of them, can be merged in".to_owned(),
                        span: node.span,
                    });
                }
                Some((key, false)) => entries.push((key, node)),
            },
        }
        Ok(())
    }

    fn finish(&mut self) -> (Option<Node>, Vec<Duplicate>) {
        let root = self
            .root
            .take()
            .filter(|root| !(matches!(root.value, Value::Null) && root.span.is_empty()));
        (root, std::mem::take(&mut self.duplicates))
    }
}

fn can_be_merged(node: &Node) -> bool {
    let is_mapping = |node: &Node| matches!(node.value, Value::Mapping(_));
    match &node.value {
        Value::Sequence(items) => items.iter().all(is_mapping),
        _ => is_mapping(node),
    }
}

fn depth(node: &Node) -> usize {
    let below = match &node.value {
        Value::Sequence(items) => items.iter().map(depth).max(),
        Value::Mapping(entries) => entries.iter().map(|(_, value)| depth(value)).max(),
        _ => None,
    };
    below.map_or(0, |below| below + 1)
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Sequence(items) => items.iter().map(size).sum(),
        Value::Mapping(entries) => entries.iter().map(|(_, value)| size(value)).sum(),
        _ => 0,
    }
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Value> {
    match tag.map(Tag::core_suffix) {
        Some(Some("str")) => Some(Value::String(text.to_owned())),
        Some(Some("int" | "float" | "bool" | "null")) => Some(scalar::resolve(text)),
        Some(_) => None,
        None if style == ScalarStyle::Plain => Some(scalar::resolve(text)),
        None => Some(Value::String(text.to_owned())),
    }
}
