//! Writes Nibble's logits `[position][vocabulary]`, little-endian f32, for every position of the golden texts:
//! `dump_logits MODEL OUT`. `golden/logits/make.py --compare` reads them.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{BufWriter, Write};

use nibble_engine::SessionOptions;
use nibble_tests::golden::Golden;
use nibble_tests::models::TestModel;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: dump_logits MODEL OUT".into());
    };
    let model = TestModel::called(&name).ok_or("no golden logits for a model of that name")?;
    let mut session = model.open().session(SessionOptions { context: 512, ..SessionOptions::default() })?;
    let mut out = BufWriter::new(File::create(out)?);
    let mut written = Ok(());
    for text in Golden::read(&name).texts {
        session.score(&text.tokens, |_, logits| {
            let bytes: Vec<u8> = logits.iter().flat_map(|value| value.to_le_bytes()).collect();
            if written.is_ok() {
                written = out.write_all(&bytes);
            }
        })?;
    }
    written?;
    out.flush()?;
    Ok(())
}
