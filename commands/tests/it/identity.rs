//! Registration and login: what they cost, and what they leave behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::join_all;
use jangbu_commands::commands::RecordLoginFailure;
use jangbu_commands::identity::{
    AddressBlock, Identity, IdentityError, LoggedIn, PasswordSettings, Registration, RequestContext,
};
use jangbu_commands::{Answer, CommandError, DeciderOptions, Idempotency, Worker};
use jangbu_kernel::{CorrelationId, RefusalCode, UserId};
use jangbu_store::MemoryStore;

use crate::faulty::FaultyLog;
use crate::support::{Shop, eventually};

const SNAPSHOT_EVERY: u64 = 50;
const PASSWORD: &str = "correct horse battery";

struct House {
    shop: Shop,
    log: Arc<FaultyLog>,
    identity: Identity,
    commands: jangbu_commands::Commands,
    decider: Worker,
}

impl House {
    fn new() -> Self {
        let shop = Shop::new();
        let log = FaultyLog::over(Arc::new(MemoryStore::new()));
        let options = DeciderOptions { snapshot_every: SNAPSHOT_EVERY, ..DeciderOptions::default() };
        let (commands, decider) = shop.decider_with(log.clone(), options);
        let identity = identity(&shop, &log, &commands);
        Self { shop, log, identity, commands, decider }
    }

    /// Another one on the same log, with empty caches.
    fn cold(&self) -> Identity {
        identity(&self.shop, &self.log, &self.commands)
    }

    fn context(&self, key: Option<&str>) -> RequestContext {
        let idempotency = key.map(|key| Idempotency { key: key.to_owned(), fingerprint: [1; 32] });
        let correlation_id = CorrelationId::new(self.shop.id());
        RequestContext { correlation_id, trace: None, idempotency, from: AddressBlock::own() }
    }

    async fn register(&self, email: &str, key: Option<&str>) -> Result<Answer, IdentityError> {
        let (email, password, name) = (email.to_owned(), PASSWORD.to_owned(), "Somebody".to_owned());
        self.identity.register(Registration { email, password, name, phone: None }, self.context(key)).await
    }

    async fn log_in(&self, email: &str) -> LoggedIn {
        self.identity.login(email, PASSWORD, self.context(None)).await.unwrap()
    }
}

fn identity(shop: &Shop, log: &Arc<FaultyLog>, commands: &jangbu_commands::Commands) -> Identity {
    let quick = PasswordSettings { memory_kib: 8, passes: 1, at_once: 4, waiting: 100 };
    Identity::new(commands.clone(), log.clone(), shop.world.clone(), Arc::clone(&shop.policy), quick)
}

#[tokio::test]
async fn a_request_costs_the_same_however_long_the_callers_history() {
    let house = House::new();
    house.register("minji@example.com", None).await.unwrap();
    let mut login = house.log_in("minji@example.com").await;
    let (user_id, session_id) = (login.user_id, login.session_id);
    for _ in 0..1_000 {
        login = house.identity.refresh(&login.refresh_token, house.context(None)).await.unwrap();
        house.shop.run(&house.commands, RecordLoginFailure { user_id }).await.unwrap();
    }
    // Snapshots are saved after the answer, so the last ones may not be saved yet.
    eventually("a request reads no more than what is behind the snapshots", async || {
        let cold = house.cold();
        let before = house.log.events_read.load(Ordering::SeqCst);
        assert!(cold.is_live(user_id, session_id).await.unwrap());
        assert!(cold.account(user_id).await.unwrap().unwrap().active);
        cold.profile(user_id).await.unwrap();
        let read = house.log.events_read.load(Ordering::SeqCst) - before;
        read as u64 <= 2 * (SNAPSHOT_EVERY + 10)
    })
    .await;
    // A moment later no events are read at all.
    let warm = house.cold();
    warm.is_live(user_id, session_id).await.unwrap();
    let before = house.log.events_read.load(Ordering::SeqCst);
    warm.is_live(user_id, session_id).await.unwrap();
    assert_eq!(house.log.events_read.load(Ordering::SeqCst), before);
    house.decider.stop().await;
}

#[tokio::test]
async fn who_does_not_sign_up_leaves_no_key_behind() {
    let house = House::new();
    let first = house.register("minji@example.com", Some("a first key")).await.unwrap();
    let keys = || house.shop.vault.keys.lock().unwrap().clone();
    let only = [UserId::new(first.stream.id)];
    assert!(keys().iter().eq(&only), "{:?}", keys());
    for number in 0..5 {
        let key = format!("key number {number}");
        for key in [Some(key.as_str()), None] {
            let refused = house.register(" MINJI@example.com", key).await.unwrap_err();
            assert!(
                matches!(&refused, IdentityError::Command(CommandError::Refused(refusal)) if refusal.code == RefusalCode::EmailTaken),
                "{refused}"
            );
        }
    }
    let again = house.register("minji@example.com", Some("a first key")).await.unwrap();
    assert!(again.replayed && again.stream == first.stream);
    assert!(keys().iter().eq(&only), "{:?}", keys());
    // Many at once, with one key and with keys of their own: only one person is registered.
    let own: Vec<String> = (0..10).map(|number| format!("own key {number}")).collect();
    let both = own.iter().map(String::as_str).chain(std::iter::repeat_n("one key for all", 10));
    let entered = join_all(both.map(|key| house.register("other@example.com", Some(key)))).await;
    let streams: Vec<_> = entered.into_iter().flatten().map(|answer| answer.stream).collect();
    assert!(!streams.is_empty() && streams.iter().all(|stream| *stream == streams[0]), "{streams:?}");
    assert_eq!(keys().len(), 2);
    assert!(keys().contains(&UserId::new(streams[0].id)));
    house.decider.stop().await;
}
