//! The buyers of the demo shop.

use serde_json::{Value, json};

use super::Steps;
use crate::client::{Shopper, text};

const FAMILY: [&str; 10] = ["김", "이", "박", "최", "정", "강", "조", "윤", "장", "임"];
const GIVEN: [&str; 12] =
    ["민준", "서연", "도윤", "하은", "지호", "수아", "예준", "지우", "시우", "서준", "하린", "유나"];
const STREETS: [(&str, &str); 6] = [
    ("06236", "서울특별시 강남구 테헤란로 152"),
    ("04524", "서울특별시 중구 세종대로 110"),
    ("48058", "부산광역시 해운대구 센텀중앙로 79"),
    ("34126", "대전광역시 유성구 대학로 291"),
    ("61452", "광주광역시 동구 금남로 245"),
    ("63122", "제주특별자치도 제주시 문연로 6"),
];
/// Every buyer's password.
pub const PASSWORD: &str = "jangbu-demo-buyer";

/// A buyer of the demo shop.
pub struct Buyer {
    /// The user's id.
    pub id: String,
    /// Their e-mail address, for the login.
    pub email: String,
    /// Their shipping address.
    pub address: Value,
    /// The buyer's own connection.
    pub shopper: Shopper,
    /// Their orders that still wait for a payment.
    pub waiting: usize,
}

/// The most orders that a buyer of the demo leaves unpaid: one less than a shop allows by default,
/// because every order of the demo is unpaid for a moment.
const MOST_WAITING: usize = 2;

/// All of them.
pub struct People {
    buyers: Vec<Buyer>,
}

impl People {
    /// Signs buyers up and logs them in.
    pub async fn sign_up(
        server: &str,
        count: usize,
        seed: u64,
        random: &mut fastrand::Rng,
        steps: &mut Steps,
    ) -> anyhow::Result<Self> {
        let mut buyers = Vec::with_capacity(count);
        let mut anonymous = Shopper::anonymous(server).await?;
        for number in 0..count {
            let name = format!("{}{}", pick(&FAMILY, random), pick(&GIVEN, random));
            let phone = format!("010-{:04}-{:04}", random.u32(1000..9999), random.u32(0..9999));
            // The time of the run is part of the address, so that the demo can run twice on one
            // server.
            let email = format!("buyer{number}.{seed}.{}@example.com", uuid::Uuid::now_v7().simple());
            let person = json!({"email": email, "password": PASSWORD, "name": name, "phone": phone});
            let user = anonymous.post("/v1/auth/register", &person).await?;
            let shopper = Shopper::login(server, &email, PASSWORD).await?;
            let (postal_code, line1) = pick(&STREETS, random);
            let address = json!({
                "recipient": name, "phone": phone, "postal_code": postal_code,
                "line1": line1, "line2": format!("{}호", random.u32(101..2005)),
            });
            buyers.push(Buyer { id: text(&user, "id")?.to_owned(), email, address, shopper, waiting: 0 });
            steps.one();
        }
        Ok(Self { buyers })
    }

    /// All buyers.
    pub fn buyers(&self) -> impl Iterator<Item = &Buyer> {
        self.buyers.iter()
    }

    /// Any buyer.
    pub fn any(&mut self, random: &mut fastrand::Rng) -> Option<&mut Buyer> {
        random.choice(self.buyers.iter_mut())
    }

    /// Any buyer who may leave one more order unpaid.
    pub fn any_with_room(&mut self, random: &mut fastrand::Rng) -> Option<&mut Buyer> {
        let with_room: Vec<&mut Buyer> = self.buyers.iter_mut().filter(|buyer| buyer.waiting < MOST_WAITING).collect();
        random.choice(with_room)
    }
}

fn pick<T: Copy + Default>(from: &[T], random: &mut fastrand::Rng) -> T {
    random.choice(from).copied().unwrap_or_default()
}
