//! Whether a message calls for a suggested reply, and what kind of message it is.
//!
//! Rules, not a model: silence must be certain where it matters (codes, sensitive topics), and the kind narrows
//! the set to replies that could make sense, which no small model does reliably.

use std::sync::LazyLock;

use serde::Deserialize;

/// What a message does, as far as it decides which replies can follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A question that yes and no answer.
    YesNo,
    /// One that begins "do you".
    DoYou,
    /// One that begins "are you".
    AreYou,
    /// One that begins "have you".
    HaveYou,
    /// One that begins "did you".
    DidYou,
    /// Asks for something to be done.
    Request,
    /// Proposes to do something together.
    Invitation,
    /// A question about time.
    When,
    /// A question about a place.
    Where,
    /// "How are you?"
    HowAreYou,
    /// Any other question.
    Open,
    /// One about what somebody is doing.
    Doing,
    /// One about how something was.
    HowWas,
    /// Offers something.
    Offer,
    /// Thanks.
    Thanks,
    /// Says hello.
    Greeting,
    /// Says good morning.
    GoodMorning,
    /// Says goodbye.
    Farewell,
    /// Apologises.
    Apology,
    /// Wishes well, congratulates.
    Wish,
    /// Praises.
    Compliment,
    /// Good news about the sender.
    GoodNews,
    /// Bad news about the sender.
    BadNews,
    /// The sender is ill.
    Ill,
    /// Says when the sender comes, or that it gets late.
    Late,
    /// Affection.
    Affection,
    /// Something to laugh at.
    Humour,
    /// Anything else about the sender.
    Personal,
    /// Anything else.
    Statement,
}

/// Why nothing is suggested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// There is no message, or it has no words.
    Nothing,
    /// The last turn is the user's own.
    OwnTurn,
    /// A one-time code or a password.
    Code,
    /// A topic on which no ready-made reply is right.
    Sensitive,
    /// Sent by a machine.
    Automated,
    /// A language that the set of replies is not written in.
    Language,
}

impl Act {
    /// Whether it is answered by yes or no.
    pub(super) fn is_polar(self) -> bool {
        matches!(self, Self::YesNo | Self::Request | Self::Invitation | Self::Offer)
    }

    /// All of them.
    #[cfg(test)]
    pub(super) const ALL: [Self; 29] = [
        Self::YesNo,
        Self::DoYou,
        Self::AreYou,
        Self::HaveYou,
        Self::DidYou,
        Self::Request,
        Self::Invitation,
        Self::When,
        Self::Where,
        Self::HowAreYou,
        Self::Open,
        Self::Doing,
        Self::HowWas,
        Self::Offer,
        Self::Thanks,
        Self::Greeting,
        Self::GoodMorning,
        Self::Farewell,
        Self::Apology,
        Self::Wish,
        Self::Compliment,
        Self::GoodNews,
        Self::BadNews,
        Self::Ill,
        Self::Late,
        Self::Affection,
        Self::Humour,
        Self::Personal,
        Self::Statement,
    ];
}

/// The words and phrases that the rules look for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Phrases {
    sensitive: Vec<String>,
    automated: Vec<String>,
    code_words: Vec<String>,
    code_phrases: Vec<String>,
    how_are_you: Vec<String>,
    requests: Vec<String>,
    invitations: Vec<String>,
    inviting: Vec<String>,
    offers: Vec<String>,
    thanks: Vec<String>,
    greetings: Vec<String>,
    farewells: Vec<String>,
    apologies: Vec<String>,
    wishes: Vec<String>,
    compliments: Vec<String>,
    late: Vec<String>,
    affection: Vec<String>,
    humour: Vec<String>,
    bad_news: Vec<String>,
    good_news: Vec<String>,
    wh: Vec<String>,
    auxiliaries: Vec<String>,
    subjects: Vec<String>,
    tags: Vec<String>,
    openers: Vec<String>,
    lead_ins: Vec<String>,
    good_morning: Vec<String>,
    ill: Vec<String>,
    about_me: Vec<String>,
    do_you: Vec<String>,
    are_you: Vec<String>,
    have_you: Vec<String>,
    did_you: Vec<String>,
    doing: Vec<String>,
    how_was: Vec<String>,
    when: Vec<String>,
}

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/phrases.json"))).expect("a test reads the same file")
});

/// Lower-case words of a text, without punctuation.
struct Words(Vec<String>);

impl Words {
    fn of(text: &str) -> Self {
        let words = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’')));
        let plain = words.map(|word| word.trim_matches(['\'', '’']).replace('’', "'").to_lowercase());
        Self(plain.filter(|word| !word.is_empty()).collect())
    }

    /// Without the words that a sentence may begin with before it begins.
    fn after_lead_in(mut self) -> Self {
        let start = self.0.iter().take_while(|word| PHRASES.lead_ins.contains(word)).count();
        self.0.drain(..start);
        self
    }

