"""Signs up, looks around, places an order, pays it and reads it, through a client that is
generated from the OpenAPI document."""

import os
import uuid

from shop_client import AuthenticatedClient, Client
from shop_client.api.auth import login, register
from shop_client.api.orders import get_order, list_orders, place_order
from shop_client.api.payments import request_payment
from shop_client.api.products import list_products
from shop_client.models import (
    AddressBody,
    CardLegBody,
    CardLegBodyMethod,
    LineBody,
    LoginBody,
    OrderStatus,
    PaymentStatus,
    PlaceOrderBody,
    Problem,
    ProblemCode,
    RegisterBody,
    RequestPaymentBody,
)

SHOP = os.environ["SHOP_UNDER_TEST"]


def same(found, wanted):
    if found != wanted:
        raise SystemExit(f"found {found!r}, wanted {wanted!r}")


def taken(answer):
    """An answer that has to be a success."""
    if answer is None or isinstance(answer, Problem):
        raise SystemExit(f"refused: {answer!r}")
    return answer


def key():
    return str(uuid.uuid4())


email, password = f"py.{uuid.uuid4()}@example.com", "a long password"
visitor = Client(base_url=SHOP)
taken(register.sync(client=visitor, body=RegisterBody(email=email, password=password, name="김민지")))
tokens = taken(login.sync(client=visitor, body=LoginBody(email=email, password=password)))
buyer = AuthenticatedClient(base_url=SHOP, token=tokens.access_token, timeout=30)

product = taken(list_products.sync(client=buyer, in_stock=True, limit=1)).items[0]
address = AddressBody(
    recipient="김민지", phone="010-1234-5678", postal_code="06236", line1="서울특별시 강남구 테헤란로 152"
)


def place(quantity):
    lines = [LineBody(product_id=product.id, quantity=quantity)]
    body = PlaceOrderBody(lines=lines, shipping_address=address)
    return place_order.sync(client=buyer, body=body, idempotency_key=key())


refused = place(product.available + 1)
if not isinstance(refused, Problem):
    raise SystemExit(f"more than there is was sold: {refused!r}")
same(refused.code, ProblemCode.INSUFFICIENT_STOCK)

order = taken(place(1))
same(order.status, OrderStatus.PLACED)
leg = CardLegBody(method=CardLegBodyMethod.CARD, amount=order.total.amount, card_token="tok_ok")
payment = taken(
    request_payment.sync(
        client=buyer,
        body=RequestPaymentBody(order_id=order.id, legs=[leg]),
        idempotency_key=key(),
        prefer="wait=20",
        jangbu_wait_for="settled",
    )
)
same(payment.status, PaymentStatus.CAPTURED)
same(payment.total.amount, order.total.amount)

read = taken(get_order.sync(order.id, client=buyer))
same(read.status, OrderStatus.PREPARING)
same(read.payment_id, payment.id)
listed = taken(list_orders.sync(client=buyer)).items
same([one.number for one in listed], [order.number])
print(f"bought {order.number}")
