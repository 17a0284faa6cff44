//! Bearer token.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq as _;

use crate::http::problem;
use crate::state::Shared;

/// Secret that clients present as `Authorization: Bearer TOKEN`. Its `Debug` form hides it.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// Reads a token from text, for example a file; white space around it is not part of it.
    ///
    /// # Errors
    /// A sentence if there is no token, or a header cannot hold it.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("the token is empty".to_owned());
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token is one word of printable ASCII characters".to_owned());
        }
        Ok(Self(text.into()))
    }

    /// Whether the headers of a request present the token. The comparison takes the same time for every token of its length.
    fn is_presented(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, token)) = given.and_then(|value| value.split_once(' ')) else { return false };
        scheme.eq_ignore_ascii_case("bearer") && bool::from(token.trim().as_bytes().ct_eq(self.0.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// Whether a request of a connection was let pass; each of its requests carries it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Arc<AtomicBool>);

impl Known {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets a request pass that presents the token. A server without a token refuses requests of web pages, which a browser marks
/// with their origin: any page that its user visits could otherwise play here.
pub(crate) async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let refused = match &shared.config.token {
        Some(token) if token.is_presented(request.headers()) => None,
        Some(_) => {
            let text = "this server requires a token: send the header `Authorization: Bearer TOKEN`";
            let mut response = problem(StatusCode::UNAUTHORIZED, text);
            let scheme = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            Some(response)
        }
        None if request.headers().contains_key(header::ORIGIN) => {
            let text = "requests of web pages need a token: start the server with one";
            Some(problem(StatusCode::FORBIDDEN, text))
        }
        None => None,
    };
    match refused {
        Some(response) => {
            shared.counts.refuse();
            response
        }
        None => {
            if let Some(Known(known)) = request.extensions().get() {
                known.store(true, Ordering::Relaxed);
            }
            next.run(request).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word() {
        assert!(Token::new(" s3cret\n").is_ok());
        assert_eq!(Token::new(" \n").unwrap_err(), "the token is empty");
        for bad in ["two words", "naïve", "a\0b"] {
            assert!(Token::new(bad).unwrap_err().contains("one word"), "{bad:?}");
        }
        assert_eq!(format!("{:?}", Token::new("s3cret").unwrap()), "Token(hidden)");
    }

    #[test]
    fn only_the_whole_token_is_accepted() {
        let token = Token::new("s3cret").unwrap();
        let presented = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            token.is_presented(&headers)
        };
        assert!(presented("Bearer s3cret") && presented("bearer s3cret"));
        for wrong in
            ["s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cretx", "Bearer S3cret", "Basic s3cret"]
        {
            assert!(!presented(wrong), "{wrong}");
        }
        assert!(!token.is_presented(&HeaderMap::new()));
    }
}
