//! What the demo shop sells.

use serde_json::json;

use super::Steps;
use crate::client::{Shopper, text};

/// The tree of categories: the top, and what is below.
const SHELVES: [(&str, [&str; 2]); 4] = [
    ("식품", ["신선식품", "차와 장류"]),
    ("패션", ["의류", "잡화"]),
    ("생활", ["주방", "야외"]),
    ("취미", ["책", "전자"]),
];
/// The category of each kind, as its place among [`SHELVES`] and below that one.
const SHELF_OF: [(usize, usize); 10] = [(0, 0), (0, 0), (0, 0), (0, 1), (2, 0), (1, 0), (3, 1), (2, 1), (3, 0), (0, 1)];

const KINDS: [(&str, &[&str], (u32, u32)); 10] = [
    ("한우 등심", &["300g", "500g", "1kg 선물세트"], (28_000, 120_000)),
    ("제주 감귤", &["3kg", "5kg", "10kg"], (12_000, 39_000)),
    ("유기농 현미", &["4kg", "8kg", "10kg"], (18_000, 52_000)),
    ("전통 간장", &["500ml", "900ml", "1.8L"], (9_000, 31_000)),
    ("도자기 찻잔", &["백자", "청자", "분청"], (15_000, 88_000)),
    ("모시 셔츠", &["S", "M", "L"], (45_000, 129_000)),
    ("무선 이어폰", &["화이트", "블랙", "네이비"], (59_000, 249_000)),
    ("캠핑 의자", &["접이식", "롱", "릴렉스"], (32_000, 98_000)),
    ("그림책", &["호랑이와 곶감", "해와 달", "흥부와 놀부"], (11_000, 18_000)),
    ("녹차 세트", &["우전", "세작", "중작"], (14_000, 64_000)),
];
const MAKERS: [&str; 8] = ["한빛", "가온", "다솜", "누리", "온새미로", "미르", "라온", "아람"];
/// Prices are multiples of this.
const PRICE_STEP: u32 = 100;
/// Every so many products one is on offer: its price was changed since it came in.
const ON_OFFER_EACH: usize = 10;
/// Every so many products one was damaged on its way in and then counted.
const COUNTED_EACH: usize = 8;
/// Every so many products one has a threshold, so high that it soon runs low.
const WATCHED_EACH: usize = 5;
/// Every so many products one can be ordered before it is here.
const AHEAD_EACH: usize = 7;
/// Every so many products one has a limit for each buyer.
const LIMITED_EACH: usize = 9;

/// A product of the demo shop.
pub struct Item {
    /// Its id.
    pub id: String,
}

/// All of them.
pub struct Catalogue {
    items: Vec<Item>,
}

impl Catalogue {
    /// Creates products and receives stock for them.
    pub async fn create(
        admin: &mut Shopper,
        count: usize,
        random: &mut fastrand::Rng,
        steps: &mut Steps,
    ) -> anyhow::Result<Self> {
        let shelves = create_shelves(admin).await?;
        let mut items = Vec::with_capacity(count);
        for number in 0..count {
            let (top, below) = turn(&SHELF_OF, number);
            let shelf = shelves.get(top).and_then(|below_it| below_it.get(below));
            items.push(create_one(admin, number, shelf.map(String::as_str), random).await?);
            steps.one();
        }
        Ok(Self { items })
    }

    /// A number of different products.
    pub fn pick(&self, count: usize, random: &mut fastrand::Rng) -> Vec<&Item> {
        random.choose_multiple(self.items.iter(), count)
    }
}

/// Makes the categories; returns the ids of those on the second level, by the first.
async fn create_shelves(admin: &mut Shopper) -> anyhow::Result<Vec<Vec<String>>> {
    let mut shelves = Vec::with_capacity(SHELVES.len());
    for (name, below) in SHELVES {
        let top = admin.post("/v1/categories", &json!({"name": name})).await?;
        let mut ids = Vec::with_capacity(below.len());
        for name in below {
            let made = admin.post("/v1/categories", &json!({"name": name, "parent_id": text(&top, "id")?})).await?;
            ids.push(text(&made, "id")?.to_owned());
        }
        shelves.push(ids);
    }
    Ok(shelves)
}

async fn create_one(
    admin: &mut Shopper,
    number: usize,
    shelf: Option<&str>,
    random: &mut fastrand::Rng,
) -> anyhow::Result<Item> {
    // Going through kinds, makers and variants in turn gives every product its own name.
    let (kind, variants, (low, high)) = turn(&KINDS, number);
    let maker = turn(&MAKERS, number / KINDS.len());
    let variant = turn(variants, number / (KINDS.len() * MAKERS.len()));
    let price = random.u32(low / PRICE_STEP..=high / PRICE_STEP) * PRICE_STEP;
    let product = json!({
        "name": format!("{maker} {kind} {variant}"),
        "description": format!("{maker}에서 정성껏 준비한 {kind}입니다."),
        "price": {"amount": price.to_string(), "currency": "KRW"},
        "category_id": shelf,
    });
    let created = admin.post("/v1/products", &product).await?;
    let id = text(&created, "id")?.to_owned();
    if number % ON_OFFER_EACH == ON_OFFER_EACH - 1 {
        let reduced = price - price / 10 / PRICE_STEP * PRICE_STEP;
        let price = json!({"amount": reduced.to_string(), "currency": "KRW"});
        admin.put(&format!("/v1/products/{id}"), &json!({"price": price})).await?;
    }
    let quantity = random.u32(50..500);
    admin.post(&format!("/v1/stock/{id}/receive"), &json!({"quantity": quantity})).await?;
    if number.is_multiple_of(WATCHED_EACH) {
        admin.put(&format!("/v1/stock/{id}/threshold"), &json!({"low": quantity / 2})).await?;
    }
    if number % AHEAD_EACH == AHEAD_EACH - 1 {
        admin.put(&format!("/v1/stock/{id}/back-order"), &json!({"limit": 20})).await?;
    }
    if number % LIMITED_EACH == LIMITED_EACH - 1 {
        admin.put(&format!("/v1/stock/{id}/buyer-limit"), &json!({"limit": 20})).await?;
    }
    if number % COUNTED_EACH == COUNTED_EACH - 1 {
        let stock = format!("/v1/stock/{id}");
        admin.post(&format!("{stock}/write-off"), &json!({"quantity": 2, "reason": "운송 중 파손"})).await?;
        admin.post(&format!("{stock}/count"), &json!({"counted": quantity - 3, "reason": "정기 재고 조사"})).await?;
    }
    Ok(Item { id })
}

/// The items in turn, from the first again after the last.
fn turn<T: Copy + Default>(from: &[T], number: usize) -> T {
    from.get(number % from.len().max(1)).copied().unwrap_or_default()
}
