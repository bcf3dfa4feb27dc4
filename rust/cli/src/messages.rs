//! Messages that people wrote, in files.

use std::path::Path;

use nibble_tasks::keyboard::evaluation::Message;
use serde::Deserialize;

use crate::failure::{Failure, Result};
use crate::input;

/// The messages of a file, those of a chat behind up to `turns` earlier ones.
pub fn read(path: &Path, turns: usize) -> Result<Vec<Message>> {
    let text = input::file(path)?;
    let messages = if path.extension().is_some_and(|extension| extension == "jsonl") {
        chats(&text, turns).map_err(|why| Failure::Failed(format!("{}: {why}", path.display())))?
    } else {
        lines(&text)
    };
    if messages.is_empty() {
        return Err(Failure::Failed(format!("{} has no messages; give one a line", path.display())));
    }
    Ok(messages)
}

/// A message a line.
fn lines(text: &str) -> Vec<Message> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| Message { context: String::new(), text: line.to_owned() }).collect()
}

#[derive(Deserialize)]
struct Chat {
    turns: Vec<ChatTurn>,
}

#[derive(Deserialize)]
struct ChatTurn {
    text: String,
}

/// Every turn of every chat, after up to `before` turns.
fn chats(text: &str, before: usize) -> Result<Vec<Message>, String> {
    let mut messages = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let chat: Chat = serde_json::from_str(line).map_err(|error| {
            let column = error.column();
            format!("line {} is no chat (column {column}); write {{\"turns\": [{{\"text\": TEXT}}]}}", number + 1)
        })?;
        let turns: Vec<&str> = chat.turns.iter().map(|turn| turn.text.trim()).collect();
        for (i, text) in turns.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            let context = turns[i.saturating_sub(before)..i].join("\n");
            messages.push(Message { context, text: (*text).to_owned() });
        }
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_that_has_something_is_a_message() {
        let texts: Vec<_> = lines("a\n\n c \n").into_iter().map(|message| message.text).collect();
        assert_eq!(texts, ["a", "c"]);
    }

    #[test]
    fn a_turn_follows_the_turns_before_it() {
        let text = "{\"turns\": [{\"who\": \"1\", \"text\": \"Hi\"}, {\"text\": \" So? \"}, {\"text\": \"\"}, {\"text\": \"No\"}]}\n\n";
        let messages = chats(text, 2).unwrap();
        let pairs: Vec<_> = messages.iter().map(|m| (m.context.as_str(), m.text.as_str())).collect();
        assert_eq!(pairs, [("", "Hi"), ("Hi", "So?"), ("So?\n", "No")]);
        let why = chats("{\"turns\": []}\n[\"secret\"]", 2).unwrap_err();
        assert!(why.contains("line 2") && !why.contains("secret"), "{why}");
    }
}
