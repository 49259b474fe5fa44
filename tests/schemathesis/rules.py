"""Who calls, and one rule that the tool does not have."""

import json
import os
import re
import subprocess
import uuid

import requests
import schemathesis

SHOP = os.environ["SHOP_UNDER_TEST"]
PROGRAM = os.environ["PROGRAM_UNDER_TEST"]
# Those of the shop are set around this tool.
SETTINGS = dict(os.environ)

# The tool knows this header by its name, and now and then sends a bare number in it and
# calls that valid, whatever the document says.
IF_MATCH = re.compile(r'\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*')

# Tokens live for five minutes.
REFRESH_SECONDS = 120

# Rules of a request that the document says in words, so that a request which is valid by
# its schema may still break them: a cursor is good only where it was given out, how many
# decimals an amount has is its currency's affair, some limits are the shop's to set, and
# what an address or a telephone number looks like is more than a pattern, and so are the
# columns of a file.
BEYOND_A_SCHEMA = {
    "bad_cursor",
    "invalid_amount",
    "invalid_currency",
    "invalid_email",
    "invalid_name",
    "invalid_phone",
    "malformed_csv",
    "missing_head",
    "not_utf8",
    "nothing_to_change",
    "out_of_range",
    "repeated",
    "unknown_column",
    "validation_failed",
}


@schemathesis.auth(refresh_interval=REFRESH_SECONDS)
class Administrator:
    """Every call is made by somebody who may do everything. He is a new one each time: the
    tool reads addresses in the shop's answers and tries passwords until an account is
    locked, and it ends sessions, as an administrator may."""

    def get(self, case, context):
        command = [PROGRAM, "users", "create", "--email", f"{uuid.uuid4()}@example.com", "--role", "admin", "--json"]
        made = subprocess.run(command, env=SETTINGS, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60)
        user = json.loads(made.stdout)
        login = {"email": user["email"], "password": user["password"]}
        answer = requests.post(f"{SHOP}/v1/auth/login", json=login, timeout=30)
        answer.raise_for_status()
        return answer.json()["access_token"]

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.serializer("application/x-ndjson")
def lines_of_json(context, value):
    """A file with one row."""
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"


@schemathesis.check
def valid_requests_are_understood(ctx, response, case):
    """What the document calls valid is never answered "that is not valid"."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    for error in response.json().get("errors") or [{"pointer": "?", "code": "?"}]:
        if error["pointer"] == "/headers/If-Match" and not IF_MATCH.fullmatch(str(case.headers["If-Match"])):
            continue
        assert error["code"] in BEYOND_A_SCHEMA, f"refused at {error['pointer']}: {error['code']}"


@schemathesis.check
def rejections_are_problems(ctx, response, case):
    """Every rejection has the one shape (RFC 9457), whoever rejected."""
    if response.status_code < 400 or case.method == "HEAD":
        return
    if case.path in ("/readyz", "/health"):
        return
    assert response.headers["content-type"] == ["application/problem+json"], response.headers["content-type"]
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["type"] == f"urn:jangbu:problem:{problem['code']}"