    fn get(&self, i: usize) -> &str {
        self.0.get(i).map_or("", String::as_str)
    }

    fn has(&self, phrases: &[String]) -> bool {
        let text = format!(" {} ", self.0.join(" "));
        phrases.iter().any(|phrase| text.contains(&format!(" {phrase} ")))
    }

    fn begin(&self, phrases: &[String]) -> bool {
        let text = format!("{} ", self.0.join(" "));
        phrases.iter().any(|phrase| text.starts_with(&format!("{phrase} ")))
    }
}

/// What kind of message `text` is.
///
/// # Errors
/// The reason why nothing should be suggested for it.
pub fn read(text: &str) -> Result<Vec<Act>, Silence> {
    let words = Words::of(text);
    let letters = text.chars().filter(|c| c.is_alphabetic());
    let (latin, all) = letters.fold((0, 0), |(latin, all), c| (latin + usize::from(c.is_ascii()), all + 1));
    if is_code(text, &words) {
        Err(Silence::Code)
    } else if words.has(&PHRASES.sensitive) {
        Err(Silence::Sensitive)
    } else if words.has(&PHRASES.automated) || text.contains("% off") || only_links(text) {
        Err(Silence::Automated)
    } else if all == 0 {
        Err(Silence::Nothing)
    } else if 2 * latin < all {
        Err(Silence::Language)
    } else {
        Ok(acts(text, &words))
    }
}

fn acts(text: &str, words: &Words) -> Vec<Act> {
    let p = &*PHRASES;
    let mut acts = Vec::new();
    for sentence in sentences(text) {
        let asked = question(sentence);
        let words = Words::of(sentence).after_lead_in();
        if words.has(&p.how_are_you) && asked != Some(Act::YesNo) {
            acts.push(Act::HowAreYou);
            continue;
        }
        let invitation = words.begin(&p.invitations) || asked == Some(Act::YesNo) && words.has(&p.inviting);
        let kinds = [
            (Act::Offer, words.has(&p.offers)),
            (Act::Invitation, invitation),
            (Act::Request, words.begin(&p.requests)),
        ];
        if let Some(&(kind, _)) = kinds.iter().find(|(_, holds)| *holds) {
            acts.push(kind);
            continue;
        }
        acts.extend(asked);
        let narrower: &[(Act, &[String])] = match asked {
            Some(Act::YesNo) => &[
                (Act::DoYou, &p.do_you),
                (Act::AreYou, &p.are_you),
                (Act::HaveYou, &p.have_you),
                (Act::DidYou, &p.did_you),
            ],
            Some(Act::Open) => &[(Act::Doing, &p.doing), (Act::HowWas, &p.how_was)],
            _ => &[],
        };
        acts.extend(narrower.iter().filter_map(|(act, begins)| words.begin(begins).then_some(*act)));
    }
    // A question wants its answer, whatever news stands around it.
    let asked = acts.iter().any(|act| {
        matches!(act, Act::YesNo | Act::Request | Act::Invitation | Act::Offer | Act::Open | Act::When | Act::Where)
    });
    let short_greeting = words.0.len() <= 4 && words.begin(&p.greetings);
    let rules = [
        (Act::Thanks, words.has(&p.thanks)),
        (Act::Greeting, !asked && short_greeting),
        (Act::GoodMorning, !asked && words.has(&p.good_morning)),
        (Act::Farewell, words.has(&p.farewells)),
        (Act::Apology, words.has(&p.apologies)),
        (Act::Wish, words.has(&p.wishes)),
        (Act::Compliment, !asked && words.has(&p.compliments)),
        (Act::Late, !asked && words.has(&p.late)),
        (Act::Affection, words.has(&p.affection)),
        (Act::Humour, !asked && (words.has(&p.humour) || text.contains(['😂', '🤣', '😆']))),
        (Act::BadNews, !asked && (words.has(&p.bad_news) || words.has(&p.ill))),
        (Act::Ill, !asked && words.has(&p.ill)),
        (Act::GoodNews, !asked && words.has(&p.good_news) && !words.has(&p.bad_news)),
    ];
    acts.extend(rules.into_iter().filter_map(|(act, holds)| holds.then_some(act)));
    if acts.is_empty() {
        acts.push(if words.begin(&p.about_me) { Act::Personal } else { Act::Statement });
    }
    acts
}

/// What kind of question a sentence asks.
fn question(sentence: &str) -> Option<Act> {
    let p = &*PHRASES;
    let is = |words: &[String], word: &str| words.iter().any(|other| other == word);
    let marked = sentence.ends_with('?');
    let words = Words::of(sentence).after_lead_in();
    let (first, second) = (words.get(0), words.get(1));
    let last = words.0.last()?;
    let proposal = matches!((first, second), ("how" | "what", "about"));
    let auxiliary = is(&p.auxiliaries, first) && (marked || is(&p.subjects, second));
    let asks_what = is(&p.wh, first) && (marked || is(&p.auxiliaries, second))
        || marked && !auxiliary && words.0.iter().take(4).any(|word| is(&p.wh, word));
    if asks_what && !proposal {
        let time = words.begin(&p.when);
        return Some(if time {
            Act::When
        } else if first.starts_with("where") {
            Act::Where
        } else {
            Act::Open
        });
    }
    let choice = words.0.windows(2).any(|pair| pair[0] == "or" && pair[1] != "not");
    if auxiliary || proposal || marked && (is(&p.tags, last) || is(&p.openers, first)) {
        return Some(if choice { Act::Open } else { Act::YesNo });
    }
    marked.then_some(Act::Open)
}

