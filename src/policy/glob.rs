//! `*` for any characters; everything else stands for itself.

/// Whether all of `text` is what `pattern` says.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    if !has_wildcard(pattern) {
        return pattern == text;
    }
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let last = pieces.next_back().unwrap_or_default();
    for piece in pieces {
        match rest.find(piece) {
            Some(place) => rest = &rest[place + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[must_use]
pub fn has_wildcard(pattern: &str) -> bool {
    pattern.bytes().any(|byte| byte == b'*')
}
