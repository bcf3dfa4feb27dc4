//! Opens a packed model with a 256-token session, fills it, grows a tree, and prints what the system says that this cost:
//! `private_dirty_kib resident_kib`. A process of its own, so that nothing of a test is counted. Linux only.
#![forbid(unsafe_code)]

use std::path::Path;

use nibble_engine::{LanguageModel, Model, Node, SessionOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let packed = std::env::args().nth(1).ok_or("usage: memory_probe FILE.nibble")?;
    let model = Model::open(Path::new(&packed))?;
    let mut session = model.session(SessionOptions { context: 256, threads: 2, ..SessionOptions::default() })?;
    let text = session.encode("The ferry left the harbour a little after six, when the light was still grey. ");
    let prefix: Vec<_> = text.iter().copied().cycle().take(256).collect();
    session.sync(&prefix)?;
    session.grow(&[(Node::ROOT, prefix[0]), (Node::ROOT, prefix[1])])?;
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let field = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    let dirty = field("Private_Dirty:").ok_or("no Private_Dirty in smaps_rollup")?;
    println!("{dirty} {}", field("Rss:").ok_or("no Rss in smaps_rollup")?);
    Ok(())
}
