//! The first use, signing in, and pages that say one thing.

use super::layout::outside;
use super::now::notice;
use crate::page::html::{Html, html};

/// The first use: the code and a password.
#[must_use]
pub fn welcome(error: Option<&str>) -> Html {
    outside(
        "Welcome",
        html!(
            "<section class=\"card\"><h1>Welcome home</h1><p>Choose a password for this page. So that nobody else does, the box has "
            "a code: it is in its log, and <code>gridtally edge page-code</code> prints it.</p>" [error.map(|e| notice("warn", e))]
            "<form method=\"post\" action=\"/welcome\" class=\"stack\"><label for=\"code\">Code</label>"
            "<input id=\"code\" name=\"code\" required autocomplete=\"one-time-code\" autocapitalize=\"characters\" spellcheck=\"false\" maxlength=\"32\">"
            "<label for=\"password\">New password, 8 characters or more</label>"
            "<input id=\"password\" name=\"password\" type=\"password\" required minlength=\"8\" maxlength=\"256\" autocomplete=\"new-password\">"
            "<button>Set the password</button></form></section>"
        ),
    )
}

/// Signing in.
#[must_use]
pub fn sign_in(error: Option<&str>) -> Html {
    outside(
        "Sign in",
        html!(
            "<section class=\"card\"><h1>Welcome back</h1>" [error.map(|e| notice("warn", e))]
            "<form method=\"post\" action=\"/sign-in\" class=\"stack\"><label for=\"password\">Password</label>"
            "<input id=\"password\" name=\"password\" type=\"password\" required maxlength=\"256\" autocomplete=\"current-password\" autofocus>"
            "<button>Sign in</button></form><p class=\"muted\">Forgotten? <code>gridtally edge page-code --reset</code> on the box "
            "lets you choose a new one.</p></section>"
        ),
    )
}

/// One thing to say.
#[must_use]
pub fn message(title: &str, text: &str) -> Html {
    outside(
        title,
        html!("<section class=\"card\"><h1>" (title) "</h1><p>" (text) "</p><p><a href=\"/\">To the first page</a></p></section>"),
    )
}
