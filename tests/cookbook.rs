//! The recipes of `docs/cookbook.md`, carried out as they are written. Read first: `cookbook/recipe.rs`.

mod pods;
mod recipe;
mod servers;
mod web;

use crate::support::check;
use recipe::{headings, page};

#[test]
fn every_recipe_has_a_test_and_every_configuration_passes_the_check() {
    let tests = [
        include_str!("cookbook/pods.rs"),
        include_str!("cookbook/servers.rs"),
        include_str!("cookbook/web.rs"),
    ]
    .concat();
    let page = page();
    let headings = headings(&page);
    assert_eq!(headings.len(), 12, "{headings:?}");
    for heading in headings {
        assert!(tests.contains(&format!("\"{heading}\"")), "no test builds the recipe `{heading}`");
    }
    for block in page.split("```toml\n# foster.toml\n").skip(1) {
        let block = block.split("```").next().unwrap_or(block);
        let finished = check(block);
        assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{block}");
    }
}
