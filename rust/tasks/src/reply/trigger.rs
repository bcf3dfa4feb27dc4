//! Whether a message calls for a suggested reply, and what kind of message it is.
//!
//! Rules, not a model: silence must be certain where it matters (codes, sensitive topics), and the kind narrows
//! the set to replies that could make sense, which no small model does reliably.

use serde::Deserialize;

/// What a message does, as far as it decides which replies can follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A question that yes and no answer.
    YesNo,
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
    /// Offers something.
    Offer,
    /// Thanks.
    Thanks,
    /// Says hello.
    Greeting,
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
    /// Says when the sender comes, or that it gets late.
    Late,
    /// Affection.
    Affection,
    /// Something to laugh at.
    Humour,
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
    /// All of them.
    #[cfg(test)]
    pub(super) const ALL: [Self; 20] = [
        Self::YesNo,
        Self::Request,
        Self::Invitation,
        Self::When,
        Self::Where,
        Self::HowAreYou,
        Self::Open,
        Self::Offer,
        Self::Thanks,
        Self::Greeting,
        Self::Farewell,
        Self::Apology,
        Self::Wish,
        Self::Compliment,
        Self::GoodNews,
        Self::BadNews,
        Self::Late,
        Self::Affection,
        Self::Humour,
        Self::Statement,
    ];
}

/// What kind of message `text` is, or why nothing should be suggested for it.
///
/// # Errors
/// The reason for silence.
pub fn read(text: &str) -> Result<Vec<Act>, Silence> {
    let words = words(text);
    let padded = format!(" {} ", words.join(" "));
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| padded.contains(&format!(" {phrase} ")));

    if is_code(text, &has) {
        return Err(Silence::Code);
    }
    if has(SENSITIVE) {
        return Err(Silence::Sensitive);
    }
    if has(AUTOMATED) || text.contains("% off") || only_links(text) {
        return Err(Silence::Automated);
    }
    let letters = text.chars().filter(|c| c.is_alphabetic());
    let (ascii, all) = letters.fold((0, 0), |(ascii, all), c| (ascii + usize::from(c.is_ascii()), all + 1));
    if all == 0 {
        return Err(Silence::Nothing);
    }
    if ascii * 2 < all {
        return Err(Silence::Language);
    }
    Ok(acts(text, &words, &has))
}

fn acts(text: &str, words: &[String], has: &dyn Fn(&[&str]) -> bool) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut add = |act, condition: bool| {
        if condition && !acts.contains(&act) {
            acts.push(act);
        }
    };
    let first = words.first().map_or("", String::as_str);
    let how_are_you = has(HOW_ARE_YOU);
    for sentence in sentences(text) {
        let question = question(sentence);
        if how_are_you && question != Some(Act::YesNo) && has_phrase(sentence, HOW_ARE_YOU) {
            continue;
        }
        if let Some(act) = question {
            add(act, true);
        }
        add(Act::Request, begins_with(sentence, REQUESTS));
        let invitation = begins_with(sentence, INVITATIONS) || question.is_some() && has_phrase(sentence, INVITING);
        add(Act::Invitation, invitation);
    }
    add(Act::HowAreYou, how_are_you);
    add(Act::Offer, has(OFFERS));
    add(Act::Thanks, has(THANKS));
    add(
        Act::Greeting,
        GREETINGS.contains(&first) && words.len() <= 4 || has(&["good morning", "good evening", "good afternoon"]),
    );
    add(Act::Farewell, has(FAREWELLS));
    add(Act::Apology, has(APOLOGIES));
    add(Act::Wish, has(WISHES));
    add(Act::Compliment, has(COMPLIMENTS));
    add(Act::Late, has(LATE));
    add(Act::Affection, has(AFFECTION));
    add(Act::Humour, has(HUMOUR) || text.contains(['😂', '🤣', '😆']));
    add(Act::BadNews, has(BAD_NEWS));
    add(Act::GoodNews, has(GOOD_NEWS) && !has(BAD_NEWS));
    let asked = acts.iter().any(|act| matches!(act, Act::YesNo | Act::Open | Act::When | Act::Where));
    if asked {
        // A question wants its answer, whatever stands around it.
        acts.retain(|act| !matches!(act, Act::BadNews | Act::GoodNews | Act::Late | Act::Greeting | Act::Compliment));
    }
    if acts.is_empty() {
        acts.push(Act::Statement);
    }
    acts
}

