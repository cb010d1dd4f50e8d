use std::fmt;
use std::sync::Arc;

/// How a call tells that it does nothing but wait for its provider, for a limit or until it is tried again: what it begins is
/// held until the call goes on, and dropped then. The default tells nobody.
#[derive(Clone, Default)]
pub struct LimitWait(Option<Arc<Begin>>);

type Begin = dyn Fn() -> Box<dyn Send> + Send + Sync;

impl LimitWait {
    pub fn new<G: Send + 'static>(begin: impl Fn() -> G + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(move || Box::new(begin()))))
    }

    /// The wait lasts until what comes back is dropped.
    #[must_use]
    pub fn begin(&self) -> Option<Box<dyn Send>> {
        self.0.as_ref().map(|begin| begin())
    }
}

impl fmt::Debug for LimitWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitWait").field("told", &self.0.is_some()).finish()
    }
}
