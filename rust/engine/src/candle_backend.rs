//! The second backend: architectures that the native graphs do not cover, run by candle-transformers from the GGUF
//! itself, behind the same trait. For desktops: it is slower, and it holds the weights in memory.

mod graphs;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::gguf::Gguf;
use crate::{ChatTemplate, Error, LanguageModel, Message, Node, Result, TokenId, Tokenizer, Vocabulary};
use graphs::Graph;

/// Nodes that a tree holds. Every node costs its whole path, so more would only be a way to wait.
const MAX_NODES: usize = 1024;

/// Longest continuation that is computed token by token; candle's graphs take one token or a whole text, and
/// from here on the whole text is faster.
const MAX_STEPS: usize = 16;

/// A model that candle runs.
pub struct CandleModel {
    graph: Graph,
    tokenizer: Arc<Tokenizer>,
    template: Option<ChatTemplate>,
    /// What the graph's cache holds; empty after a failure.
    cached: Vec<TokenId>,
    prefix: Vec<TokenId>,
    logits: Vec<f32>,
    nodes: Vec<(Node, TokenId)>,
    rows: Vec<Vec<f32>>,
}

impl CandleModel {
    /// The `general.architecture` values that run.
    pub const ARCHITECTURES: &[&str] = &graphs::ARCHITECTURES;

    /// Loads the GGUF at `path` into memory.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, is of an architecture that is not in
    /// [`ARCHITECTURES`](Self::ARCHITECTURES), or has parts that candle's graph would leave out.
    pub fn open(path: &Path) -> Result<Self> {
        let gguf = Gguf::open(path)?;
        let tokenizer = Arc::new(Tokenizer::new(Arc::new(gguf.tokenizer_source()?))?);
        let file = File::open(path).map_err(|source| Error::Io { doing: "open", path: path.to_owned(), source })?;
        let graph = Graph::load(&file).map_err(|fault| fault.in_gguf(path))?;
        let template = ChatTemplate::new(Arc::clone(&tokenizer));
        Ok(Self {
            graph,
            tokenizer,
            template,
            cached: Vec::new(),
            prefix: Vec::new(),
            logits: Vec::new(),
            nodes: Vec::new(),
            rows: Vec::new(),
        })
    }

    /// Logits after `tokens`: only what is new when they continue the cached ones a little, otherwise all of them.
    fn run(&mut self, tokens: &[TokenId]) -> Result<Vec<f32>> {
        let new = match tokens.strip_prefix(&*self.cached) {
            Some(rest) if (1..=MAX_STEPS).contains(&rest.len()) && !self.cached.is_empty() => rest.len(),
            _ => tokens.len(),
        };
        let at = tokens.len() - new;
        self.cached.clear();
        let mut step = |tokens: &[TokenId], position| {
            self.graph.forward(tokens, position).map_err(|e| Error::Candle { why: graphs::reason(&e) })
        };
        let logits = if at == 0 {
            step(tokens, 0)?
        } else {
            let mut logits = Vec::new();
            for position in at..tokens.len() {
                logits = step(&tokens[position..=position], position)?;
            }
            logits
        };
        self.cached.extend_from_slice(tokens);
        Ok(logits)
    }

    /// Tokens from the root to `node`.
    fn path(&self, node: Node) -> Result<Vec<TokenId>> {
        let (mut path, mut at) = (Vec::new(), node);
        while at != Node::ROOT {
            let &(parent, token) = self.nodes.get(at.0 as usize - 1).ok_or(Error::UnknownNode { node: node.0 })?;
            path.push(token);
            at = parent;
        }
        path.reverse();
        Ok(path)
    }

    fn check(&self, tokens: impl IntoIterator<Item = TokenId>) -> Result<()> {
        let size = self.tokenizer.vocabulary().len();
        match tokens.into_iter().find(|&token| token as usize >= size) {
            Some(token) => Err(Error::UnknownToken { token, size }),
            None => Ok(()),
        }
    }

    fn check_length(&self, tokens: usize) -> Result<()> {
        let context = self.graph.context;
        if tokens > context { Err(Error::ContextOverflow { tokens, context }) } else { Ok(()) }
    }
}

impl LanguageModel for CandleModel {
    fn vocabulary(&self) -> &Vocabulary {
        self.tokenizer.vocabulary()
    }

    fn encode(&self, text: &str) -> Vec<TokenId> {
        self.tokenizer.encode(text)
    }

    fn decode(&self, tokens: &[TokenId]) -> String {
        self.tokenizer.decode(tokens)
    }

    fn bos(&self) -> Option<TokenId> {
        self.tokenizer.bos()
    }

    fn is_end(&self, token: TokenId) -> bool {
        self.tokenizer.is_end(token)
    }

    fn chat(&self, messages: &[Message]) -> Result<Vec<TokenId>> {
        let template = self.template.as_ref().ok_or(Error::NoChatTemplate)?;
        Ok(self.tokenizer.encode_prompt(&template.render(messages, true)?))
    }

    fn context_limit(&self) -> usize {
        self.graph.context
    }

    fn sync(&mut self, prefix: &[TokenId]) -> Result<&[f32]> {
        if prefix.is_empty() {
            return Err(Error::EmptyPrefix);
        }
        if prefix != self.prefix {
            self.check(prefix.iter().copied())?;
            self.check_length(prefix.len())?;
            let logits = self.run(prefix)?;
            self.nodes.clear();
            self.rows.clear();
            self.prefix = prefix.to_vec();
            self.logits = logits;
        }
        Ok(&self.logits)
    }

    fn grow(&mut self, rows: &[(Node, TokenId)]) -> Result<Vec<Node>> {
        if self.prefix.is_empty() {
            return Err(Error::EmptyPrefix);
        }
        if rows.len() > self.room() {
            return Err(Error::TreeFull { max: MAX_NODES });
        }
        self.check(rows.iter().map(|&(_, token)| token))?;
        let mut grown = Vec::with_capacity(rows.len());
        for &(parent, token) in rows {
            let mut tokens = self.prefix.clone();
            tokens.extend(self.path(parent)?);
            tokens.push(token);
            self.check_length(tokens.len())?;
            grown.push(self.run(&tokens)?);
        }
        let first = self.nodes.len() as u32 + 1;
        self.nodes.extend_from_slice(rows);
        self.rows = grown;
        Ok((first..first + rows.len() as u32).map(Node).collect())
    }

    fn logits(&self, i: usize) -> &[f32] {
        &self.rows[i]
    }

    fn room(&self) -> usize {
        MAX_NODES - self.nodes.len()
    }
}
