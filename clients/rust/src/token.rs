//! Where a client gets its tokens from.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

/// A token cannot be had now. The client tries again later.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no token: {0}")]
pub struct TokenError(pub String);

type Source = dyn Fn() -> BoxFuture<'static, Result<String, TokenError>> + Send + Sync;

/// Gives the client a token whenever it needs a new one: at the start, before the one in use
/// expires, and after a gateway refused it.
#[derive(Clone)]
pub struct TokenSource(Arc<Source>);

impl TokenSource {
    /// Always the same token; when it expires the client stops.
    pub fn fixed(token: impl Into<String>) -> Self {
        let token = token.into();
        Self::from_fn(move || Ok(token.clone()))
    }

    /// A token from a function that does not wait.
    pub fn from_fn(source: impl Fn() -> Result<String, TokenError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(move || {
            let token = source();
            Box::pin(async move { token })
        }))
    }

    /// A token from a function that waits, such as a request to the application's own server.
    pub fn from_async<F>(source: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, TokenError>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(source())))
    }

    pub(crate) fn get(&self) -> BoxFuture<'static, Result<String, TokenError>> {
        (self.0)()
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}
