//! Small helpers over the text attributes that `sdp-types` leaves to its user.

use sdp_types::Attribute;

/// The values of every `a=name:value`; a flag has an empty value.
pub(super) fn values<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a str> {
    attributes
        .iter()
        .filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name))
        .map(|attribute| attribute.value.as_deref().unwrap_or("").trim())
}

/// The first value of `a=name`.
pub(super) fn first<'a>(attributes: &'a [Attribute], name: &'a str) -> Option<&'a str> {
    values(attributes, name).next()
}

/// Whether `a=name` is there.
pub(super) fn has(attributes: &[Attribute], name: &str) -> bool {
    first(attributes, name).is_some()
}

/// Splits `"96 nack pli"` into a number and the rest.
pub(super) fn numbered(value: &str) -> Option<(u8, &str)> {
    let (number, rest) = value.split_once(' ')?;
    Some((number.parse().ok()?, rest.trim()))
}

/// The value of `key` in a format parameter list `a=1;b=2`.
pub(super) fn parameter<'a>(fmtp: &'a str, key: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case(key).then(|| value.trim())
    })
}

/// RFC 8866 §9 `token`: what a mid or an msid may be made of.
pub(super) fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`{|}~".contains(c)
}

/// What an error message repeats of the peer's text.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}
