//! HTML as text, escaped in this one place.
//!
//! The macro `html!` takes literals as they stand, `(expression)` escaped, and
//! `[expression]` for a finished [`Html`]. Nothing but a literal of this program gets in unescaped.

use std::fmt::{self, Display, Write};

/// A piece of a page in which everything from outside is escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// Markup of this program.
    pub fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// A value as text, for content and for attributes in double quotes.
    pub fn text(&mut self, value: impl Display) {
        // Writing to a `String` fails only where the value's own `Display` does; then it is cut there.
        let _cut = write!(Escape(&mut self.0), "{value}");
    }

    /// A finished piece.
    pub fn append(&mut self, piece: impl Into<Self>) {
        self.0.push_str(&piece.into().0);
    }

    /// The markup.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    /// The markup.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Option<Self>> for Html {
    fn from(piece: Option<Self>) -> Self {
        piece.unwrap_or_default()
    }
}

impl FromIterator<Self> for Html {
    fn from_iter<I: IntoIterator<Item = Self>>(pieces: I) -> Self {
        let mut all = Self::new();
        pieces.into_iter().for_each(|piece| all.append(piece));
        all
    }
}

struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Not allowed in HTML, not even as references.
                c if c.is_control() && c != '\n' && c != '\t' => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Puts a piece of a page together; see the module.
macro_rules! html {
    (@part $out:ident $markup:literal) => { $out.raw($markup) };
    (@part $out:ident ($value:expr)) => { $out.text(&$value) };
    (@part $out:ident [$piece:expr]) => { $out.append($piece) };
    ($($part:tt)*) => {{
        let mut out = $crate::page::html::Html::new();
        $( html!(@part out $part); )*
        out
    }};
}
pub(crate) use html;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_comes_from_outside_cannot_open_a_tag_or_leave_an_attribute() {
        let name = "\"><script>alert('x')</script>&amp;\0";
        let page = html!("<p title=\"" (name) "\">" (name) "</p>");
        let escaped = "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;\u{fffd}";
        assert_eq!(page.as_str(), format!("<p title=\"{escaped}\">{escaped}</p>"));
    }

    #[test]
    fn finished_pieces_are_not_escaped_again() {
        let inner = html!("<b>" ("&") "</b>");
        assert_eq!(
            html!("<p>" [inner] [None::<Html>] "</p>").as_str(),
            "<p><b>&amp;</b></p>"
        );
    }

    proptest! {
        #[test]
        fn no_text_has_a_special_character_left(text in any::<String>()) {
            let shown = html!((text));
            prop_assert!(!shown.as_str().contains(['<', '>', '"', '\'', '\0']));
        }
    }
}
