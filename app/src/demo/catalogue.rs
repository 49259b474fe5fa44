//! What the demo shop sells.

use serde_json::json;

use super::Steps;
use crate::client::{Shopper, text};

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
/// Prices end on this.
const PRICE_STEP: u32 = 100;

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
        let mut items = Vec::with_capacity(count);
        for number in 0..count {
            items.push(create_one(admin, number, random).await?);
            steps.one();
        }
        Ok(Self { items })
    }

    /// Some different products.
    pub fn pick(&self, count: usize, random: &mut fastrand::Rng) -> Vec<&Item> {
        random.choose_multiple(self.items.iter(), count)
    }
}

async fn create_one(admin: &mut Shopper, number: usize, random: &mut fastrand::Rng) -> anyhow::Result<Item> {
    // Going through kinds, makers and variants in turn gives every product its own name.
    let (kind, variants, (low, high)) = turn(&KINDS, number);
    let maker = turn(&MAKERS, number / KINDS.len());
    let variant = turn(variants, number / (KINDS.len() * MAKERS.len()));
    let price = random.u32(low / PRICE_STEP..=high / PRICE_STEP) * PRICE_STEP;
    let product = json!({
        "name": format!("{maker} {kind} {variant}"),
        "description": format!("{maker}에서 정성껏 준비한 {kind}입니다."),
        "price": {"amount": price.to_string(), "currency": "KRW"},
    });
    let created = admin.post("/v1/products", &product).await?;
    let id = text(&created, "id")?.to_owned();
    let quantity = random.u32(50..500);
    admin.post(&format!("/v1/stock/{id}/receive"), &json!({"quantity": quantity})).await?;
    Ok(Item { id })
}

/// Takes one after the other, from the beginning again after the last.
fn turn<T: Copy + Default>(from: &[T], number: usize) -> T {
    from.get(number % from.len().max(1)).copied().unwrap_or_default()
}
