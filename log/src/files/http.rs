//! A log behind a web server: plain GET requests with bounds on time, size and redirects.

use std::time::Duration;

use ureq::Agent;

use super::source::{Source, SourceError, read_bounded};

/// For one file, from the name's resolution to the last byte.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_LEN_MAX: usize = 16 * 1024;

/// The files below a URL.
#[derive(Debug, Clone)]
pub struct Http {
    url: String,
    agent: Agent,
}

impl Http {
    /// The files below `url`, which begins with `http://`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self::with_timeout(url, REQUEST_TIMEOUT)
    }

    /// The same, with another time for one file.
    #[must_use]
    pub fn with_timeout(url: &str, timeout: Duration) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(timeout))
            .timeout_connect(Some(CONNECT_TIMEOUT.min(timeout)))
            .max_redirects(0)
            .max_response_header_size(HEADER_LEN_MAX)
            .http_status_as_error(false)
            .user_agent(concat!("gridtally-log/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let url = url.trim_end_matches('/').to_owned();
        Self { url, agent }
    }
}

impl Source for Http {
    fn fetch(&self, path: &str, len_max: usize) -> Result<Option<Vec<u8>>, SourceError> {
        let url = format!("{}/{path}", self.url);
        let fail = |why: String| SourceError::Unreadable {
            file: url.clone(),
            why,
        };
        let mut response = self
            .agent
            .get(&url)
            .call()
            .map_err(|error| fail(error.to_string()))?;
        match response.status().as_u16() {
            200 => read_bounded(response.body_mut().as_reader(), len_max, || url.clone()).map(Some),
            404 | 410 => Ok(None),
            other => Err(fail(format!("the server answers with status {other}"))),
        }
    }

    fn name(&self) -> String {
        self.url.clone()
    }
}
