//! What a request reads does not grow with the history: every route, on resources with a long
//! history, on both engines. The tests count work, never time.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::join_all;
use jangbu_api::{Access, Route, route_table};
use jangbu_kernel::ports::Clock as _;
use jangbu_kernel::{ProductId, Role, Timestamp, UserId};
use serde_json::json;
use tokio::time::{Duration, Instant};

use crate::history::{CHANGES, History};
use crate::house::{House, TestWorld};
use crate::owners::{Street, customers_routes};
use crate::places::Place;

/// Events that one request may read: a page of a list, and the events after a mark of a stock or
/// after a snapshot of the caller's account.
const MOST: usize = 600;
/// Steps of SQLite's virtual machine that the queries of one request may take: some for each row of
/// some pages.
const MOST_STEPS: u64 = 2_000;
/// Rows that Postgres may read for all requests together: fewer than a single one would read that
/// goes through the history.
const MOST_ROWS: i64 = 30_000;
/// How long the read models may take for the whole history.
const LIMIT: Duration = Duration::from_secs(120);

/// A shop that is opened on a long history.
struct Old {
    street: Street,
    product: ProductId,
    user: UserId,
    staff: String,
    /// The product's stock before the long history: version and units.
    young: (u64, i64),
    /// A moment in the middle of the history.
    then: Timestamp,
    place: Arc<Place>,
    /// Rows that Postgres had read before the shop was opened again.
    rows_before: Option<i64>,
}

impl Old {
    async fn on(place: Arc<Place>) -> Self {
        let world: Arc<TestWorld> = Arc::default();
        let street = Street::around(House::on(&place, Arc::clone(&world)).await).await;
        let product = ProductId::new(street.thing("/v1/products/{id}").parse().unwrap());
        let user = UserId::new(street.thing("/v1/users/{id}").parse().unwrap());
        let staff = street.house.somebody(&[Role::Staff, Role::Admin]).await;
        let stock = street.read(&staff, &format!("/v1/stock/{}", product.uuid())).await;
        let young = (stock["version"].as_u64().unwrap(), stock["on_hand"].as_i64().unwrap());
        // The administrators are gathered from the whole log once in the life of a shop.
        for roles in [json!(["customer", "staff"]), json!(["customer"])] {
            let path = format!("/v1/users/{user}/roles");
            street.house.send_json("PUT", &staff, &path, &[], &json!({"roles": roles}).to_string()).await.expect(200);
        }
        // A thousand changes of the stock happen in each millisecond.
        let then = world.now() + chrono::TimeDelta::milliseconds(50);
        let history = History { log: street.house.store.as_ref(), world: &world };
        history.changes(product, user).await;
        history.orders(&street.names_of_the_order()).await;
        let head = street.house.store.head().await.unwrap();
        assert!(street.house.projector.wait_for(head, Instant::now() + LIMIT).await, "the read models are behind");
        let (mut street, rows_before) = street.opened_again(&place).await;
        street.catch_up().await;
        Self { street, product, user, staff, young, then, place, rows_before }
    }

    /// The work so far: events read from the log, and steps of the queries.
    fn work(&self) -> (usize, u64) {
        let house = &self.street.house;
        (house.reads.load(Ordering::Relaxed), house.models.steps().unwrap_or_default())
    }

    /// Runs something and checks that it reads no more than one request may.
    async fn cheaply<T>(&self, what: &str, doing: impl Future<Output = T>) -> T {
        let (events, steps) = self.work();
        let done = doing.await;
        let (events, steps) = (self.work().0 - events, self.work().1 - steps);
        assert!(events <= MOST, "{what} reads {events} events");
        assert!(steps <= MOST_STEPS, "{what} takes {steps} steps");
        done
    }

    /// The token of a user who may use a route, as far as a user with an account may.
    fn somebody_who_may(&self, route: &Route) -> &str {
        let customers = customers_routes().any(|known| (&known.method, &known.path) == (&route.method, &route.path));
        if customers { &self.street.owner } else { &self.staff }
    }

