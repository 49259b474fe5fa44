// Signs up, looks around, places an order, pays it and reads it, through a client whose
// types are generated from the OpenAPI document. What is wrong with the document's types
// shows when this is compiled, what is wrong with its promises when it runs.

import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./shop.js";

const baseUrl = process.env["SHOP_UNDER_TEST"];
if (baseUrl === undefined) throw new Error("SHOP_UNDER_TEST names no shop");

/** The body of an answer that has to be a success. */
function taken<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data !== undefined) return answer.data;
  throw new Error(`${answer.response.url} ${answer.response.status} ${JSON.stringify(answer.error)}`);
}

function same<T>(found: T, wanted: T): void {
  if (found !== wanted) throw new Error(`found ${String(found)}, wanted ${String(wanted)}`);
}

const visitor = createClient<paths>({ baseUrl });
const account = { email: `ts.${randomUUID()}@example.com`, password: "a long password" };
const user = taken(await visitor.POST("/v1/auth/register", { body: { ...account, name: "김민지" } }));
same(user.status, "active");
const login = taken(await visitor.POST("/v1/auth/login", { body: account }));
const buyer = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${login.access_token}` } });

const page = taken(await buyer.GET("/v1/products", { params: { query: { in_stock: true, limit: 1 } } }));
const product: components["schemas"]["Product"] | undefined = page.items[0];
if (product === undefined) throw new Error("there is nothing to buy");

const shipping_address = {
  recipient: "김민지", phone: "010-1234-5678", postal_code: "06236", line1: "서울특별시 강남구 테헤란로 152",
};
const place = (quantity: number) =>
  buyer.POST("/v1/orders", {
    params: { header: { "Idempotency-Key": randomUUID() } },
    body: { lines: [{ product_id: product.id, quantity }], shipping_address },
  });

// A refusal has its type, too: its code is one of a list.
const refused = await place(product.available + 1);
const problem: components["schemas"]["Problem"] | undefined = refused.error;
const code: components["schemas"]["ProblemCode"] | undefined = problem?.code;
same(code, "insufficient_stock");

const order: components["schemas"]["Order"] = taken(await place(1));
same(order.status, "placed");
const payment = taken(
  await buyer.POST("/v1/payments", {
    params: { header: { "Idempotency-Key": randomUUID(), Prefer: "wait=20", "Jangbu-Wait-For": "settled" } },
    body: { order_id: order.id, legs: [{ method: "card", amount: order.total, card_token: "tok_ok" }] },
  }),
);
same(payment.status, "captured");
same(payment.total.amount, order.total.amount);

const read = taken(await buyer.GET("/v1/orders/{id}", { params: { path: { id: order.id } } }));
same(read.status, "preparing");
same(read.payment_id, payment.id);
// @ts-expect-error a status that no order has is not of the list
if (read.status === "on the moon") throw new Error("a status is one of a list");
const own = taken(await buyer.GET("/v1/orders", { params: { query: { status: "preparing" } } }));
const listed: components["schemas"]["Order"][] = own.items;
same(listed[0]?.number, order.number);
console.log(`bought ${order.number}`);
