//! Password hashing on a bounded pool: argon2id costs tens of milliseconds and
//! megabytes on purpose, so only so many run at once and only so many wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use jangbu_kernel::text;
use tokio::sync::{OnceCell, Semaphore};

use super::IdentityError;

/// How hard hashing is and how much of it may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordSettings {
    /// Memory of one hash in KiB. OWASP's first choice for argon2id is 19 MiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Hashes under way at once.
    pub at_once: usize,
    /// Callers that may wait; one more is sent away.
    pub waiting: usize,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, at_once: 2, waiting: 200 }
    }
}

/// The pool. Cheap to clone.
#[derive(Clone)]
pub(super) struct PasswordPool {
    inner: Arc<Inner>,
}

struct Inner {
    settings: PasswordSettings,
    permits: Semaphore,
    waiting: AtomicUsize,
    /// What an unknown address is checked against.
    decoy: OnceCell<String>,
}

/// Counts a waiting caller down however it stops waiting.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl PasswordPool {
    pub(super) fn new(settings: PasswordSettings) -> Self {
        let permits = Semaphore::new(settings.at_once.max(1));
        let inner = Inner { settings, permits, waiting: AtomicUsize::new(0), decoy: OnceCell::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Hashes a password into PHC form.
    pub(super) async fn hash(&self, password: String) -> Result<String, IdentityError> {
        let settings = self.inner.settings;
        self.run(move || hash(settings, &password)).await?
    }

    /// Whether the password is the one behind the hash.
    pub(super) async fn verify(&self, password: String, hash: String) -> Result<bool, IdentityError> {
        self.run(move || verify(&password, &hash)).await
    }

    /// Costs what a wrong password costs.
    pub(super) async fn verify_nothing(&self, password: String) -> Result<(), IdentityError> {
        let decoy = self.inner.decoy.get_or_try_init(|| self.hash("nobody has this one".to_owned())).await?;
        self.verify(password, decoy.clone()).await.map(|_| ())
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, IdentityError> {
        let inner = &self.inner;
        let queue = inner.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&inner.waiting);
        if queue >= inner.settings.waiting {
            return Err(IdentityError::Busy { retry_after: Duration::from_secs(1) });
        }
        let _permit = inner.permits.acquire().await.map_err(|_| closed())?;
        tokio::task::spawn_blocking(work).await.map_err(|_| closed())
    }
}

fn closed() -> IdentityError {
    IdentityError::Unavailable("password hashing has stopped".to_owned())
}

fn hasher(settings: PasswordSettings) -> Result<Argon2<'static>, IdentityError> {
    let params = Params::new(settings.memory_kib, settings.passes, 1, None)
        .map_err(|error| IdentityError::Unavailable(format!("argon2 settings: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(settings: PasswordSettings, password: &str) -> Result<String, IdentityError> {
    hasher(settings)?
        .hash_password(text::composed(password).as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| IdentityError::Unavailable(format!("argon2: {error}")))
}

fn verify(password: &str, hash: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(hash) else { return false };
    // The cost is read from the hash itself, so hashes made under older settings still verify.
    let is = |form: &str| Argon2::default().verify_password(form.as_bytes(), &parsed).is_ok();
    let composed = text::composed(password);
    if is(&composed) {
        return true;
    }
    // Earlier versions hashed what the keyboard sent, composed or not.
    let decomposed = text::decomposed(password);
    (password != composed && is(password)) || (decomposed != composed && decomposed != password && is(&decomposed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> PasswordSettings {
        PasswordSettings { memory_kib: 8, passes: 1, at_once: 1, waiting: 1 }
    }

    #[tokio::test]
    async fn only_the_right_password_verifies() {
        let pool = PasswordPool::new(quick());
        let hash = pool.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(pool.verify("correct horse".to_owned(), hash.clone()).await.unwrap());
        assert!(!pool.verify("wrong horse".to_owned(), hash).await.unwrap());
        assert!(!pool.verify("any".to_owned(), "no hash".to_owned()).await.unwrap());
    }

    #[tokio::test]
    async fn a_password_is_the_same_on_every_keyboard() {
        let pool = PasswordPool::new(quick());
        let forms = ["비밀번호 café".to_owned(), text::decomposed("비밀번호 café")];
        let hash = pool.hash(forms[1].clone()).await.unwrap();
        // A hash of an earlier version is of the bytes as they came.
        let earlier = hasher(quick()).unwrap().hash_password(forms[1].as_bytes()).unwrap().to_string();
        for form in forms {
            assert!(pool.verify(form.clone(), hash.clone()).await.unwrap(), "{form:?}");
            assert!(pool.verify(form.clone(), earlier.clone()).await.unwrap(), "{form:?}");
        }
        assert!(!pool.verify("비밀번호 cafe".to_owned(), hash).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_sends_away_and_recovers() {
        let pool = PasswordPool::new(quick());
        let held = pool.inner.permits.acquire().await.unwrap();
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.hash("first".to_owned()).await }
        });
        while pool.inner.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.hash("second".to_owned()).await, Err(IdentityError::Busy { .. })));
        drop(held);
        assert!(waiting.await.unwrap().is_ok());
        assert!(pool.hash("third".to_owned()).await.is_ok());
    }
}