    /// Every route that reads, also as of an earlier time.
    async fn every_read(&self) {
        let mut walked = 0;
        for route in route_table() {
            if route.method != http::Method::GET || route.access == Access::Open {
                continue;
            }
            let path = if route.path.contains('{') { self.street.concrete(&route.path).0 } else { route.path.clone() };
            let token = self.somebody_who_may(&route);
            let mut paths = vec![path.clone()];
            if self.street.knows_the_past(&route) {
                let [then, now] = [self.then, self.street.house.world.now()].map(time);
                paths.extend([1.to_string(), then, now].map(|as_of| format!("{path}?as_of={as_of}")));
            }
            for path in paths {
                let token = if path.starts_with("/v1/stock/") { &self.staff } else { token };
                let (status, code) = self.cheaply(&path, self.street.ask(&route, &path, token, "")).await;
                assert_eq!(status, 200, "{path}: {code}");
                walked += 1;
            }
        }
        assert!(walked >= 40, "{walked}");
    }

    /// The stock at several versions and times.
    async fn every_past_of_a_stock(&self) {
        let path = format!("/v1/stock/{}", self.product.uuid());
        let house = &self.street.house;
        let (young, on_hand) = self.young;
        let last = young + CHANGES;
        for version in [young, 255, 256, 257, 511, 512, 513, last / 2, last - 1, last] {
            let asked = format!("{path}?as_of={version}");
            let then = self.cheaply(&asked, house.get(&self.staff, &asked)).await.expect(200).body;
            let expected = on_hand + i64::try_from(version - young).unwrap();
            assert_eq!((&then["version"], &then["on_hand"]), (&json!(version), &json!(expected)), "{asked}");
        }
        house.get(&self.staff, &format!("{path}?as_of={}", last + 1)).await.problem(404, "not_found");
        // Only staff may ask for the earlier state of a stock.
        house.get(&self.street.owner, &format!("{path}?as_of=1")).await.problem(403, "forbidden");
    }

    /// Every route that changes one resource, whatever its outcome.
    async fn every_change(&self) {
        let (mut walked, mut unread) = (0, Vec::new());
        // What takes a thing away comes last, and the whole after its parts.
        let mut routes = route_table();
        routes.sort_by_key(|route| {
            let takes_away = route.method == http::Method::DELETE;
            (takes_away, if takes_away { std::cmp::Reverse(route.path.len()) } else { std::cmp::Reverse(0) })
        });
        for route in routes {
            let changes = route.method != http::Method::GET && route.path.contains('{') && route.access != Access::Open;
            if !changes {
                continue;
            }
            let (path, _) = self.street.concrete(&route.path);
            let place = format!("{} {path}", route.method);
            let key = format!("walk-{walked}-of-changes");
            let asked = self.street.ask(&route, &path, self.somebody_who_may(&route), &key);
            let (status, code) = self.cheaply(&place, asked).await;
            // There are no external systems in these tests.
            let refused = status >= 500 && code != "upstream_unavailable";
            if refused || [400, 401, 403, 404, 405].contains(&status) {
                unread.push(format!("{place}: {status} {code}"));
            }
            walked += 1;
        }
        assert!(unread.is_empty(), "{unread:#?}");
        assert!(walked >= 15, "{walked}");
    }

