//! `nibble inspect`: what is in a model file, and what it takes to run it.

use std::io::{Write, stdout};

use nibble_engine::{LanguageModel, Model, hexadecimal};
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::model::{ModelArgs, Source};
use crate::terminal::{Align, Paint, Table, bytes};

/// Shows what a model is made of, its licence, and the memory it takes
#[derive(clap::Args)]
#[command(after_help = "\
mapped   the packed file: clean pages, which the system shares, and drops and reads again as it likes
dirty    what a session writes to: its KV cache, when the context is full, and its buffers

Examples:
  nibble inspect smollm2-135m-instruct
  nibble inspect ./my-model.gguf --context-size 256
  nibble inspect gemma-3-270m --json | jq .memory.dirty")]
pub struct Args {
    /// A name from `nibble models`, a packed file or a GGUF; without it, the default model
    #[arg(value_name = "NAME|FILE")]
    file: Option<String>,
    /// Prints a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(mut self) -> Result<()> {
        self.model.model = self.file.take().or(self.model.model);
        let source = self.model.prepare()?;
        let path = match &source {
            Source::Packed { path, .. } => path,
            Source::Gguf { because: Some(error), .. } => return Err(Failure::Failed(error.to_string())),
            Source::Gguf { because: None, .. } => {
                return Err(Failure::Usage(
                    "inspect looks at Nibble's own graphs; leave out --backend candle".to_owned(),
                ));
            }
        };
        let model = Model::open(path)?;
        let config = model.config();
        let session = self.model.session(&model, self.model.context_size())?;
        let context = session.context_limit();
        let (plan, dirty) = (model.memory_plan(context, self.model.kv_format()), session.memory());
        let sha256 = hexadecimal(model.fingerprint());

        let (mut out, paint) = (stdout().lock(), Paint::stdout());
        if self.json {
            let formats: Vec<_> = model
                .formats()
                .iter()
                .map(|f| json!({ "format": f.format.name(), "tensors": f.tensors, "bytes": f.bytes }))
                .collect();
            let about = json!({
                "name": model.name(), "licence": model.licence(), "file": path, "source_sha256": sha256,
                "architecture": config.architecture, "layers": config.layers.len(), "embedding": config.embedding,
                "heads": config.heads, "kv_heads": config.kv_heads, "head_dim": config.head_dim,
                "feed_forward": config.feed_forward, "vocabulary": config.vocabulary,
                "context_length": config.context_length, "chat": model.chat_template().is_some(), "formats": formats,
                "memory": {
                    "context": context, "mapped": plan.mapped, "dirty": dirty, "kv": plan.kv,
                    "kv_per_1000_tokens": plan.kv_per_1000_tokens,
                },
            });
            serde_json::to_writer_pretty(&mut out, &about)?;
            return Ok(writeln!(out)?);
        }
        let mut fact = |name: &str, value: String| writeln!(out, "{}  {value}", paint.dim(&format!("{name:<12}")));
        fact("model", paint.bold(model.name().unwrap_or("(the file gives no name)")))?;
        fact("licence", model.licence().unwrap_or("(the file gives none)").to_owned())?;
        fact("file", path.display().to_string())?;
        fact("packed from", format!("SHA-256 {sha256}"))?;
        fact(
            "architecture",
            format!(
                "{}: {} layers of {}, {} heads of {} over {} for keys and values, feed-forward {}",
                config.architecture,
                config.layers.len(),
                config.embedding,
                config.heads,
                config.head_dim,
                config.kv_heads,
                config.feed_forward
            ),
        )?;
        fact("vocabulary", format!("{} tokens", config.vocabulary))?;
        fact("trained for", format!("{} tokens of context", config.context_length))?;
        fact("chat", if model.chat_template().is_some() { "yes" } else { "no chat template" }.to_owned())?;

        writeln!(out)?;
        let mut table = Table::new(&[("FORMAT", Align::Left), ("TENSORS", Align::Right), ("SIZE", Align::Right)]);
        for f in model.formats() {
            table.row([f.format.name().to_owned(), f.tensors.to_string(), bytes(f.bytes)]);
        }
        table.write(&mut out, paint)?;

        writeln!(out)?;
        let heading = format!("MEMORY, {context} tokens");
        let mut table = Table::new(&[(&heading, Align::Left), ("SIZE", Align::Right)]);
        table.row(["mapped, clean".into(), bytes(plan.mapped)]);
        table.row(["dirty".into(), bytes(dirty)]);
        table.row(["  of it KV cache".into(), bytes(plan.kv)]);
        table.row(["KV of 1,000 tokens".into(), bytes(plan.kv_per_1000_tokens)]);
        Ok(table.write(&mut out, paint)?)
    }
}
