//! What somebody meant who wrote a name that does not exist.

/// The known name that is most like it, if one is.
pub fn meant<N: AsRef<str>>(said: &str, known: impl IntoIterator<Item = N>) -> Option<N> {
    /// Below this, names have little in common.
    const ALIKE: f64 = 0.8;
    let said = said.to_lowercase();
    let alike = |name: &N| strsim::jaro_winkler(&name.as_ref().to_lowercase(), &said);
    let known = known.into_iter().map(|name| (alike(&name), name));
    let nearest = known.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (nearest.0 > ALIKE).then_some(nearest.1)
}
