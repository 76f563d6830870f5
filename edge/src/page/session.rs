//! Who is signed in. Sessions live in memory: a restart of the agent signs everybody out, and no file can
//! be stolen for one.

use std::time::Duration;

use super::secret::{NoRandomness, digest, random, same};

/// The name of the cookie.
pub const COOKIE: &str = "gridtally_session";
/// How long one stays signed in.
pub const LASTS: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many may be signed in; the next throws the oldest out.
const SESSIONS_MAX: usize = 32;

/// What a browser holds: 256 random bits in hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The text of the cookie.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What each form of this session carries, and no other site can know.
    #[must_use]
    pub fn form_token(&self) -> String {
        hex::encode(digest(format!("gridtally form {}", self.0).as_bytes()))
    }

    /// Whether a form came from a page of this session.
    #[must_use]
    pub fn made(&self, form_token: &str) -> bool {
        same(self.form_token().as_bytes(), form_token.as_bytes())
    }

    /// The cookie with its attributes. Not `Secure`: in the home the page has no TLS.
    #[must_use]
    pub fn cookie(&self) -> String {
        format!(
            "{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}",
            self.0,
            LASTS.as_secs()
        )
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The sessions, oldest first. Only digests are held.
#[derive(Debug, Default)]
pub struct Sessions(Vec<([u8; 32], Duration)>);

impl Sessions {
    /// Signs somebody in, at a time since any fixed instant.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn start(&mut self, now: Duration) -> Result<Token, NoRandomness> {
        let token = Token(hex::encode(random::<32>()?));
        self.0.retain(|(_, until)| *until > now);
        if self.0.len() >= SESSIONS_MAX {
            self.0.remove(0);
        }
        self.0
            .push((digest(token.0.as_bytes()), now.saturating_add(LASTS)));
        Ok(token)
    }

    /// The session of a request with this `Cookie` header.
    #[must_use]
    pub fn of(&self, cookies: &str, now: Duration) -> Option<Token> {
        let token = cookies
            .split(';')
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find_map(|(name, value)| (name == COOKIE).then_some(value))?;
        let wanted = digest(token.as_bytes());
        self.0
            .iter()
            .any(|(held, until)| *held == wanted && *until > now)
            .then(|| Token(token.to_owned()))
    }

    /// Signs one out.
    pub fn end(&mut self, token: &Token) {
        let ended = digest(token.0.as_bytes());
        self.0.retain(|(held, _)| *held != ended);
    }

    /// Signs everybody out.
    pub fn end_all(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(9);

    #[test]
    fn a_session_is_found_until_it_expires_or_ends() {
        let mut sessions = Sessions::default();
        let token = sessions.start(START).unwrap();
        assert_eq!(token.as_str().len(), 64);
        let cookies = format!("theme=dark; {COOKIE}={}; x", token.as_str());
        assert_eq!(sessions.of(&cookies, START), Some(token.clone()));
        assert_eq!(sessions.of(&cookies, START + LASTS), None);
        assert_eq!(sessions.of(&format!("{COOKIE}="), START), None);
        assert_eq!(sessions.of("", START), None);
        sessions.end(&token);
        assert_eq!(sessions.of(&cookies, START), None);
    }

    #[test]
    fn the_form_token_is_of_its_session_and_does_not_give_the_cookie_away() {
        let mut sessions = Sessions::default();
        let (one, two) = (sessions.start(START).unwrap(), sessions.start(START).unwrap());
        assert!(one.made(&one.form_token()) && !one.made(&two.form_token()) && !one.made(""));
        assert_ne!(one.form_token(), one.as_str());
        assert_eq!(format!("{one:?}"), "Token(…)");
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let mut sessions = Sessions::default();
        let tokens: Vec<_> = (0..=SESSIONS_MAX)
            .map(|_| sessions.start(START).unwrap())
            .collect();
        let known = |t: &Token| sessions.of(&t.cookie(), START).is_some();
        assert!(!known(&tokens[0]) && tokens[1..].iter().all(known));
    }
}
