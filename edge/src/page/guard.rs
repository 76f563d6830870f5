//! Which requests are let in: pure rules over addresses and headers.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};

/// Headers of every answer. Scripts and styles come from this origin only, and nothing is inline.
pub const SECURITY_HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    // Not `no-referrer`: with that, browsers send `Origin: null` with our own forms.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Whether the page may answer under this name.
///
/// A name that an attacker's DNS can point at the home's address (DNS rebinding) is refused: only literals
/// of addresses, `localhost`, names under `.local` (mDNS) and those of the config are ours.
#[must_use]
pub fn host_is_ours(host: &str, names: &[String]) -> bool {
    let Some(name) = name_of(host) else {
        return false;
    };
    let literal = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    literal.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.strip_suffix(".local").is_some_and(|n| !n.is_empty())
        || names.iter().any(|ours| ours.eq_ignore_ascii_case(&name))
}

/// The name of `name:port`.
fn name_of(host: &str) -> Option<&str> {
    if host.is_empty() || !host.is_ascii() || host.contains(['@', '/', ' ']) {
        return None;
    }
    match host.rfind(']') {
        Some(end) => host.get(..=end),
        None => Some(host.split_once(':').map_or(host, |(name, _)| name)),
    }
}

/// Whether a request that changes something came from a page of ours. Browsers say where from; a
/// request without any word of that (not from a browser) has to have the form's token anyway.
#[must_use]
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).map(HeaderValue::to_str);
    let Some(Ok(host)) = text(header::HOST) else {
        return false;
    };
    let origin_fits = match text(header::ORIGIN) {
        None => true,
        Some(Ok(origin)) => origin.split_once("://").is_some_and(|(scheme, from)| {
            matches!(scheme, "http" | "https") && from.eq_ignore_ascii_case(host)
        }),
        Some(Err(_)) => false,
    };
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    origin_fits && matches!(site, None | Some(b"same-origin" | b"none"))
}

/// Whether a peer is in the home: a private or link-local address, or one of the same IPv6 /64 as the
/// address that it reached.
#[must_use]
pub fn is_at_home(peer: IpAddr, ours: IpAddr) -> bool {
    match (peer.to_canonical(), ours.to_canonical()) {
        (IpAddr::V4(v4), _) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        (IpAddr::V6(v6), ours) => {
            let same_network = match ours {
                IpAddr::V6(ours) => ours.segments().get(..4) == v6.segments().get(..4),
                IpAddr::V4(_) => false,
            };
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || same_network
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_page_answers_to_addresses_and_to_its_own_names() {
        let names = ["energy.home.example".to_owned()];
        for good in [
            "192.168.1.7:8321",
            "192.168.1.7",
            "[fd00::7]:8321",
            "[::1]",
            "localhost:8321",
            "LOCALHOST",
            "gridtally.local:8321",
            "Gridtally.Local.",
            "energy.home.example:80",
            "ENERGY.home.example",
        ] {
            assert!(host_is_ours(good, &names), "{good}");
        }
        for bad in [
            "",
            ".local",
            "evil.example:8321",
            "local",
            "evil.example/.local",
            "x@localhost",
            "192.168.1.7.evil.example",
            "localhost.evil.example",
            "energy.home.example.evil.example",
            "[",
            "]",
        ] {
            assert!(!host_is_ours(bad, &names), "{bad}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(n, v)| (header::HeaderName::from_static(n), HeaderValue::from_static(v)))
                .collect()
        };
        let host = ("host", "box.local:8321");
        assert!(is_same_origin(&headers(&[host])));
        assert!(is_same_origin(&headers(&[
            host,
            ("origin", "http://box.local:8321")
        ])));
        assert!(is_same_origin(&headers(&[
            host,
            ("sec-fetch-site", "same-origin")
        ])));
        for bad in [
            "http://evil.example",
            "null",
            "http://box.local",
            "ftp://box.local:8321",
            "",
        ] {
            assert!(!is_same_origin(&headers(&[host, ("origin", bad)])), "{bad}");
        }
        assert!(!is_same_origin(&headers(&[
            host,
            ("sec-fetch-site", "cross-site")
        ])));
        assert!(!is_same_origin(&headers(&[
            host,
            ("sec-fetch-site", "same-site")
        ])));
        assert!(!is_same_origin(&headers(&[])));
    }

    #[test]
    fn the_home_is_what_is_private_or_in_the_same_network() {
        let at_home = |peer: &str, ours: &str| is_at_home(peer.parse().unwrap(), ours.parse().unwrap());
        assert!(at_home("127.0.0.1", "127.0.0.1") && at_home("192.168.7.9", "192.168.7.1"));
        assert!(at_home("::ffff:10.0.0.9", "::ffff:10.0.0.1") && at_home("fe80::1", "fe80::2"));
        assert!(at_home("2001:db8:1:2::9", "2001:db8:1:2::1"));
        assert!(!at_home("2001:db8:1:3::9", "2001:db8:1:2::1") && !at_home("203.0.113.9", "192.168.7.1"));
        assert!(!at_home("::ffff:203.0.113.9", "::ffff:192.168.7.1"));
    }

    proptest! {
        #[test]
        fn no_host_header_is_a_panic(host in any::<String>()) {
            let _ = host_is_ours(&host, &[]);
        }
    }
}
