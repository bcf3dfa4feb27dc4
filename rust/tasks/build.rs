//! Turns the lists that people edit as TOML into JSON, whose parser is in the library anyway.

use std::path::Path;
use std::{env, fs};

const LISTS: [&str; 2] = ["phrases", "replies"];

fn main() {
    let out = env::var("OUT_DIR").expect("cargo names it");
    for list in LISTS {
        let source = format!("src/reply/{list}.toml");
        println!("cargo::rerun-if-changed={source}");
        let text = fs::read_to_string(&source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let table: toml::Table = toml::from_str(&text).unwrap_or_else(|error| panic!("{source}: {error}"));
        let json = serde_json::to_vec(&table).expect("a list has what JSON has");
        fs::write(Path::new(&out).join(list).with_extension("json"), json).expect("the folder can be written to");
    }
}
