//! What the model reads before a text: a few messages that show how people write to each other.
//!
//! A text that begins with nothing before it looks to a model like the beginning of an article. With these lines in front it
//! expects a message: on text messages the next word was among the first three 4 to 5 points more often, after two letters
//! likewise (`nibble eval keyboard --primer none` shows the difference). They are read once, stay in the cache of keys and values,
//! and slide out of the window as the text grows. They are the project's own.

/// The lines for a language (ISO 639-1); none for one that has none yet.
pub fn primer(language: &str) -> &'static str {
    match language {
        "en" => {
            "Hey, what's up?\n\
             Not much, u?\n\
             I'm at work till 6 :(\n\
             Ok cool, see u later then\n"
        }
        "de" => {
            "Hey, na, was machst du?\n\
             Nicht viel, und du?\n\
             Bin noch bis 6 auf der Arbeit :(\n\
             Ok cool, dann bis später\n"
        }
        "es" => {
            "Hola, qué tal?\n\
             Bien, y tú?\n\
             Estoy en el trabajo hasta las 6 :(\n\
             Vale, pues nos vemos luego\n"
        }
        "fr" => {
            "Coucou, ça va ?\n\
             Oui et toi ?\n\
             Je suis au travail jusqu'à 18h :(\n\
             Ok cool, à plus tard alors\n"
        }
        _ => "",
    }
}