fn is_code(text: &str, words: &Words) -> bool {
    let count = |run: &str| (4..=8).contains(&run.chars().filter(char::is_ascii_digit).count());
    let number = text.split(|c: char| !c.is_ascii_digit() && c != '-').any(count);
    let alone = count(text) && text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || c == '-');
    alone || number && words.has(&PHRASES.code_words) || words.has(&PHRASES.code_phrases)
}

fn only_links(text: &str) -> bool {
    let mut words = text.split_whitespace().peekable();
    words.peek().is_some() && words.all(|word| word.contains("://") || word.starts_with("www."))
}

/// Sentences with the mark that ends them.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '!', '?', '\n'])
        .map(str::trim)
        .filter(|sentence| sentence.contains(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_people_mean_them() {
        for (text, act) in [
            ("Are you coming tonight?", Act::AreYou),
            ("hey do you like football", Act::YesNo),
            ("You free on Friday?", Act::Invitation),
            ("It's at 7, right?", Act::YesNo),
            ("I love that film. Have you seen it?", Act::YesNo),
            ("Do you like football?", Act::DoYou),
            ("Have you finished the report?", Act::HaveYou),
            ("Do you need anything from the shop?", Act::Offer),
            ("Good morning! Did you sleep well?", Act::DidYou),
            ("I hate Mondays", Act::Personal),
            ("good morning sunshine", Act::GoodMorning),
            ("How about 7pm?", Act::Invitation),
            ("Want to grab a coffee?", Act::Invitation),
            ("Let's meet at the station", Act::Invitation),
            ("Can you pick me up at 5?", Act::Request),
            ("Please call me when you get home", Act::Request),
            ("What time does it start?", Act::When),
            ("when are you coming", Act::When),
            ("Where are you?", Act::Where),
            ("So what's your favorite team?", Act::Open),
            ("Tea or coffee?", Act::Open),
            ("Do you want tea or coffee?", Act::Open),
            ("What are you up to?", Act::Doing),
            ("How was your day?", Act::HowWas),
            ("Hey, how are you?", Act::HowAreYou),
            ("Thanks so much for your help!", Act::Thanks),
            ("Hello!", Act::Greeting),
            ("Good night, sleep well", Act::Farewell),
            ("So sorry I missed your call", Act::Apology),
            ("Happy birthday!!", Act::Wish),
            ("I got the job!", Act::GoodNews),
            ("I'm sick today", Act::Ill),
            ("I missed my train", Act::BadNews),
            ("Running ten minutes late", Act::Late),
            ("I love you", Act::Affection),
            ("lol that was great", Act::Humour),
            ("The train has three carriages.", Act::Statement),
        ] {
            let acts = read(text);
            assert!(acts.as_ref().is_ok_and(|acts| acts.contains(&act)), "{text:?} is {act:?}, not {acts:?}");
        }
        assert_eq!(read("What's up?"), Ok(vec![Act::HowAreYou]));
        assert!(!read("Can you call me?").unwrap().contains(&Act::YesNo));
        assert_eq!(read("What do you want for dinner?"), Ok(vec![Act::Open]));
        assert!(!read("Do you want tea or coffee?").unwrap().contains(&Act::YesNo));
        assert!(!read("The train has three carriages.").unwrap().contains(&Act::YesNo));
        assert!(read("Are you coming or not?").unwrap().contains(&Act::YesNo));
    }

    #[test]
    fn silence_where_a_reply_would_be_wrong() {
        for (text, silence) in [
            ("Your verification code is 482913", Silence::Code),
            ("G-482913 is your Google code", Silence::Code),
            ("482 913", Silence::Code),
            ("4829", Silence::Code),
            ("Use 55-1234 to log in. Don't share it.", Silence::Code),
            ("My password is hunter2", Silence::Code),
            ("Grandma passed away last night", Silence::Sensitive),
            ("i want to kill myself", Silence::Sensitive),
            ("Your package has shipped", Silence::Automated),
            ("https://example.com/a", Silence::Automated),
            ("50% off everything. Reply STOP to end", Silence::Automated),
            ("", Silence::Nothing),
            ("😂😂", Silence::Nothing),
            ("你今天来吗？", Silence::Language),
        ] {
            assert_eq!(read(text), Err(silence), "{text:?}");
        }
        assert!(read("Meet at 1730?").is_ok(), "a time is no code");
    }
}
