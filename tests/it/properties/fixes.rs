//! What `lint --fix` does to the wrong examples of the manual, however they are written, and to texts
//! that are hardly any.

use proptest::{prelude::*, sample::Index};
use quiescent::{
    lint::{Rule, manual::page},
    yaml,
};

use super::{config, written};
use crate::fixes::{check, found_in, trees};

fn wrong() -> Vec<&'static str> {
    let pages = Rule::ALL.iter().map(|rule| page(*rule));
    let pages = pages.filter(|page| !page.fix.is_empty());
    pages.map(|page| page.wrong).collect()
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn what_is_fixed_means_what_it_should_in_every_style(
        example in any::<Index>(),
        style in written::style(),
    ) {
        let tree = trees(example.get::<&str>(&wrong())).remove(0);
        check(&style.write(&tree));
    }

    #[test]
    fn a_mangled_text_is_fixed_once_or_not_at_all(
        example in any::<Index>(),
        at in any::<Index>(),
        instead in "[\\[\\]{}'\"#&*|>:, \n0-9a-z-]{0,4}",
    ) {
        let mut text = format!("{}\n", example.get(&wrong()));
        let at = at.index(text.len());
        let end = (at + 1..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap();
        prop_assume!(text.is_char_boundary(at));
        text.replace_range(at..end, &instead);
        let Some(before) = found_in(&text) else { return Ok(()) };
        let fixed = quiescent::lint::fix(&text, &before);
        prop_assert!(yaml::parse(&fixed.text).is_ok(), "{}\n{}", text, fixed.text);
        let after = found_in(&fixed.text).unwrap();
        let again = quiescent::lint::fix(&fixed.text, &after);
        prop_assert_eq!(again.text, fixed.text, "{}", text);
    }
}
