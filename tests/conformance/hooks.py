"""What the description of the interface cannot tell schemathesis."""

import itertools

import schemathesis

LOGIN = "POST /auth/token"
REGISTRATION = "POST /users/register"

sent = set()
numbers = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Who is registered stays registered: what was sent before is replaced by something new.

    Otherwise most registrations would be answered 409 or, for their key, 422. Every tenth name is left, to see 409.
    """
    if case.operation.label == REGISTRATION and is_allowed(case):
        number = next(numbers)
        renew(case.headers, "Idempotency-Key", f"key{number}")
        if number % 10 > 0:
            renew(case.body, "username", f"somebody{number}")
            renew(case.body, "email", f"somebody{number}@example.org")


def renew(fields, name, fresh):
    value = (fields or {}).get(name)
    if value is None:
        return
    if value.strip().lower() in sent:
        fields[name] = value = fresh
    sent.add(value.strip().lower())


@schemathesis.check
def errors_are_problems(ctx, response, case):
    """Those too that the description of an operation does not list, like 405."""
    if response.status_code >= 400:
        assert response.headers.get("content-type") == ["application/problem+json"], response.headers


@schemathesis.check
def login_is_understood(ctx, response, case):
    """By itself schemathesis lets the address of a token refuse everything, because it knows no password.

    A wrong one is answered 401; a body as it is described is never malformed.
    """
    if case.operation.label == LOGIN and is_allowed(case):
        assert response.status_code not in (400, 422), response.text


@schemathesis.check
class EveryOperationSucceeds:
    """A run in which nobody could log in, say, would find nothing and mean nothing."""

    def __init__(self):
        self.tried = set()
        self.succeeded = set()

    def after_response(self, ctx, response, case):
        if is_allowed(case):
            self.tried.add(case.operation.label)
            if response.status_code < 300:
                self.succeeded.add(case.operation.label)

    def after_run(self, ctx):
        assert self.tried == self.succeeded, f"never with success: {sorted(self.tried - self.succeeded)}"


def is_allowed(case):
    """Made to be what the description allows."""
    return case.meta is not None and case.meta.generation.mode.is_positive