    /// The commands of staff on resources with a long stream, first sent and repeated.
    async fn every_answer_on_a_long_stream(&self) {
        let (house, staff) = (&self.street.house, &self.staff);
        let stock = format!("/v1/stock/{}", self.product.uuid());
        let read = house.get(staff, &stock).await.expect(200);
        let mut version = read.body["version"].as_u64().unwrap();
        let (receive, adjust) = (format!("{stock}/receive"), format!("{stock}/adjust"));
        let (grant, unlock) =
            (format!("/v1/users/{}/points/grant", self.user), format!("/v1/users/{}/unlock", self.user));
        for (number, stage) in ["committed", "projected", "settled"].into_iter().enumerate() {
            for (path, body) in [
                (&receive, json!({"quantity": 1})),
                (&adjust, json!({"delta": -1, "reason": "broken"})),
                (&grant, json!({"amount": "1", "reference": format!("again-{number}")})),
                (&unlock, json!({})),
            ] {
                let key = format!("{number}{}", path.replace('/', "-"));
                let headers = [("idempotency-key", key.as_str()), ("jangbu-wait-for", stage), ("prefer", "wait=30")];
                let answer = self.cheaply(path, house.post(staff, path, &headers, &body)).await.expect(200);
                assert_eq!(answer.header("etag"), format!("\"{}\"", answer.body["version"]), "{path}");
                if path.starts_with(&stock) {
                    version += 1;
                    assert_eq!(answer.body["version"], version, "{path} {stage}");
                }
                let again = self.cheaply(path, house.post(staff, path, &headers, &body)).await.expect(200);
                assert_eq!(
                    (&again.text, again.header("idempotent-replayed")),
                    (&answer.text, "true"),
                    "{path} {stage}"
                );
            }
        }
        let on_hand = house.get(staff, &format!("{stock}?as_of={version}")).await.expect(200).body["on_hand"].clone();
        self.at_once(&receive, version, on_hand.as_u64().unwrap()).await;
        // A repeat of the first request, much later.
        let key = format!("0{}", receive.replace('/', "-"));
        let headers = [("idempotency-key", key.as_str())];
        let late = self.cheaply("a late repeat", house.post(staff, &receive, &headers, &json!({"quantity": 1}))).await;
        assert_eq!(late.expect(200).body["version"], read.body["version"].as_u64().unwrap() + 1);
    }

    /// Requests that are sent at once are one batch: when the first is answered the others are
    /// done, too.
    async fn at_once(&self, receive: &str, version: u64, on_hand: u64) {
        let (house, staff) = (&self.street.house, &self.staff);
        let keys: Vec<_> = (0..20).map(|number| format!("at-once-{number}")).collect();
        let body = json!({"quantity": 1});
        let headers: Vec<_> = keys.iter().map(|key| [("idempotency-key", key.as_str())]).collect();
        let asked = join_all(headers.iter().map(|headers| house.post(staff, receive, headers, &body)));
        let answers = self.cheaply("twenty at once", asked).await.into_iter().map(|answer| answer.expect(200).body);
        let mut seen: Vec<_> =
            answers.map(|body| (body["version"].as_u64().unwrap(), body["on_hand"].clone())).collect();
        seen.sort_by_key(|(version, _)| *version);
        for (more, (seen, there)) in (1_u64..).zip(&seen) {
            assert_eq!(*seen, version + more, "each is answered with its own version");
            assert_eq!(*there, on_hand + more, "and with what there was then");
        }
    }

    /// The total of what was read in the database, by the database's own count.
    async fn end(self) {
        let Self { street, place, rows_before, .. } = self;
        street.house.close().await;
        if let (Some(before), Some(after)) = (rows_before, place.rows_read().await) {
            let read = after - before;
            assert!(read <= MOST_ROWS, "the whole walk reads {read} rows");
        }
    }
}

fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

async fn no_request_reads_more_the_longer_the_history(place: Place) {
    let place = Arc::new(place);
    let outcome = tokio::spawn(walk(Arc::clone(&place))).await;
    place.end().await;
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
}

async fn walk(place: Arc<Place>) {
    let old = Old::on(place).await;
    old.every_past_of_a_stock().await;
    old.every_read().await;
    old.every_answer_on_a_long_stream().await;
    old.every_change().await;
    old.end().await;
}

mod sqlite {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_request_reads_more_the_longer_the_history() {
        super::no_request_reads_more_the_longer_the_history(super::Place::sqlite()).await;
    }
}

mod postgres {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_request_reads_more_the_longer_the_history() {
        super::no_request_reads_more_the_longer_the_history(super::Place::postgres().await).await;
    }
}