/// What kind of question a sentence asks.
fn question(sentence: &str) -> Option<Act> {
    let marked = sentence.ends_with('?');
    let words = words(sentence);
    let start = words.iter().position(|word| !LEAD_INS.contains(&word.as_str()))?;
    let words: Vec<&str> = words[start..].iter().map(String::as_str).collect();
    let (first, second, last) = (words[0], words.get(1).copied().unwrap_or(""), words[words.len() - 1]);
    let about = matches!((first, second), ("how" | "what", "about"));
    if let (true, false) = (WH.contains(&first) || marked && words.iter().take(4).any(|w| WH.contains(w)), about) {
        let when = first == "when"
            || words.starts_with(&["what", "time"])
            || words.starts_with(&["how", "long"])
            || words.starts_with(&["how", "soon"]);
        let place = first == "where";
        let yes_no_first = AUXILIARIES.contains(&first) && !WH.contains(&first);
        if !yes_no_first {
            return (marked || words.len() > 1 && AUXILIARIES.contains(&second)).then_some(match (when, place) {
                (true, _) => Act::When,
                (_, true) => Act::Where,
                _ => Act::Open,
            });
        }
    }
    let choice = words
        .iter()
        .rposition(|&word| word == "or")
        .is_some_and(|i| words.get(i + 1) != Some(&"not") && i + 1 < words.len());
    let auxiliary = AUXILIARIES.contains(&first) && (marked || SUBJECTS.contains(&second));
    let tag = marked && TAGS.contains(&last);
    let short = marked && OPENERS.contains(&first);
    if auxiliary || tag || short || about {
        return Some(if choice { Act::Open } else { Act::YesNo });
    }
    marked.then_some(Act::Open)
}

fn is_code(text: &str, has: &dyn Fn(&[&str]) -> bool) -> bool {
    let count = |run: &str| (4..=8).contains(&run.chars().filter(char::is_ascii_digit).count());
    let code = text.split(|c: char| !c.is_ascii_digit() && c != '-').any(count);
    let alone = count(text) && text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || c == '-');
    alone || code && has(CODE_WORDS) || has(CODE_PHRASES)
}

fn only_links(text: &str) -> bool {
    let mut words = text.split_whitespace().peekable();
    words.peek().is_some() && words.all(|word| word.contains("://") || word.starts_with("www."))
}

/// Lower-case words, with their inner apostrophes made plain.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’')))
        .map(|word| word.trim_matches(['\'', '’']).replace('’', "'").to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Sentences with the mark that ends them.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '!', '?', '\n'])
        .map(str::trim)
        .filter(|sentence| sentence.contains(char::is_alphanumeric))
}

fn has_phrase(sentence: &str, phrases: &[&str]) -> bool {
    let padded = format!(" {} ", words(sentence).join(" "));
    phrases.iter().any(|phrase| padded.contains(&format!(" {phrase} ")))
}

fn begins_with(sentence: &str, phrases: &[&str]) -> bool {
    let words = words(sentence);
    let start = words.iter().take_while(|word| LEAD_INS.contains(&word.as_str())).count();
    let padded = format!("{} ", words[start..].join(" "));
    phrases.iter().any(|phrase| padded.starts_with(&format!("{phrase} ")))
}

const SENSITIVE: &[&str] = &[
    "suicide",
    "suicidal",
    "kill myself",
    "kill yourself",
    "kill him",
    "kill her",
    "end my life",
    "end it all",
    "want to die",
    "self harm",
    "hurt myself",
    "hurting myself",
    "cut myself",
    "overdose",
    "overdosed",
    "died",
    "dead",
    "dying",
    "death",
    "funeral",
    "passed away",
    "hospice",
    "cancer",
    "tumor",
    "tumour",
    "chemo",
    "terminal",
    "miscarriage",
    "stillborn",
    "abortion",
    "rape",
    "raped",
    "assault",
    "assaulted",
    "abuse",
    "abused",
    "abusive",
    "molested",
    "murder",
    "murdered",
    "stabbed",
    "shot",
    "shooting",
    "gun",
    "bomb",
    "terrorist",
    "hiv",
    "nude",
    "nudes",
    "naked",
    "sex",
    "porn",
    "divorce",
    "hits me",
    "hit me",
    "beat me",
    "beats me",
    "threatened",
    "intensive care",
    "heart attack",
    "stroke",
    "bleeding",
    "emergency",
    "help me please",
    "call 911",
];
const AUTOMATED: &[&str] = &[
    "do not reply",
    "don't reply to this",
    "no reply",
    "noreply",
    "unsubscribe",
    "reply stop",
    "text stop",
    "click here",
    "your order",
    "has been shipped",
    "has shipped",
    "tracking number",
    "your package",
    "your parcel",
    "your balance",
    "your account",
    "available balance",
    "terms apply",
    "t cs apply",
    "promo code",
    "discount code",
    "your appointment",
    "your bill",
    "your invoice",
    "free entry",
    "you have won",
    "you've won",
];
const CODE_WORDS: &[&str] = &[
    "code",
    "codes",
    "otp",
    "passcode",
    "password",
    "pin",
    "verification",
    "verify",
    "authentication",
    "login",
    "log in",
    "sign in",
    "one time",
    "2fa",
    "security",
    "confirm",
    "confirmation",
    "token",
];
const CODE_PHRASES: &[&str] =
    &["password is", "passcode is", "pin is", "one time password", "otp", "verification code", "security code"];
