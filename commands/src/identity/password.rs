//! Password hashing: argon2id takes tens of milliseconds and megabytes on purpose, so only a
//! limited number runs and waits at once, shared fairly between the clients.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use jangbu_kernel::text;
use tokio::sync::{OnceCell, oneshot};

use super::IdentityError;
use super::block::AddressBlock;
use super::fair::FairQueue;

/// The cost of hashing, and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordSettings {
    /// Memory of one hash in KiB. OWASP's first choice for argon2id is 19 MiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Logins that are checked at once. Half as many registrations, at least one, run in addition.
    pub at_once: usize,
    /// Callers that may wait to log in, and as many that may wait to register.
    pub waiting: usize,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, at_once: 2, waiting: 200 }
    }
}

/// The pool. Clones share it.
#[derive(Clone)]
pub(super) struct PasswordPool {
    inner: Arc<Inner>,
}

struct Inner {
    settings: PasswordSettings,
    /// Separate queues, so that neither delays the other.
    log_ins: FairQueue,
    sign_ups: FairQueue,
    /// The hash that the password for an unknown address is compared with.
    decoy: OnceCell<String>,
}

impl PasswordPool {
    pub(super) fn new(settings: PasswordSettings) -> Self {
        let log_ins = FairQueue::new("log-ins", settings.waiting, settings.at_once);
        let sign_ups = FairQueue::new("sign-ups", settings.waiting, settings.at_once / 2);
        Self { inner: Arc::new(Inner { settings, log_ins, sign_ups, decoy: OnceCell::new() }) }
    }

    /// Hashes a password into PHC form, for a registration from this block.
    pub(super) async fn hash(&self, from: AddressBlock, password: String) -> Result<String, IdentityError> {
        let settings = self.inner.settings;
        run(&self.inner.sign_ups, from, move || hash(settings, &password)).await?
    }

    /// Whether the password matches the hash, for a login from this block.
    pub(super) async fn verify(
        &self,
        from: AddressBlock,
        password: String,
        hash: String,
    ) -> Result<bool, IdentityError> {
        run(&self.inner.log_ins, from, move || verify(&password, &hash)).await
    }

    /// Takes as much time as a wrong password.
    pub(super) async fn verify_nothing(&self, from: AddressBlock, password: String) -> Result<(), IdentityError> {
        let settings = self.inner.settings;
        let make = || run(&self.inner.log_ins, from, move || hash(settings, "nobody has this one"));
        let decoy = self.inner.decoy.get_or_try_init(async || make().await?).await?;
        self.verify(from, password, decoy.clone()).await.map(|_| ())
    }
}

async fn run<T: Send + 'static>(
    queue: &FairQueue,
    from: AddressBlock,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, IdentityError> {
    let (answer, answered) = oneshot::channel();
    let work = move || {
        // For a caller that is gone nothing is computed.
        if !answer.is_closed() {
            let _gone = answer.send(work());
        }
    };
    queue.submit(from, Box::new(work)).map_err(|_| busy())?;
    // Work that lost its place to another block is dropped.
    answered.await.map_err(|_| busy())
}

fn busy() -> IdentityError {
    metrics::counter!("jangbu_passwords_turned_away_total").increment(1);
    IdentityError::Busy { retry_after: Duration::from_secs(1) }
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
    // Earlier versions hashed the text as the keyboard sent it, composed or not.
    let decomposed = text::decomposed(password);
    (password != composed && is(password)) || (decomposed != composed && decomposed != password && is(&decomposed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> PasswordSettings {
        PasswordSettings { memory_kib: 8, passes: 1, at_once: 1, waiting: 1 }
    }

    fn block() -> AddressBlock {
        AddressBlock::of([192, 0, 2, 1].into())
    }

    #[tokio::test]
    async fn a_password_is_the_same_on_every_keyboard() {
        let pool = PasswordPool::new(quick());
        let forms = ["비밀번호 café".to_owned(), text::decomposed("비밀번호 café")];
        let hash = pool.hash(block(), forms[1].clone()).await.unwrap();
        // A hash of an earlier version is of the unnormalized bytes.
        let earlier = hasher(quick()).unwrap().hash_password(forms[1].as_bytes()).unwrap().to_string();
        for form in forms {
            assert!(pool.verify(block(), form.clone(), hash.clone()).await.unwrap(), "{form:?}");
            assert!(pool.verify(block(), form.clone(), earlier.clone()).await.unwrap(), "{form:?}");
        }
        assert!(!pool.verify(block(), "비밀번호 cafe".to_owned(), hash).await.unwrap());
    }

    #[tokio::test]
    async fn only_the_right_password_verifies() {
        let pool = PasswordPool::new(quick());
        let hash = pool.hash(block(), "correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(pool.verify(block(), "correct horse".to_owned(), hash.clone()).await.unwrap());
        assert!(!pool.verify(block(), "wrong horse".to_owned(), hash).await.unwrap());
        assert!(!pool.verify(block(), "any".to_owned(), "no hash".to_owned()).await.unwrap());
        pool.verify_nothing(block(), "any".to_owned()).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_queue_of_log_ins_sends_away_and_sign_ups_go_on() {
        let pool = PasswordPool::new(quick());
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let work = move || {
            begun.send(()).unwrap();
            let _ = held.recv();
        };
        pool.inner.log_ins.submit(block(), Box::new(work)).unwrap();
        begins.await.unwrap();
        pool.inner.log_ins.submit(block(), Box::new(|| ())).unwrap();
        let refused = pool.verify(block(), "second".to_owned(), String::new()).await;
        assert!(matches!(refused, Err(IdentityError::Busy { .. })), "{refused:?}");
        assert!(pool.hash(block(), "third".to_owned()).await.is_ok());
        drop(hold);
        // The thread is free again.
        loop {
            match pool.verify(block(), "fourth".to_owned(), String::new()).await {
                Ok(verified) => break assert!(!verified),
                Err(IdentityError::Busy { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
