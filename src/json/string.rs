//! What the escapes in a string stand for.

/// Reads a string behind its opening quote, and gives what stands behind the closing one.
///
/// As Go's `encoding/json`: half of a surrogate pair is U+FFFD.
#[must_use]
pub fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let mut chars = rest.chars();
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => {
                let (escaped, after) = escape(chars.as_str())?;
                value.push(escaped);
                rest = after;
            }
            '\0'..=' ' if !rest.starts_with(' ') => return None,
            plain => {
                value.push(plain);
                rest = chars.as_str();
            }
        }
    }
}

fn escape(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    let escaped = match chars.next()? {
        same @ ('"' | '\\' | '/') => same,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode(chars.as_str()),
        _ => return None,
    };
    Some((escaped, chars.as_str()))
}

fn unicode(text: &str) -> Option<(char, &str)> {
    let (first, rest) = code_unit(text)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, rest));
    }
    let pair = rest
        .strip_prefix("\\u")
        .and_then(code_unit)
        .filter(|(second, _)| first < 0xdc00 && (0xdc00..0xe000).contains(second));
    Some(match pair {
        Some((second, rest)) => {
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            (
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
                rest,
            )
        }
        None => (char::REPLACEMENT_CHARACTER, rest),
    })
}

fn code_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let unit = hexadecimal.then(|| u32::from_str_radix(digits, 16).ok())??;
    Some((unit, rest))
}