const HOW_ARE_YOU: &[&str] = &[
    "how are you",
    "how are u",
    "how r u",
    "how are things",
    "how's it going",
    "how is it going",
    "how have you been",
    "how are you doing",
    "how you doing",
    "what's up",
    "whats up",
    "wassup",
    "how do you do",
    "how's everything",
    "hows it going",
];
const REQUESTS: &[&str] = &[
    "please",
    "can you",
    "could you",
    "would you",
    "will you",
    "can u",
    "let me know",
    "call me",
    "text me",
    "send me",
    "tell me",
    "bring",
    "pick me",
    "pick up",
    "don't forget",
    "remember to",
    "make sure",
    "remind me",
    "give me",
    "get me",
    "wait for me",
    "get some",
    "buy",
    "check",
];
const INVITATIONS: &[&str] = &[
    "want to",
    "wanna",
    "do you want to",
    "do you wanna",
    "would you like to",
    "let's",
    "lets",
    "shall we",
    "how about",
    "what about",
    "fancy",
    "join us",
    "come over",
    "come to",
    "are you free",
    "you free",
    "are you up for",
    "should we",
    "why don't we",
    "are you coming",
    "can we meet",
];
const INVITING: &[&str] = &[
    "come over",
    "join us",
    "join me",
    "grab a",
    "grab some",
    "go out",
    "hang out",
    "get together",
    "for dinner",
    "for lunch",
    "for coffee",
    "for a drink",
];
const OFFERS: &[&str] = &[
    "can i get you",
    "do you need",
    "do you want me to",
    "should i bring",
    "shall i bring",
    "i can help",
    "let me help",
    "i'll bring",
    "i can bring",
    "i got you",
    "i'll pick you up",
    "i can pick you up",
    "i'll help",
];
const THANKS: &[&str] = &[
    "thank you",
    "thank u",
    "thanks",
    "thx",
    "ty",
    "thank you so much",
    "appreciate it",
    "i appreciate",
    "much appreciated",
    "cheers",
];
const GREETINGS: &[&str] = &["hi", "hey", "hello", "hiya", "yo", "heya", "hii", "hellooo", "morning", "greetings"];
const FAREWELLS: &[&str] = &[
    "bye",
    "goodbye",
    "good bye",
    "good night",
    "goodnight",
    "see you",
    "see ya",
    "cya",
    "talk later",
    "talk to you later",
    "ttyl",
    "gotta go",
    "got to go",
    "have to go",
    "take care",
    "have a good",
    "have a nice",
    "have a great",
    "have fun",
    "sleep well",
    "nice talking",
    "nice chatting",
    "great chatting",
    "great talking",
    "good chatting",
    "good talking",
    "nice to chat",
    "nice chat",
    "great chat",
];
const APOLOGIES: &[&str] =
    &["sorry", "apologies", "i apologize", "i apologise", "my bad", "my fault", "forgive me", "my mistake"];
