//! Replays what the fuzzers were given and what they found.

#[path = "../fuzz/checks.rs"]
mod checks;

use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is there") {
        let file = entry.expect("an entry").path();
        println!("{}", file.display());
        check(&std::fs::read(&file).expect("a file"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn packets_of_the_corpus() {
    replay("packet", checks::packet);
}

#[test]
fn rewritings_of_the_corpus() {
    replay("rewrite", checks::rewrite_header);
}

#[test]
fn frames_of_the_corpus() {
    replay("frame", checks::frame);
}