const WISHES: &[&str] = &[
    "happy birthday",
    "merry christmas",
    "happy new year",
    "happy easter",
    "happy anniversary",
    "congratulations",
    "congrats",
    "good luck",
    "happy holidays",
    "happy thanksgiving",
    "get well",
    "best wishes",
    "fingers crossed",
    "all the best",
    "happy valentine's",
];
const COMPLIMENTS: &[&str] = &[
    "you look",
    "you looked",
    "well done",
    "great job",
    "good job",
    "nice job",
    "proud of you",
    "you're the best",
    "you are the best",
    "you rock",
    "you're amazing",
    "you are amazing",
    "you're so kind",
    "love your",
    "like your",
    "you did great",
    "you were great",
];
const LATE: &[&str] = &[
    "late",
    "running behind",
    "stuck in traffic",
    "on my way",
    "omw",
    "be there",
    "almost there",
    "nearly there",
    "leaving now",
    "just left",
    "delayed",
    "on the way",
    "i'm here",
    "just arrived",
    "i'm outside",
];
const AFFECTION: &[&str] = &["love you", "love u", "luv u", "luv you", "miss you", "miss u", "thinking of you", "xoxo"];
const HUMOUR: &[&str] = &["lol", "haha", "hahaha", "lmao", "rofl", "hilarious", "so funny", "hehe", "joke"];
const BAD_NEWS: &[&str] = &[
    "sick",
    "ill",
    "fever",
    "flu",
    "headache",
    "hospital",
    "injured",
    "accident",
    "crashed",
    "broke",
    "broken",
    "lost",
    "failed",
    "fired",
    "laid off",
    "cancelled",
    "canceled",
    "sad",
    "upset",
    "stressed",
    "exhausted",
    "heartbroken",
    "bad day",
    "rough day",
    "terrible",
    "awful",
    "worst",
    "missed my",
    "stolen",
    "hurts",
    "not feeling well",
    "don't feel well",
    "feel bad",
    "didn't get",
    "unfortunately",
    "worried",
    "lonely",
    "crying",
    "a cold",
    "sprained",
];
const GOOD_NEWS: &[&str] = &[
    "got the job",
    "got a job",
    "new job",
    "promoted",
    "promotion",
    "passed my",
    "passed the",
    "i passed",
    "engaged",
    "getting married",
    "graduated",
    "i won",
    "we won",
    "got accepted",
    "got in",
    "i did it",
    "we did it",
    "pregnant",
    "having a baby",
    "baby is here",
    "new house",
    "bought a house",
    "good news",
    "great news",
    "got an a",
    "a raise",
    "finally finished",
    "feeling better",
];
const WH: &[&str] = &[
    "what", "what's", "whats", "when", "when's", "where", "where's", "who", "who's", "whose", "why", "how", "how's",
    "which", "wat", "wot",
];
const AUXILIARIES: &[&str] = &[
    "do",
    "does",
    "did",
    "are",
    "is",
    "am",
    "was",
    "were",
    "have",
    "has",
    "had",
    "can",
    "could",
    "will",
    "would",
    "should",
    "shall",
    "may",
    "might",
    "must",
    "don't",
    "doesn't",
    "didn't",
    "aren't",
    "isn't",
    "wasn't",
    "weren't",
    "haven't",
    "hasn't",
    "can't",
    "couldn't",
    "won't",
    "wouldn't",
    "shouldn't",
    "r",
    "d'you",
];
const SUBJECTS: &[&str] = &[
    "you", "u", "i", "we", "he", "she", "they", "it", "there", "this", "that", "the", "your", "my", "your", "ya",
    "anyone", "everyone", "someone",
];
const TAGS: &[&str] = &[
    "right", "ok", "okay", "yeah", "yes", "no", "correct", "eh", "huh", "then", "still", "yet", "already", "too", "it",
    "you",
];
const OPENERS: &[&str] = &[
    "you",
    "want",
    "wanna",
    "ready",
    "free",
    "any",
    "anyone",
    "still",
    "need",
    "everything",
    "all",
    "feel",
    "feeling",
    "ever",
    "busy",
    "there",
    "coming",
    "going",
    "really",
    "u",
    "got",
    "fancy",
];
const LEAD_INS: &[&str] = &[
    "hey", "hi", "hello", "so", "and", "but", "ok", "okay", "well", "um", "oh", "yeah", "also", "btw", "just", "sorry",
    "thanks", "then", "actually", "anyway", "mate", "dude", "cool", "nice", "haha", "lol",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_people_mean_them() {
        for (text, act) in [
            ("Are you coming tonight?", Act::YesNo),
            ("hey do you like football", Act::YesNo),
            ("You free on Friday?", Act::YesNo),
            ("It's at 7, right?", Act::YesNo),
            ("I love that film. Have you seen it?", Act::YesNo),
            ("How about 7pm?", Act::YesNo),
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
            ("Hey, how are you?", Act::HowAreYou),
            ("Thanks so much for your help!", Act::Thanks),
            ("Hello!", Act::Greeting),
            ("Good night, sleep well", Act::Farewell),
            ("So sorry I missed your call", Act::Apology),
            ("Happy birthday!!", Act::Wish),
            ("I got the job!", Act::GoodNews),
            ("I'm sick today", Act::BadNews),
            ("Running ten minutes late", Act::Late),
            ("I love you", Act::Affection),
            ("lol that was great", Act::Humour),
            ("The train has three carriages.", Act::Statement),
        ] {
            let acts = read(text);
            assert!(acts.as_ref().is_ok_and(|acts| acts.contains(&act)), "{text:?} is {act:?}, not {acts:?}");
        }
        assert_eq!(read("What's up?"), Ok(vec![Act::HowAreYou]));
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
